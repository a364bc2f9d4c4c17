"""The database as the hot path uses it: prepared statements, few round trips, transactions, bulk inserts, retries.

Django keeps the schema, the migrations, the settings and the pages; every row of a resource is read and written here.
BEGIN travels with the first statement of a transaction, and statements whose result nobody waits for (`queue`) travel
with COMMIT. Connections are lent for as long as a transaction lasts, so that few serve many threads.

Reading order: deadline, session (one connection), pool (several), asking (for whom), this file.
"""

import logging
import threading
import time
from contextlib import contextmanager, nullcontext

import psycopg
from psycopg import sql

from .. import errors
from . import pool
from .asking import ANYBODY, NOBODY, as_system, asked_by, who
from .deadline import deadline, extend, left
from .session import FIXED, Session, TooLate

__all__ = ["COPY_FROM", "FIXED", "Overtaken", "as_system", "asked_by", "atomic", "cursor", "deadline", "execute",
           "extend", "held", "in_transaction", "insert", "insertion", "left", "lock", "on_commit", "queue", "retried",
           "translated"]  # fmt: skip


class Overtaken(Exception):
    """What the transaction had decided by was changed before it had it in hand: it begins anew."""


log = logging.getLogger("records.database")
WALLED = frozenset(  # under row-level security
    ("resource", "version", "compartment", "audit", "export", "export_chunk", "export_content", "export_patient")
)
COPY_FROM = 16  # rows; below it one INSERT is cheaper than the three messages of COPY
TRIES = 5
RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation,
           psycopg.errors.LockNotAvailable, Overtaken)  # fmt: skip
BEGIN = {False: b"BEGIN", True: b"BEGIN ISOLATION LEVEL REPEATABLE READ"}


class Here(threading.local):
    """The transaction of this thread."""

    session = None
    apart = None  # a connection of its own
    depth = 0  # savepoints inside it
    after = ()  # callbacks for its commit
    ahead = ()  # statements that go with the next one


_here = Here()


@contextmanager
def _session():
    """The Session of this thread's transaction, or one lent for a statement."""
    if _here.session is not None:
        yield _here.session
    else:
        with _lent() as session:
            yield session


class Ahead:
    """A statement that travels with the next one of this thread, or alone when its rows are asked for before."""

    __slots__ = ("_found", "statement", "who")

    def __init__(self, text, params=(), prepare=True):
        self.statement, self.who, self._found = (text, params, prepare), who(), None
        _here.ahead = (*_here.ahead, self)

    def rows(self):
        if self._found is None:
            _here.ahead = tuple(each for each in _here.ahead if each is not self)
            with asked_by(self.who):
                self._found = execute(*self.statement)
        return self._found


def drop_ahead():
    """Forget what waits: the request that wanted it is over."""
    _here.ahead = ()


def _lent():
    return pool.pool().lent() if _here.apart is None else nullcontext(_here.apart)


@contextmanager
def apart(alias):
    """What this thread runs in the block goes over a connection of its own, as the role of that alias.

    Temporary tables end with it, and so do the statements prepared on them.
    """
    session = Session(psycopg.connect(**pool.parameters(alias), autocommit=True))
    _here.apart = session
    try:
        yield
    finally:
        _here.apart = None
        session.close()


def execute(text, params=(), prepare=True):
    """Run one statement; its rows as tuples.

    `prepare` False: a shape that is not seen again; FIXED: there is one way to run it, and finding it takes longer.
    """
    ahead, _here.ahead = _here.ahead, ()
    with _session() as session:
        results = ()
        try:
            results = _told(session, [*((a.who, a.statement) for a in ahead), (who(), (text, params, prepare))])
        except psycopg.Error:
            results = session.answered  # what went ahead, though this failed
            raise
        finally:
            for each, found in zip(ahead, results, strict=False):
                each._found = session.rows(found)
        return session.rows(results[-1])


def together(statements):
    """Run statements (text, params) one after the other, in one round trip."""
    if statements:
        with _session() as session:
            _told(session, [(who(), (text, params, True)) for text, params in statements])


def _told(session, asked):
    """The result of each statement, of (who asks, statement), in one round trip: the database is told who where it
    does not know. What it is told ends with the transaction, which outside of one is this round trip.
    """
    if _here.session is None:
        session.told = NOBODY
    sent, places = [], []
    for asking, statement in asked:
        if asking is not ANYBODY and asking != session.told:
            sent.append(asking)
            session.told = asking
        places.append(len(sent))
        sent.append(statement)
    try:
        results = session.run(sent)
    except psycopg.Error:
        session.answered = [session.answered[n] for n in places if n < len(session.answered)]
        raise
    return [results[n] for n in places]


def queue(text, params=()):
    """Send a statement with the COMMIT of this transaction; its failure fails the commit."""
    if _here.session is None:
        execute(text, params)
    else:
        _here.session.queued.append((who(), (text, params, True)))


def on_commit(callback):
    """Call when this transaction has committed; at once when there is none."""
    if _here.session is None:
        callback()
    else:
        _here.after.append(callback)


def in_transaction():
    return _here.session is not None


@contextmanager
def cursor():
    """A psycopg cursor in the current transaction, for COPY."""
    with _session() as session:
        if session.begin is not None:
            session.run([])
        yield psycopg.Cursor(session.raw)


@contextmanager
def atomic(snapshot=False):
    """One transaction; with `snapshot` everything read in it is of one moment (REPEATABLE READ).

    Inside another one it is a savepoint.
    """
    if _here.session is not None:
        with _savepoint():
            yield
        return
    with _lent() as session:
        session.begin, session.queued, session.told = BEGIN[snapshot], [], NOBODY
        _here.session, _here.after = session, []
        try:
            yield
            if session.begin is None or session.queued:
                committed = _committed(session)
                if committed.command_status != b"COMMIT":  # a failed statement went unnoticed: nothing was kept
                    raise errors.Busy("The transaction could not be committed.")
        except BaseException:
            _here.after = ()
            session.roll_back()
            raise
        finally:
            session.begin, session.queued = None, []
            after, _here.session, _here.after = _here.after, None, ()
    for callback in after:
        callback()


def _committed(session):
    """The result of COMMIT; Busy when a statement that nobody waited for failed for a reason of the database's own."""
    try:
        return _told(session, [*session.queued, (session.told, ("COMMIT", (), False))])[-1]
    except psycopg.Error as error:
        if isinstance(error, RETRIED) or isinstance(translated(error), errors.FHIRError) or not session.queued:
            raise
        log.error("a transaction cannot be committed", exc_info=error)
        raise errors.Busy("The transaction could not be committed.") from error


@contextmanager
def _savepoint():
    session, after = _here.session, list(_here.after)
    queued = list(session.queued)
    _here.depth += 1
    name = f"sp{_here.depth}"
    session.run([(f"SAVEPOINT {name}", (), False)])
    try:
        yield
        session.run([(f"RELEASE SAVEPOINT {name}", (), False)])
    except BaseException:
        _here.after, session.queued = after, queued
        session.run([(f"ROLLBACK TO SAVEPOINT {name}", (), False)])
        session.told = None  # who was named at the savepoint is so again: whoever it was
        raise
    finally:
        _here.depth -= 1


def retried(work):
    """Run `work` until no other transaction is in its way; Busy after TRIES.

    A deadlock, a serialization failure, a lost race for an identity or a condition that no longer holds rolls the
    whole interaction back, so that it can run again; a lost connection is an answer that nobody knows, and is not
    run again.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except RETRIED as error:
            if in_transaction():
                raise
            last = error
            time.sleep(0.005 * 3**attempt)
        except psycopg.Error as error:
            raise translated(error) from error
    raise errors.Busy("Too many others write the same resources now; the same request may be sent again.") from last


def translated(error):
    """The error that the caller is told, when the database is what failed."""
    match error:
        case psycopg.errors.QueryCanceled() | TooLate():
            return errors.Busy("The request took longer than the server allows.", retry_after=5)
        case psycopg.errors.LockNotAvailable():
            return errors.Busy("Another request works on the same resource for too long.", retry_after=2)
        case (
            psycopg.errors.InsufficientResources() | psycopg.errors.TooManyConnections() | psycopg.errors.DiskFull()
            | psycopg.errors.OutOfMemory() | psycopg.errors.ConfigurationLimitExceeded()
        ):  # fmt: skip
            return errors.Busy("The database has no room for this now.", retry_after=30)
        case psycopg.errors.StatementTooComplex() | psycopg.errors.TooManyColumns() | psycopg.errors.TooManyArguments():
            log.warning("a statement is more than the database takes: %s", error.diag.message_primary)
            return errors.TooCostly("This is more at once than the database takes; ask for it in parts.")
        case psycopg.OperationalError() | psycopg.InterfaceError() | psycopg.errors.IdleInTransactionSessionTimeout():
            said = error.diag.message_primary or str(error)  # without the row that the server's DETAIL may name
            log.warning("the database failed: %s %s: %s", type(error).__name__, error.sqlstate, said)
            return errors.Busy("The database cannot be reached now.", retry_after=2)
        case psycopg.errors.ReadOnlySqlTransaction():  # a standby, while another takes over
            return errors.Busy("The database cannot be reached now.", retry_after=2)
    return error


def insert(table, columns, types, rows):
    """Insert rows (tuples in the order of columns; PostgreSQL type names) by COPY, or by INSERT when few.

    COPY does not go past a policy: into tables that have one, rows go as an array for each column.
    """
    if not rows:
        return
    if len(rows) < COPY_FROM:
        execute(*insertion(table, columns, types, rows))
        return
    if table in WALLED:
        names, arrays = ", ".join(f'"{c}"' for c in columns), ", ".join(f"%s::{t}[]" for t in types)
        execute(
            f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})",
            tuple(list(column) for column in zip(*rows, strict=True)),
        )
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
    with cursor() as cur, cur.copy(into) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def insertion(table, columns, types, rows):
    """(text, params) of one INSERT of all rows."""
    values = "(" + ", ".join(f"%s::{t}" for t in types) + ")"
    names = ", ".join(f'"{c}"' for c in columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([values] * len(rows))}", [v for row in rows for v in row]


@contextmanager
def held(key):
    """Hold a 64-bit advisory lock for the length of the block, across transactions; yields whether it was free."""
    with pool.pool().lent() as session:
        got = session.rows(session.run([("SELECT pg_try_advisory_lock(%s::bigint)", (key,), False)])[0])[0][0]
        try:
            yield got
        finally:
            if got:
                session.run([("SELECT pg_advisory_unlock(%s::bigint)", (key,), False)])


def lock(*keys):
    """Hold these 64-bit advisory locks until the transaction ends; sorted, so that two holders cannot deadlock."""
    if keys:
        execute("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k", (sorted(set(keys)),))
