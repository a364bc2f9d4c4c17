"""New audit records -> leaves of the Merkle tree, and a signed checkpoint over it: once a second, by the worker.

Which records are new is asked by transaction, not by number, as numbers do not commit in their order: the last
checkpoint keeps the snapshot it was made in, and what that snapshot could not see is new. So every record is sealed
once, however late it commits. A position in the tree is given here, and the primary keys of the three tables let
nobody give one twice.
"""

import logging
from datetime import UTC, datetime

from records.database import as_system, atomic, execute, held, insert
from records.keys import key

from ..notices import first_accesses
from . import checkpoint, encoding, journal, merkle

log = logging.getLogger("accessctl.audit")
LOCK = key("audit", "seal")
BATCH = 10_000  # most records under one checkpoint
LEVEL = 8  # a stored node stands for 2**8 of the level below
FIRST, LAST = "0", str(2**64 - 1)  # of all transactions

SEAL = "SELECT number, size, frontier, note, seen, cluster FROM audit_seal ORDER BY number DESC LIMIT 1"
NOW = (
    "SELECT pg_current_snapshot()::text, pg_snapshot_xmax(pg_current_snapshot())::text,"
    " (SELECT system_identifier FROM pg_control_system())"
)
UNSEEN = (
    "SELECT pg_snapshot_xmax(s)::text, ARRAY(SELECT x::text FROM pg_snapshot_xip(s) AS x)"
    " FROM (SELECT %s::text::pg_snapshot AS s) AS t"
)
NEW = (
    f"SELECT a.xact::text, a.mac, {encoding.SELECTED} FROM audit a"
    " WHERE (a.xact >= %s::text::xid8 AND a.xact < %s::text::xid8 OR a.xact = ANY(%s::text[]::xid8[]))"
    " AND (a.xact, a.seq) > (%s::text::xid8, %s::int8)"
    " AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.seq = a.seq)"
    f" ORDER BY a.xact, a.seq LIMIT {BATCH}"
)

HEAD = """
SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - a.at) FROM audit a
  WHERE a.xact >= coalesce(
    (SELECT pg_snapshot_xmin(seen::pg_snapshot) FROM audit_seal ORDER BY number DESC LIMIT 1), '0'::xid8)
  AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.seq = a.seq) ORDER BY a.xact, a.seq LIMIT 1), 0)
"""


class Tampered(Exception):
    """What the database says of the tree is not what was signed: nothing more is signed on top of it."""


@as_system()
def seal():
    """Seal what is new; how many records, or None when another process is at it."""
    with held(LOCK) as free:
        if not free:
            return None
        agree()
        with atomic(snapshot=True):
            count = sealed()
        publish()
    look_after_the_tail()
    return count


def agree():
    """The last checkpoint off the database is in it; else Tampered."""
    last = journal.last_checkpoint()
    if last and execute("SELECT note FROM audit_seal WHERE number = %s", (last[0],)) != [(last[1],)]:
        raise Tampered(
            f"Checkpoint {last[0]} of checkpoints.log is not in the database, which was cut or is an older copy: "
            "nothing is sealed. docs/explanation/audit.md says what to do."
        )


def sealed():
    """Leaves, nodes and checkpoints for all that is new in this transaction's snapshot; how many records."""
    now, upper, cluster = execute(NOW)[0]
    rows = execute(SEAL)
    if rows:
        number, size, frontier, note, seen, of = rows[0]
        tree, last = resumed(number, size, bytes(frontier), note)
        lower, open_then = execute(UNSEEN, (seen,))[0]
    if not rows or of != cluster:  # the first of all, or a copy in another cluster, whose transactions count anew
        lower, upper, open_then = FIRST, LAST, []
    if not rows:
        number, tree, last = 0, merkle.Frontier(), None
    ours, after, count = encoding.keys(), (FIRST, 0), 0
    while True:
        found = [
            (encoding.Record(*values), bytes(mac), xact)
            for xact, mac, *values in execute(NEW, (lower, upper, open_then, *after))
        ]
        if not found:
            return count
        after = found[-1][2], found[-1][0].seq
        found.sort(key=lambda each: each[0].seq)  # within a checkpoint numbers ascend: so two that change places show
        leaves, nodes, foreign = [], [], []
        for record, mac, _ in found:
            if not encoding.is_ours(record, mac, ours):
                foreign.append(record.seq)
            leaf = encoding.leaf(record, mac)
            leaves.append((tree.size, record.seq, leaf))
            nodes += [(h // LEVEL, i, root) for h, i, root in tree.append(leaf) if h % LEVEL == 0]
        if foreign:
            log.error("audit records not written by this server, or altered: %s", some_of(foreign))
        number, last = number + 1, checkpoint.Checkpoint(
            number + 1, tree.size, tree.root(), datetime.now(UTC), last.digest if last else checkpoint.NONE
        )  # fmt: skip
        first_accesses([record for record, _, _ in found])
        insert("audit_leaf", ("position", "seq", "hash"), ("int8", "int8", "bytea"), leaves)
        insert("audit_node", ("level", "index", "hash"), ("int2", "int8", "bytea"), nodes)
        insert(
            "audit_seal", ("number", "size", "frontier", "note", "seen", "cluster"),
            ("int8", "int8", "bytea", "text", "text", "int8"),
            [(number, tree.size, b"".join(tree.peaks), checkpoint.sign(last), now, cluster)],
        )  # fmt: skip
        count += len(found)


def resumed(number, size, frontier, note):
    """The tree and the Checkpoint to go on from, when they are what was signed; else Tampered."""
    try:
        last = checkpoint.read(note, checkpoint.public_keys())
        tree = merkle.Frontier(size, [frontier[n : n + 32] for n in range(0, len(frontier), 32)])
    except (checkpoint.BadCheckpoint, ValueError) as error:
        raise Tampered(f"Checkpoint {number}: {error}.") from error
    if (last.number, last.size, last.root) != (number, size, tree.root()):
        raise Tampered(f"Checkpoint {number} does not fit what was signed.")
    return tree, last


def publish():
    """Checkpoints that are in the database alone go to checkpoints.log."""
    last = journal.last_checkpoint()
    while found := execute(
        "SELECT number, note FROM audit_seal WHERE number > %s ORDER BY number LIMIT 1000", (last[0] if last else 0,)
    ):
        if journal.folder() is None:
            return
        journal.append_checkpoints(found)
        last = found[-1]


@as_system()
def head_age():
    """Seconds since the oldest record was written that has no leaf yet; 0 when all is sealed."""
    return float(execute(HEAD)[0][0])


def look_after_the_tail():
    """Files of the tail whose records are all sealed go; one that names another record stays as evidence."""
    for path, named in journal.tail():
        if not journal.is_settled(path):
            continue
        numbers = [number for number, _ in named]
        missing = execute(
            "SELECT s FROM unnest(%s::int8[]) AS s WHERE NOT EXISTS (SELECT FROM audit_leaf l WHERE l.seq = s)"
            " ORDER BY s",
            (numbers,),
        )
        if not missing:
            path.unlink(missing_ok=True)
        elif path not in _reported:
            _reported.add(path)
            log.error("audit records are missing: %s", some_of([number for (number,) in missing]))


def some_of(numbers):
    """The first of many, and how many there are: one line of a log, whatever happened."""
    told = ", ".join(map(str, numbers[:20]))
    return told if len(numbers) <= 20 else f"{told} and {len(numbers) - 20} more"


_reported = set()
