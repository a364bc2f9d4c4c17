"""The connections of this process: few, lent for a transaction or a statement, made when needed."""

import os
import threading
from contextlib import contextmanager

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
    """Connections to one database as one role."""

    def __init__(self, parameters, size):
        self.parameters = parameters
        self.idle = []
        self.guard = threading.Lock()
        self.free = threading.BoundedSemaphore(size)

    @contextmanager
    def lent(self):
        """A usable Session; Busy when none becomes free in time."""
        if not self.free.acquire(timeout=left(settings.FHIRSERVER_PATIENCE_MS / 1000)):
            raise errors.Busy("All database connections are in use.", retry_after=2)
        try:
            session = self._take()
            try:
                yield session
            finally:
                self._give(session)
        finally:
            self.free.release()

    def _take(self):
        while True:
            with self.guard:
                session = self.idle.pop() if self.idle else None
            if session is None:
                return Session(psycopg.connect(**self.parameters | self._hurry(), autocommit=True))
            if session.usable:
                return session
            session.close()

    def _hurry(self):
        """The patience that the deadline leaves for connecting; libpq's least is two seconds."""
        patience = int(self.parameters.get("connect_timeout", 5))
        return {"connect_timeout": max(2, int(left(patience)))}

    def _give(self, session):
        if session.usable:
            with self.guard:
                self.idle.append(session)
        else:
            session.close()

    def close(self):
        """Close what is idle; what is lent is closed when it comes back to a pool that nobody asks."""
        with self.guard:
            idle, self.idle = self.idle, []
        for session in idle:
            session.close()


_pool = None
_known = None
_guard = threading.Lock()


def pool():
    """The Pool of this process for the database that the settings name now."""
    global _pool, _known
    described = connections.settings["default"]
    known = (os.getpid(), described["HOST"], described["PORT"], described["NAME"], described["USER"])
    if known != _known:
        with _guard:
            if known != _known:
                if _pool is not None and _known[0] == known[0]:
                    _pool.close()
                _pool = Pool(parameters(), settings.FHIRSERVER_CONNECTIONS)
                _known = known
    return _pool


def parameters():
    """What libpq needs, as Django would give it; times in UTC."""
    given = connections["default"].get_connection_params()
    found = {name: given[name] for name in OURS if given.get(name)}
    found["options"] = f"{found.get('options', '')} -c TimeZone=UTC".strip()
    return found
