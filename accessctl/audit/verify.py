"""Is the audit what was written? Every record, leaf, root and signature is computed anew; what is wrong is named.

Nothing in the database is believed: records by their MACs, their order by the tree, the tree by its signed
checkpoints, the end of the tree by the checkpoints kept off the database, the unsealed tail by the names kept there.
"""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta

from . import checkpoint, encoding, merkle
from .source import Export, Leaf, Logged, Named, Seal, Tail

NEIGHBOURS = 1000  # numbers on either side under which a record that changed places is looked for
LATEST = timedelta(minutes=10)  # after a record was made a checkpoint must have seen it


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: of which record, position of the tree, or checkpoint."""

    what: str  # altered, removed, reordered, appended, unsealed, bad checkpoint, cut
    why: str
    seq: int | None = None
    checkpoint: int | None = None
    position: int | None = None

    def __str__(self):
        about = [("record", self.seq), ("position", self.position), ("checkpoint", self.checkpoint)]
        name, number = next(each for each in about if each[1] is not None)
        return f"{name} {number}: {self.what}: {self.why}"


@dataclass(slots=True)
class Verification:
    """One pass over entries; `findings` gives what is wrong in the order of the log.

    `keys` are the prepared MAC keys (none: MACs are not checked), `public` the keys of 32 bytes that are believed.
    """

    keys: tuple
    public: list
    records: int = 0
    tail: int = 0
    last: object = None  # the last good Checkpoint
    _tree: merkle.Frontier = field(default_factory=merkle.Frontier)
    _sound: bool = True  # can roots still be compared?
    _seal: object = None  # the last Seal, good or bad
    _before: int = -1  # number of the leaf before, under the same checkpoint
    _missing: list = field(default_factory=list)
    _named: dict = field(default_factory=dict)
    _numbers: set = field(default_factory=set)

    def findings(self, entries):
        for entry in entries:
            match entry:
                case Leaf():
                    yield from self._leaf(entry)
                case Tail():
                    yield from self._unsealed(entry)
                case Seal():
                    yield from self._checkpoint(entry)
                case Logged():
                    yield from self._logged(entry)
                case Named():
                    self._named[entry.seq] = entry.mac
                case Export():
                    pass
        for seq in sorted(self._named):
            yield Finding("removed", "it was committed, says the tail kept off the database", seq)

    # -- records ---------------------------------------------------------------------------------------------------

    def _leaf(self, entry):
        if entry.position != self._tree.size and self._sound:
            yield self._gap(entry.position)
        self._tree.append(entry.hash)
        if entry.seq <= self._before and self._sound:
            yield Finding("reordered", f"it stands behind record {self._before} under one checkpoint", entry.seq)
        self._before = entry.seq
        self.records += 1
        named = self._named.pop(entry.seq, None)
        if entry.record is None:
            yield Finding("removed", f"its leaf is there, at position {entry.position}", entry.seq)
            return
        ours = not self.keys or encoding.is_ours(entry.record, entry.mac, self.keys)
        if encoding.leaf(entry.record, entry.mac) != entry.hash:
            what = "altered" if ours else self._altered(entry)
            yield Finding(what, f"it is not what was sealed at position {entry.position}", entry.seq)
        elif not ours:
            yield Finding("appended", "its MAC is not ours, and was not when it was sealed", entry.seq)
        elif named is not None and named != entry.mac:
            yield Finding("altered", "its MAC is not the one kept off the database", entry.seq)

    def _unsealed(self, entry):
        self.records += 1
        self.tail += 1
        named = self._named.pop(entry.record.seq, None)
        if self.keys and not encoding.is_ours(entry.record, entry.mac, self.keys):
            known = "altered" if named else "appended"
            yield Finding(self._altered(entry, known), "its MAC is not ours", entry.record.seq)
        elif named is not None and named != entry.mac:
            yield Finding("altered", "its MAC is not the one kept off the database", entry.record.seq)
        elif self.last and encoding.EPOCH + timedelta(microseconds=entry.record.at) < self.last.time - LATEST:
            why = f"it is much older than checkpoint {self.last.number} and has no leaf"
            yield Finding("unsealed", why, entry.record.seq)

    def _altered(self, entry, otherwise="altered"):
        """Is it the record of another number?"""
        seq = entry.record.seq
        for near in itertools.chain.from_iterable((seq - n, seq + n) for n in range(1, NEIGHBOURS)):
            entry.record.seq = near
            if encoding.is_ours(entry.record, entry.mac, self.keys):
                break
        else:
            near = None
        entry.record.seq = seq
        return otherwise if near is None else f"reordered (it was written as {near})"

    # -- checkpoints -----------------------------------------------------------------------------------------------

    def _checkpoint(self, entry):
        before, self._seal, self._before = self._seal, entry, -1
        try:
            found = checkpoint.read(entry.note, self.public)
        except checkpoint.BadCheckpoint as error:
            yield self._bad(entry, str(error))
            return
        if (found.number, found.size) != (entry.number, entry.size):
            yield self._bad(entry, "number or size are not those that were signed")
            return
        if entry.number != (before.number + 1 if before else 1):
            yield self._bad(entry, f"it follows checkpoint {before.number if before else 0}: some were removed")
        elif before and self.last and before.number == self.last.number and found.previous != self.last.digest:
            yield self._bad(entry, f"it was not made after checkpoint {before.number} as that is now")
        elif not before and found.previous != checkpoint.NONE:
            yield self._bad(entry, "it is not the first")
        first = self.last.size if self.last else 0
        self.last = found
        if self._sound and self._tree.size < found.size:
            yield self._gap(found.size)
        if self._sound and (found.size, found.root) != (self._tree.size, self._tree.root()):
            self._sound = False
            why = f"the leaves at positions {first} to {found.size - 1} are not those that were signed"
            yield self._bad(entry, why)

    def _logged(self, entry):
        if self._seal is None or entry.number > self._seal.number:
            if self._missing:
                return
            self._missing.append(entry.number)
            try:
                size = checkpoint.read(entry.note, self.public).size
            except checkpoint.BadCheckpoint as error:
                yield Finding("bad checkpoint", f"of checkpoints.log: {error}", checkpoint=entry.number)
                return
            why = f"checkpoints.log has it, over {size} records; the database ends at {self._tree.size}"
            yield Finding("cut", why, checkpoint=entry.number)
        elif entry.number == self._seal.number and entry.note != self._seal.note:
            why = "checkpoints.log has another one of this number"
            yield Finding("bad checkpoint", why, checkpoint=entry.number)

    def _gap(self, until):
        """Leaves are not there: from here on roots say nothing."""
        self._sound, first = False, self._tree.size
        return Finding("removed", f"the leaves from there to {until - 1} are not there", position=first)

    def _bad(self, entry, why):
        return Finding("bad checkpoint", why, checkpoint=entry.number)
