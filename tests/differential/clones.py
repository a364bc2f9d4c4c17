"""Two databases that differ by one resource, with one clock and one source of ids; a request is put to both.

The resource was written in both and its rows were taken out of one, so that sequences and everything beside it agree.
"""

import uuid
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from types import SimpleNamespace

import psycopg
from django.db import connections

from accessctl.audit import recorder
from fhirserver import endpoint
from fhirserver.embedded.folder import DATABASE, SUPERUSER, Folder
from records.database import pool
from records.resources import store

FREEZE = """
    CREATE SCHEMA frozen;
    CREATE FUNCTION frozen.clock_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
        AS $$ SELECT '2026-06-01 12:00:00.123+00'::timestamptz $$;
    GRANT USAGE ON SCHEMA frozen TO PUBLIC
"""
OF_A_RESOURCE = """
    SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
    USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
    AND (column_name = 'resource' AND data_type = 'bigint' OR (table_name, column_name) = ('resource', 'pk'))
"""
NAMES = ("with_it", "without_it")
record = import_module("accessctl.audit.record")  # the package has a function of this name
MOMENT = 1_780_315_200  # of the first audit record, in seconds; each request is one later


class Numbers(recorder.Numbers):
    """One after the other, however long it takes."""

    def __init__(self):
        super().__init__()
        self.next = count(1_000_000)

    def take(self, count):
        return [next(self.next) for _ in range(count)]


@contextmanager
def superuser(addresses, database="postgres"):
    url = Folder.at(addresses["FHIRSERVER_DATA"]).url(SUPERUSER, database)
    with psycopg.connect(url, autocommit=True) as session:
        yield session


def leave():
    """Close what this process has open to the database: a template must be nobody's."""
    pool.reset()
    connections.close_all()


class Clones:
    """The pair; `ask` puts one request to both and gives both answers."""

    def __init__(self, addresses, item):
        self.addresses, self.asked = addresses, 0
        self.sides = []
        leave()
        with superuser(addresses) as session:
            for name in NAMES:
                session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (DATABASE,),
                )
                session.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
        for name in NAMES:
            with superuser(addresses, name) as session:
                session.execute(FREEZE)
                if name == NAMES[1]:
                    take_out(session, item)
        for name in NAMES:
            parameters = pool.parameters() | {"dbname": name}
            parameters["options"] += " -c search_path=frozen,pg_catalog,public"
            self.sides.append((pool.Pool(parameters, 4), Numbers()))

    @contextmanager
    def side(self, n):
        """What this process does inside is done on one of the two."""
        before = pool._pool, recorder.numbers, store.new_id, record.time, endpoint.uuid
        counted = iter(range(10**9))
        pool._pool, recorder.numbers = self.sides[n]
        store.new_id = lambda: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.asked}/{next(counted)}"))
        asked = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.asked}")
        endpoint.uuid = SimpleNamespace(uuid4=lambda: asked)
        record.time = SimpleNamespace(time_ns=lambda: (MOMENT + self.asked) * 10**9)
        try:
            yield
        finally:
            pool._pool, recorder.numbers, store.new_id, record.time, endpoint.uuid = before

    def ask(self, who, request):
        self.asked += 1
        answers = []
        for n in range(2):
            with self.side(n):
                answers.append(request.sent(who))
        return answers

    def close(self):
        for connected, _ in self.sides:
            connected.close()
        with superuser(self.addresses) as session:
            for name in NAMES:
                session.execute(f"DROP DATABASE {name} WITH (FORCE)")


def take_out(session, item):
    """Every row of a resource, as if it had never been written."""
    type, id = item
    from records.keys import identity

    [(pk,)] = session.execute("SELECT pk FROM resource WHERE identity = %s", (identity(type, id),)).fetchall()
    for table, column in session.execute(OF_A_RESOURCE).fetchall():
        session.execute(f'DELETE FROM "{table}" WHERE {column} = %s', (pk,))
    session.execute("DELETE FROM replay")
    session.execute("VACUUM ANALYZE")
