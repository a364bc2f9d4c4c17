"""Reads that run at the same time share one INSERT and one commit, made by the Recorder of their process.

Each waits for it, and fails when it fails.
"""

import contextlib
import logging
import os
import threading
import time
from queue import Empty, SimpleQueue

import msgspec
import psycopg

from records import errors
from records.database import deadline, execute, in_transaction, left, on_commit, translated

from . import encoding, journal

log = logging.getLogger("accessctl.audit")
PATIENCE = 8  # seconds a read waits for its record
BLOCK = 64  # numbers fetched beyond those needed
TRIES = 5
KEPT = 1.0  # seconds that fetched numbers are used, so that numbers and times run together
NAMES = (*encoding.COLUMNS, "mac")
TYPES = (*encoding.TYPES, "bytea")
NAMED = ", ".join(f'"{name}"' for name in NAMES)
TYPED = ", ".join(f'"{name}" {type}' for name, type in zip(NAMES, TYPES, strict=True))


def settle(promises):
    """Return when these records are committed; without them nothing may be told."""
    for promise in promises:
        promise.wait()


def rows_of(records):
    """Rows for INSERT: each record gets its number, unless it has one, and its MAC covers it."""
    rows = []
    for record, number in zip(records, numbers.take(len(records)), strict=True):
        record.seq = record.seq or number
        rows.append((*encoding.stored(record), encoding.mac(record)))
    return rows


def as_json(rows):
    """The rows as json_to_recordset reads them."""
    return msgspec.json.encode(
        [dict(zip(NAMES, (*row[:-1], f"\\x{row[-1].hex()}"), strict=True)) for row in rows]
    ).decode()


class Numbers:
    """Numbers of the table's sequence, fetched in blocks: a number that is not used is a gap and means nothing.

    A crash of the database takes the sequence back to what was flushed. So what a transaction fetches is for itself
    alone, as it is flushed with it; and who meets a number that is taken forgets those that it has left.
    """

    NEXT = "SELECT nextval('audit_seq_seq') FROM generate_series(1, %s)"

    def __init__(self):
        self._guard, self._free, self._until, self._owner = threading.Lock(), [], 0, None

    def take(self, count):
        """So many numbers that nobody else has."""
        with self._guard:
            fresh = self._owner == os.getpid() and time.monotonic() < self._until
            if fresh and len(self._free) >= count:
                taken, self._free = self._free[:count], self._free[count:]
                return taken
        if in_transaction():
            on_commit(self._refill)
            return self._fetched(count)
        found = self._fetched(count + BLOCK)
        self._keep(found[count:])
        return found[:count]

    def forget(self):
        """Use none of those fetched before."""
        self._keep([])

    def _refill(self):
        with contextlib.suppress(psycopg.Error, errors.FHIRError):  # what asked is committed; the next fetches its own
            self._keep(self._fetched(BLOCK))

    def _fetched(self, count):
        return [number for (number,) in execute(self.NEXT, (count,))]

    def _keep(self, found):
        with self._guard:
            self._free, self._until, self._owner = found, time.monotonic() + KEPT, os.getpid()


numbers = Numbers()


class Promise:
    """That records will be committed: a lock that is free when it is settled."""

    __slots__ = ("_lock", "error")

    def __init__(self):
        self._lock, self.error = threading.Lock(), None
        self._lock.acquire()

    def settle(self, error):
        self.error = error
        self._lock.release()

    def wait(self):
        """Return when it is kept; raise when it cannot be."""
        if not self._lock.acquire(timeout=left(PATIENCE)):
            raise errors.Busy("The access could not be recorded in time.")
        self._lock.release()
        if isinstance(self.error, psycopg.Error):
            found = translated(self.error)
            if not isinstance(found, errors.FHIRError):
                found = errors.Busy("The access could not be recorded.")
            raise found from self.error
        if self.error is not None:
            raise self.error


class Recorder(threading.Thread):
    """Commits the records of concurrent reads together."""

    # One statement whatever the number of rows, and one parameter: as arrays their values took a quarter of a read.
    INSERT = f"INSERT INTO audit ({NAMED}) SELECT {NAMED} FROM json_to_recordset(%s::json) AS ({TYPED})"

    def __init__(self):
        super().__init__(name="audit", daemon=True)
        self.waiting = SimpleQueue()

    def promise(self, records):
        """Kept when the records are committed."""
        promise = Promise()
        self.waiting.put((records, promise))
        return promise

    def run(self):
        while True:
            batch = [self.waiting.get()]
            try:
                while True:
                    batch.append(self.waiting.get_nowait())
            except Empty:
                pass
            try:
                with deadline(PATIENCE):
                    rows = self.inserted([record for records, _ in batch for record in records])
            except BaseException as error:  # every one of them is told, and nothing is answered
                if not isinstance(error, psycopg.OperationalError | errors.FHIRError):
                    log.error("accesses cannot be recorded", exc_info=error)
                for _, promise in batch:
                    promise.settle(error)
            else:
                journal.note(rows)
                for _, promise in batch:
                    promise.settle(None)

    def inserted(self, records):
        """The rows, committed."""
        given = [record.seq for record in records]
        for attempt in range(TRIES):
            for record, number in zip(records, given, strict=True):
                record.seq = number
            rows = rows_of(records)
            try:
                execute(self.INSERT, (as_json(rows),))
            except psycopg.errors.UniqueViolation:  # after a crash: see Numbers
                numbers.forget()
                if attempt == TRIES - 1:
                    raise
            else:
                return rows


_recorder = None
_owner = None
_guard = threading.Lock()


def recorder():
    """The Recorder of this process."""
    global _recorder, _owner
    if _owner != os.getpid() or not _recorder.is_alive():
        with _guard:
            if _owner != os.getpid() or not _recorder.is_alive():
                _recorder = Recorder()
                _recorder.start()
                _owner = os.getpid()
    return _recorder
