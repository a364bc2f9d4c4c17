"""The connections of this process: few, lent for a transaction or a statement, made when needed."""

import os
import threading
from collections import deque
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import psycopg
from django.conf import settings
from django.db import connections

from .. import errors
from .deadline import left
from .session import Session

OURS = ("host", "port", "dbname", "user", "password", "options", "connect_timeout", "application_name", "sslmode",
        "sslrootcert", "sslcert", "sslkey", "target_session_attrs", "tcp_user_timeout", "keepalives_idle",
        "keepalives_interval", "keepalives_count")  # fmt: skip


class Pool:
    """Connections to one database as one role, made when needed: so many may be lent, those at rest wait in a stack.

    The one given back last is lent next: what it has prepared is in the caches, and what nobody needs is not made.
    """

    def __init__(self, parameters, size):
        self.parameters = parameters
        self.free = SimpleQueue()  # a permission to lend for each place; threads wait here
        self.rested = deque()
        for _ in range(size):
            self.free.put(True)

    @contextmanager
    def lent(self):
        """A usable Session; Busy when none becomes free in time."""
        try:
            self.free.get(timeout=left(settings.FHIRSERVER_PATIENCE_MS / 1000))
        except Empty:
            raise errors.Busy("All database connections are in use.", retry_after=2) from None
        session = None
        try:
            session = self._rested()
            if session is None or not session.usable():
                if session is not None:
                    session.close()
                    session = None
                session = Session(psycopg.connect(**self.parameters | self._hurry(), autocommit=True))
            yield session
        finally:
            if session is not None:
                if session.idle():
                    self.rested.append(session)
                else:
                    session.close()
            self.free.put(True)

    def _rested(self):
        try:
            return self.rested.pop()
        except IndexError:
            return None

    def _hurry(self):
        """The patience that the deadline leaves for connecting; libpq's least is two seconds."""
        patience = left(int(self.parameters.get("connect_timeout", 5)))
        if patience < 2:
            raise errors.Busy("The database did not answer in time.", retry_after=5)
        return {"connect_timeout": int(patience)}

    def close(self):
        """Close what is idle; what is lent is closed when its connection is."""
        try:
            while True:
                self.rested.pop().close()
        except IndexError:
            return


_pool = None
_guard = threading.Lock()


def pool():
    """The Pool of this process for the database that the settings name."""
    global _pool
    if _pool is None:
        with _guard:
            if _pool is None:
                _pool = Pool(parameters(), settings.FHIRSERVER_CONNECTIONS)
    return _pool


def reset():
    """Use other connections from here on: the settings name another database."""
    global _pool
    with _guard:
        before, _pool = _pool, None
    if before is not None:
        before.close()


def after_fork():
    """The connections of the parent are not the child's; nor is a lock that another thread of it held."""
    global _pool, _guard
    _pool, _guard = None, threading.Lock()


os.register_at_fork(after_in_child=after_fork)


def parameters(alias="default"):
    """What libpq needs, as Django would give it; times in UTC."""
    given = connections[alias].get_connection_params()
    found = {name: given[name] for name in OURS if given.get(name)}
    found["options"] = f"{found.get('options', '')} -c TimeZone=UTC".strip()
    return found
