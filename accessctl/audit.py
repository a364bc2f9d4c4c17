"""(actor, interaction, outcome) -> audit records: committed with the effect, or before the answer of a read leaves.

A write queues its record for its own COMMIT. Reads that run at the same time share one INSERT and one commit, made by
the process's Recorder; each waits for it, and fails when it fails. No record, no answer.
"""

import os
import threading
from queue import Empty, SimpleQueue

import psycopg

from records import errors
from records.database import COPY_FROM, deadline, execute, in_transaction, insert, insertion, left, queue, translated
from records.definitions.structures import type_number

COLUMNS = ("request", "client", "user", "purpose", "interaction", "type", "patient", "entities", "query", "status")
TYPES = ("uuid", "varchar", "varchar", "varchar", "varchar", "int2", "int8", "text", "text", "int2")
READABLE_QUERY = 4000  # characters; longer queries are kept cut
PATIENCE = 8  # seconds a read waits for its record


def record(actor, interaction, outcome, request_id):
    """One row for each patient that the outcome shows or changes; one in all when there is none.

    Outside a transaction the promise of the commit is left in `outcome.recorded`, for `settle`.
    """
    rows = rows_of(actor, interaction, outcome, request_id)
    if not in_transaction():
        outcome.recorded.append(recorder().promise(rows))
    elif len(rows) < COPY_FROM:
        queue(*insertion("audit", COLUMNS, TYPES, rows))
    else:
        insert("audit", COLUMNS, TYPES, rows)


def settle(promises):
    """Return when these records are committed; without them nothing may be told."""
    for promise in promises:
        promise.wait()


def rows_of(actor, interaction, outcome, request_id):
    """The rows of one interaction."""
    groups = {}
    for touched in outcome.touched:
        groups.setdefault(touched.patient, []).append(f"{touched.type}/{touched.id}")
    if not groups:
        groups = {None: [f"{interaction.type}/{interaction.id}"] if interaction.type and interaction.id else []}
    query = None
    if interaction.parameters:
        query = "&".join(f"{n}={v}" for n, v in interaction.parameters)[:READABLE_QUERY]
    type = type_number(interaction.type) if interaction.type else None
    code = interaction.code if interaction.operation is None else f"${interaction.operation}"[:20]
    return [
        (request_id, actor.client, actor.user, actor.purpose, code, type, patient, " ".join(entities), query,
         outcome.status)
        for patient, entities in groups.items()
    ]  # fmt: skip


class Promise:
    """That rows will be committed: a lock that is free when it is settled."""

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
            raise translated(self.error) from self.error
        if self.error is not None:
            raise self.error


class Recorder(threading.Thread):
    """Commits the records of concurrent reads together."""

    # One statement whatever the number of rows: arrays, so that it is prepared once.
    INSERT = "INSERT INTO audit ({}) SELECT * FROM unnest({})".format(
        ", ".join(f'"{c}"' for c in COLUMNS), ", ".join(f"%s::{t}[]" for t in TYPES)
    )

    def __init__(self):
        super().__init__(name="audit", daemon=True)
        self.waiting = SimpleQueue()

    def promise(self, rows):
        """Kept when the rows are committed."""
        promise = Promise()
        self.waiting.put((rows, promise))
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
                columns = tuple(list(c) for c in zip(*(r for rows, _ in batch for r in rows), strict=True))
                with deadline(PATIENCE):
                    execute(self.INSERT, columns)
            except BaseException as error:  # every one of them is told, and nothing is answered
                for _, promise in batch:
                    promise.settle(error)
            else:
                for _, promise in batch:
                    promise.settle(None)


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
