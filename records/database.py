"""The database as the hot path uses it: prepared statements, few round trips, transactions, bulk inserts, retries.

Django keeps the connection, the migrations and the settings. Statements here go to the server prepared, with binary
results, by libpq's own calls; BEGIN travels with the first statement of a transaction, and statements whose result
nobody waits for (`queue`) travel with COMMIT. A read with its audit record is three round trips, not six.
"""

import time
from contextlib import contextmanager
from select import POLLIN, poll

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

from . import errors

COPY_FROM = 16  # rows; below it one INSERT is cheaper than the three messages of COPY
TRIES = 5
RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation)
MOST_PREPARED = 256  # statements that a connection keeps; a new one takes the place of the oldest
BEGIN = {False: b"BEGIN", True: b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE"}
BAD = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.PIPELINE_ABORTED)


class Session:
    """What one connection of ours has prepared, and what waits to be sent on it."""

    def __init__(self, raw):
        self.raw, self.pg = raw, raw.pgconn
        self.names = {}  # text -> name of the prepared statement
        self.made = 0
        self.begin = None  # the BEGIN that waits for the first statement
        self.queued = []  # (text, params) that wait for COMMIT
        self.readable = poll()
        self.readable.register(self.pg.socket, POLLIN)

    def statement(self, text, params, prepare):
        """(sends, formats): calls that put a statement on the wire."""
        values, types, formats = (), (), ()
        if params:
            adapted = Transformer(self.raw)
            values = adapted.dump_sequence(params, [PyFormat.AUTO] * len(params))
            types, formats = adapted.types, adapted.formats
        if not prepare:
            command = numbered(text)
            return [lambda: self.pg.send_query_params(command, values, types, formats, 1)]
        key = (text, types)
        name = self.names.get(key)
        if name is not None:
            return [lambda: self.pg.send_query_prepared(name, values, formats, 1)]
        self.made += 1
        name = b"s%d" % self.made
        calls = [
            lambda: self.pg.send_prepare(name, numbered(text), types),
            lambda: self.pg.send_query_prepared(name, values, formats, 1),
        ]
        if len(self.names) >= MOST_PREPARED:
            oldest = self.names.pop(next(iter(self.names)))
            calls.insert(0, lambda: self.pg.send_query_params(b"DEALLOCATE " + oldest, ()))
        self.names[key] = name
        return calls

    def run(self, statements):
        """The last result of each statement (text, params, prepare), all in one round trip."""
        calls, ends, known = [], [], set(self.names)
        if self.begin is not None:
            begin, self.begin = self.begin, None
            calls.append(lambda: self.pg.send_query_params(begin, ()))
        for text, params, prepare in statements:
            calls += self.statement(text, params, prepare)
            ends.append(len(calls) - 1)
        try:
            results = self.trip(calls)
        except BaseException:
            self.names = {k: name for k, name in self.names.items() if k in known}  # the others may not be there
            raise
        return [results[n] for n in ends]

    def trip(self, calls):
        """Send and receive; the first error is raised as psycopg would."""
        pg, results, failed = self.pg, [], None
        if self.raw.closed:
            raise psycopg.OperationalError("the connection is closed")
        pg.enter_pipeline_mode()
        for call in calls:
            call()
        pg.pipeline_sync()
        pg.flush()
        while True:
            while pg.is_busy():
                self.readable.poll()
                pg.consume_input()
            result = pg.get_result()
            if result is None:
                continue
            status = result.status
            if status == ExecStatus.PIPELINE_SYNC:
                break
            if status in BAD and failed is None:
                failed = result
            results.append(result)
        pg.exit_pipeline_mode()
        if failed is not None:
            raise psycopg.errors.error_from_result(failed, encoding="utf-8")
        return results


def session():
    """The Session of this thread's connection."""
    if connection.connection is None:
        connection.ensure_connection()
    raw = connection.connection
    found = getattr(raw, "fhir_session", None)
    if found is None:
        found = raw.fhir_session = Session(raw)
    return found


_numbered = {}


def numbered(text):
    """%s places as $1, $2, ...; bytes."""
    found = _numbered.get(text)
    if found is None:
        parts = text.split("%s")
        done = parts[0] + "".join(f"${n}{part}" for n, part in enumerate(parts[1:], 1))
        found = done.replace("%%", "%").encode()
        if len(_numbered) < 4096:
            _numbered[text] = found
    return found


def execute(text, params=(), prepare=True):
    """Run one statement; its rows as tuples. `prepare` False: a shape that is not seen again."""
    here = session()
    result = here.run([(text, params, prepare)])[0]
    if result.status != ExecStatus.TUPLES_OK:
        return []
    loader = Transformer(here.raw)
    loader.set_pgresult(result, set_loaders=True, format=1)
    return loader.load_rows(0, result.ntuples, tuple)


def queue(text, params=()):
    """Send a statement with the COMMIT of this transaction; its failure fails the commit."""
    if not connection.in_atomic_block:
        execute(text, params)
    else:
        session().queued.append((text, params, True))


def cursor():
    """A psycopg cursor in the current transaction, for COPY."""
    here = session()
    if here.begin is not None:
        here.run([])
    return psycopg.Cursor(here.raw)


@contextmanager
def atomic(snapshot=False):
    """One transaction; with `snapshot` everything read in it is of one moment (REPEATABLE READ).

    Inside another one it is a savepoint. Django's ORM and on_commit work in it as in Django's own atomic.
    """
    here = session()
    if connection.in_atomic_block:
        if here.begin is not None:
            here.run([])
        with transaction.atomic():
            yield
        return
    here.begin, here.queued = BEGIN[snapshot], []
    connection.in_atomic_block, connection.needs_rollback = True, False
    connection.autocommit = False  # or Django would make no savepoint inside
    try:
        yield
        if here.begin is None or here.queued:
            committed = here.run([*here.queued, ("COMMIT", (), False)])[-1]
            if committed.command_status != b"COMMIT":  # a failed statement went unnoticed: nothing was kept
                raise errors.Busy("The transaction could not be committed.")
    except BaseException:
        connection.run_on_commit = []
        if here.pg.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
            here.trip([lambda: here.pg.send_query_params(b"ROLLBACK", ())])
        raise
    finally:
        here.begin, here.queued = None, []
        connection.in_atomic_block, connection.autocommit = False, True
        connection.savepoint_ids = []
    connection.run_and_clear_commit_hooks()


def retried(work):
    """Run `work` until no other transaction is in its way; Busy after TRIES.

    A deadlock, a serialization failure or a lost race for an identity rolls the whole interaction back, so that it
    can run again; a lost connection is an answer that nobody knows, and is not run again.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except Exception as error:
            cause = error if isinstance(error, psycopg.Error) else error.__cause__
            if isinstance(cause, RETRIED) and not connection.in_atomic_block:
                time.sleep(0.005 * 3**attempt)
                continue
            raise translated(error, cause) from error
    raise errors.Busy("Too many others write the same resources now; the same request may be sent again.")


def translated(error, cause):
    """The error that the caller is told, when the database is what failed."""
    if isinstance(cause, psycopg.errors.QueryCanceled):
        return errors.Busy("The request took longer than the server allows.", retry_after=5)
    if isinstance(cause, psycopg.errors.InsufficientResources | psycopg.errors.DiskFull):
        return errors.Busy("The database has no room for this now.", retry_after=30)
    if isinstance(error, OperationalError | InterfaceError) or isinstance(
        cause, psycopg.OperationalError | psycopg.InterfaceError
    ):
        connection.close()
        return errors.Busy("The database cannot be reached now.", retry_after=2)
    return error


def insert(table, columns, types, rows):
    """Insert rows (tuples in the order of columns; PostgreSQL type names) by COPY, or by INSERT when few."""
    if not rows:
        return
    if len(rows) < COPY_FROM:
        execute(*insertion(table, columns, types, rows))
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
    names = ", ".join(map(quoted, columns))
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([values] * len(rows))}", [v for row in rows for v in row]


def quoted(name):
    return f'"{name}"'


def lock(*keys):
    """Hold these 64-bit advisory locks until the transaction ends; sorted, so that two holders cannot deadlock."""
    if keys:
        execute("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k", (sorted(set(keys)),))
