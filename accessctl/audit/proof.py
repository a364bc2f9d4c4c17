"""Proof that one record is in the audit, to be checked by anybody who has the public key and nothing else."""

from functools import lru_cache

import msgspec

from records.database import as_system, atomic, execute

from . import checkpoint, encoding, merkle
from .encoding import SELECTED, Record
from .seal import LEVEL


class Proof(msgspec.Struct, tag="proof"):
    """A record, the path from its leaf to the root, and the signed checkpoint with that root."""

    record: Record
    mac: bytes
    position: int
    path: list[bytes]
    note: str
    public: str  # the key as text, for convenience: who checks has it from elsewhere


class NotSealed(Exception):
    """There is no such record, or no checkpoint over it yet."""


class Wrong(Exception):
    """The proof proves nothing; the sentence says why."""


@as_system()
def proof(seq):
    """The Proof of a record under the newest checkpoint."""
    with atomic(snapshot=True):
        found = execute(
            f"SELECT l.position, a.mac, {SELECTED} FROM audit_leaf l JOIN audit a ON a.seq = l.seq WHERE l.seq = %s",
            (seq,),
        )
        if not found:
            raise NotSealed(f"Record {seq} is not there or not sealed yet.")
        position, mac, *values = found[0]
        size, note = execute("SELECT size, note FROM audit_seal ORDER BY number DESC LIMIT 1")[0]
        path = merkle.inclusion(stored_tree(), position, size)
    public = checkpoint.shown(checkpoint.public_keys()[0])
    return Proof(Record(*values), bytes(mac), position, path, note, public)


def check(given, public):
    """The Checkpoint that a Proof stands under; Wrong when it does not hold by this key (32 bytes)."""
    try:
        found = checkpoint.read(given.note, [public])
    except checkpoint.BadCheckpoint as error:
        raise Wrong(f"The checkpoint is not good: {error}.") from error
    leaf = encoding.leaf(given.record, given.mac)
    if not merkle.is_included(leaf, given.position, found.size, given.path, found.root):
        raise Wrong(f"Record {given.record.seq}, as it stands there, is not in the tree that was signed.")
    return found


def consistency(old, new):
    """The path which proves that the tree of `old` leaves is the beginning of that of `new`."""
    with atomic(snapshot=True):
        return merkle.consistency(stored_tree(), old, new)


def stored_tree():
    """Roots of complete subtrees: stored for every eighth height, between them computed from those below."""

    @lru_cache(maxsize=1024)
    def complete(height, index):
        level, above = divmod(height, LEVEL)
        if level == 0:
            text = "SELECT hash FROM audit_leaf WHERE position >= %s AND position < %s ORDER BY position"
            given = (index << above, index + 1 << above)
        else:
            text = 'SELECT hash FROM audit_node WHERE level = %s AND "index" >= %s AND "index" < %s ORDER BY "index"'
            given = (level, index << above, index + 1 << above)
        hashes = [bytes(hash) for (hash,) in execute(text, given)]
        if len(hashes) != 1 << above:
            raise NotSealed(f"The tree has lost nodes of level {level}: verify the audit.")
        while len(hashes) > 1:
            hashes = [merkle.node(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    return complete
