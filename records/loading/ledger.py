"""The ledger of loads (models.py): read at the start, written within the transactions that load."""

from contextlib import contextmanager

from ..database import execute, held, insert
from ..keys import key

RUNNING = key("records.loading")


class AlreadyRunning(Exception):
    """Another load writes to this database."""


@contextmanager
def claimed():
    """Hold the one right to load for the length of the block."""
    with held(RUNNING) as free:
        if not free:
            raise AlreadyRunning("Another load writes to this database; wait for its end.")
        yield


def enter(source):
    """(number of the input, finished?) for an Input: by path, size and time when unchanged, else by its content."""
    path, size, modified = str(source.path), source.size, source.modified
    same = "SELECT id, finished IS NOT NULL FROM loaded_input WHERE path = %s AND size = %s AND modified = %s"
    if known := execute(same, (path, size, modified)):
        return known[0]
    return execute(
        "INSERT INTO loaded_input (sha256, path, size, modified) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (sha256) DO UPDATE SET path = excluded.path, modified = excluded.modified"
        " RETURNING id, finished IS NOT NULL",
        (source.digest(), path, size, modified),
    )[0]


def done(number):
    """(start, until) of what is written of an input, ascending, neighbours joined."""
    return joined(execute("SELECT start, until FROM loaded_range WHERE input = %s ORDER BY start", (number,)))


def note(number, ranges):
    """These parts are written, if the transaction that we are in commits."""
    insert("loaded_range", ("input", "start", "until"), ("int8", "int8", "int8"), [(number, s, u) for s, u in ranges])


def finish(number):
    """All of the input is written; its parts need not be kept."""
    execute("UPDATE loaded_input SET finished = now() WHERE id = %s", (number,))
    execute("DELETE FROM loaded_range WHERE input = %s", (number,))


def joined(parts):
    """(start, until) pairs in order, neighbours made one."""
    found = []
    for start, until in parts:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], until)
        else:
            found.append((start, until))
    return found
