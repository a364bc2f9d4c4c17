"""The database as the hot path uses it: psycopg cursors on Django's connection, transactions, bulk inserts, retries.

Django keeps the connection, the migrations and the settings; statements here are prepared by the server and results
arrive in binary, which Django's own cursors do not do.
"""

import time
from contextlib import contextmanager

import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg import IsolationLevel, sql

from . import errors

COPY_FROM = 16  # rows; below it one INSERT is cheaper than the three messages of COPY
TRIES = 5
RETRIED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation)


def cursor():
    """A psycopg cursor with server-side parameters and binary results, in the current transaction."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)


def execute(text, params=(), prepare=None):
    """Run one statement; all rows as tuples (none when it returns none)."""
    with cursor() as cur:
        cur.execute(text, params, prepare=prepare, binary=True)
        return cur.fetchall() if cur.description else []


@contextmanager
def atomic(snapshot=False):
    """One transaction; with `snapshot` everything read in it is of one moment (REPEATABLE READ)."""
    connection.ensure_connection()
    raw = connection.connection
    outermost = not connection.in_atomic_block
    if outermost:
        raw.isolation_level = IsolationLevel.REPEATABLE_READ if snapshot else IsolationLevel.READ_COMMITTED
    with transaction.atomic():
        yield


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
    with cursor() as cur:
        if len(rows) >= COPY_FROM:
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            with cur.copy(
                sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
            ) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            return
        values = "(" + ", ".join(f"%s::{t}" for t in types) + ")"
        cur.execute(
            f"INSERT INTO {table} ({', '.join(map(quoted, columns))}) VALUES {', '.join([values] * len(rows))}",
            [v for row in rows for v in row],
        )


def quoted(name):
    return f'"{name}"'


def lock(*keys):
    """Hold these 64-bit advisory locks until the transaction ends; sorted, so that two holders cannot deadlock."""
    if keys:
        execute("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k", (sorted(set(keys)),))
