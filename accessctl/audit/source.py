"""Where the verifier reads from: the database, or an export of it as NDJSON. Both give the same entries in one order.

Named*, then for each checkpoint its leaves, Seal and Logged, then the leaves after the last, Logged*, Tail*.
"""

from pathlib import Path

import msgspec

from records.database import atomic, execute

from . import checkpoint, journal
from .encoding import COLUMNS, SELECTED, Record

CHUNK = 5000


class Export(msgspec.Struct, tag="export"):
    """The first line of an export."""

    version: int
    public: list[str]  # keys as text


class Named(msgspec.Struct, tag="named"):
    """A record that the tail off the database names."""

    seq: int
    mac: bytes


class Leaf(msgspec.Struct, tag="leaf"):
    """A leaf, and the record of its number, if that is still there."""

    position: int
    seq: int
    hash: bytes
    record: Record | None
    mac: bytes | None


class Seal(msgspec.Struct, tag="seal"):
    """A checkpoint of the database."""

    number: int
    size: int
    note: str


class Logged(msgspec.Struct, tag="logged"):
    """A checkpoint off the database."""

    number: int
    note: str


class Tail(msgspec.Struct, tag="tail"):
    """A record that has no leaf."""

    record: Record
    mac: bytes


ENTRY = Export | Named | Leaf | Seal | Logged | Tail

LEAVES = (
    f"SELECT l.position, l.seq, l.hash, a.mac, {SELECTED} FROM audit_leaf l LEFT JOIN audit a ON a.seq = l.seq"
    f" WHERE l.position > %s AND l.position < %s ORDER BY l.position LIMIT {CHUNK}"
)
SEALS = f"SELECT number, size, note FROM audit_seal WHERE number > %s ORDER BY number LIMIT {CHUNK}"
UNSEALED = (
    f"SELECT a.mac, {SELECTED} FROM audit a WHERE a.seq > %s"
    f" AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.seq = a.seq) ORDER BY a.seq LIMIT {CHUNK}"
)
END = 2**63 - 1


def database(log=None):
    """Entries of the database as of now; `log` is the copy of checkpoints.log to believe."""
    yield Export(1, [checkpoint.shown(public) for public in checkpoint.public_keys()])
    # Read before the snapshot is taken: what they name was committed then, so the snapshot sees it.
    named = [Named(number, mac) for _, found in journal.tail() for number, mac in found]
    logged = journal.checkpoints(log and Path(log), None if log else journal.checkpoints_size())
    with atomic(snapshot=True):
        execute("SET LOCAL statement_timeout = 0", prepare=False)
        yield from named
        yield from merged(logged)
        last = 0
        while rows := execute(UNSEALED, (last,)):
            for mac, *values in rows:
                yield Tail(Record(*values), bytes(mac))
            last = values[0]


def merged(logged):
    """Leaves, each checkpoint after its last leaf, and after it what was logged up to it."""
    position, number, waiting = -1, 0, next(logged, None)
    while seals := execute(SEALS, (number,)):
        for number, size, note in seals:
            for leaf in leaves(position, size):
                position = leaf.position
                yield leaf
            yield Seal(number, size, note)
            while waiting and waiting[0] <= number:
                yield Logged(*waiting)
                waiting = next(logged, None)
    yield from leaves(position, END)
    while waiting:
        yield Logged(*waiting)
        waiting = next(logged, None)


def leaves(after, before):
    """Leaves at positions between these two."""
    while rows := execute(LEAVES, (after, before)):
        for after, seq, hash, mac, *values in rows:
            record = Record(*values) if values[COLUMNS.index("seq")] is not None else None
            yield Leaf(after, seq, bytes(hash), record, None if mac is None else bytes(mac))
        if len(rows) < CHUNK:
            return


def export(entries, file):
    """Write entries as NDJSON; how many records."""
    encode, count = msgspec.json.Encoder().encode, 0
    for entry in entries:
        file.write(encode(entry) + b"\n")
        count += isinstance(entry, Leaf | Tail)
    return count


class NotAnExport(Exception):
    """The file is not one."""


def exported(file):
    """Entries of an export."""
    decode = msgspec.json.Decoder(ENTRY).decode
    for number, line in enumerate(file, 1):
        try:
            entry = decode(line)
        except msgspec.MsgspecError as error:
            raise NotAnExport(f"Line {number} is not of an export of the audit: {error}") from error
        if (number == 1) != isinstance(entry, Export):
            raise NotAnExport("The file does not begin as an export of the audit does.")
        yield entry
