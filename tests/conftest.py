"""What the tests run on: a real PostgreSQL of their own, as the application role, never an in-memory stand-in.

django_db (mark)   one test inside a transaction that is rolled back
database           a clean database in which the test commits for real: threads, processes, conflicts
addresses          DATABASE_URL and the like, for processes that a test starts
redis_url          a real redis-server
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from fhirserver.embedded import Folder, Postgres, environment
from fhirserver.embedded.child import launch
from fhirserver.embedded.reach import connected

CI = os.environ.get("CI") == "true"
REAL_PARTS = ("needs_redis", "browser")  # marks of tests that need a program which a machine may lack


def need(program):
    """The path of a program; without it the test is skipped, in CI it fails."""
    if path := shutil.which(program):
        return path
    (pytest.fail if CI else pytest.skip)(f"{program} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a test that skips although it needs a real part has failed."""
    report = yield
    if CI and report.skipped and any(item.get_closest_marker(mark) for mark in REAL_PARTS):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def addresses(tmp_path_factory):
    """A PostgreSQL for this test process alone; it dies with the process whatever happens."""
    folder = Folder.at(tempfile.mkdtemp(prefix="fhirserver-tests-"))
    with folder.lock("tests"):
        postgres = Postgres(folder, fsync=False).start()
        try:
            yield environment(folder.path)
        finally:
            postgres.stop(timeout=5)
    shutil.rmtree(folder.path)


@pytest.fixture(scope="session")
def django_db_setup(addresses, django_db_blocker):
    """Migrations run as the owner, the tests as the application role. (replaces pytest-django's own)"""
    from django.core.management import call_command
    from django.db import connections

    with connected(addresses), django_db_blocker.unblock():
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            tables = [name for (name,) in cursor.fetchall()]
            seeded = rows_in(cursor, tables)
        TABLES[:] = [name for name in tables if name not in seeded]
        yield


@pytest.fixture(autouse=True)
def asking():
    """What a test asks the database itself it sees; what it asks the server begins, as any request, as nobody's."""
    from django.test.client import ClientHandler

    from accessctl.models import AuditRecord
    from records.database.asking import NOBODY, as_system, asked_by
    from records.resources.models import Resource

    answer = ClientHandler.__call__

    def as_nobody(self, environ):
        with asked_by(NOBODY):
            return answer(self, environ)

    with pytest.MonkeyPatch.context() as patch, as_system():
        patch.setattr(ClientHandler, "__call__", as_nobody)
        for model in (AuditRecord, Resource):  # the server never asks for these by Django: tests/attacks/test_wall.py
            patch.setattr(model, "objects", model.objects.db_manager("owner"))
        yield


TABLES = []  # those that migrations left empty: what a test writes to


def rows_in(cursor, tables):
    """Which of the tables have rows."""
    if not tables:
        return set()
    cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM \"{name}\" LIMIT 1)" for name in tables))
    return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def database(django_db_setup, django_db_blocker):
    """A clean database; what the test commits is seen by every process, and swept after it."""
    from django.db import connections

    with django_db_blocker.unblock():
        sweep()  # also what a process of an earlier test has written since
        yield
        sweep()  # for the tests that only look, in transactions of their own
        connections.close_all()


def sweep():
    """Empty the tables that tests write to."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        if used := rows_in(cursor, TABLES):
            cursor.execute("SET lock_timeout = '10s'")  # a session that an earlier test left in a transaction
            if "audit" in used:  # its numbers never come twice: processes hold some
                used.remove("audit")
                cursor.execute("TRUNCATE audit")
                forget_tail()
            if used:
                names = ", ".join(f'"{name}"' for name in sorted(used))
                cursor.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


def forget_tail():
    """What the audit keeps off the database would rightly say that the records were removed."""
    from accessctl.audit import journal

    if journal.folder():
        shutil.rmtree(journal.folder() / "tail", ignore_errors=True)
        if journal._tail._fd is not None:
            os.close(journal._tail._fd)
        journal._tail = journal.Tail()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A real redis-server for this test process alone."""
    program = need("redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = launch(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(10)
