"""A server as `manage.py up` runs it, and the means to hold, kill and look inside its parts."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg

from fhirserver.embedded import Folder
from fhirserver.embedded.folder import DATABASE, SUPERUSER
from tests.faults.client import Client
from tests.test_up import Up, eventually, living

HELD = 4242  # the advisory lock at which a held transaction waits
HELD_TYPE = "Basic"  # what is written of this type waits there
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'fhirserver' AND wait_event = %s"


class Server:
    """`up` on a folder of its own, empty; `database` is the folder of its PostgreSQL when that is another."""

    def __init__(self, conf="", database=None, **environment):
        self.path = Path(tempfile.mkdtemp(prefix="ff-"))
        (self.path / "postgres.conf").write_text(conf)
        self.environment = environment
        self.database = Folder.at(database or self.path)
        self.up = None
        self.start()

    def start(self):
        self.up = Up(self.path, "--empty", **self.environment).wait_until_ready(120)
        self.token = self.up.token
        return self

    def stop(self):
        if self.up.process.poll() is None:
            self.up.stop()
        shutil.rmtree(self.path)

    def client(self, timeout=30):
        return Client(self.up.port, self.token, timeout)

    # -- its database ----------------------------------------------------------------------------------------------

    def session(self):
        """A session of the superuser, in autocommit, as soon as the database gives one."""
        url, deadline = self.database.url(SUPERUSER, DATABASE), time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(url, autocommit=True, application_name="tests")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def ask(self, statement, *params):
        with self.session() as session:
            cursor = session.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement, *params):
        return self.ask(statement, *params)[0][0]

    @contextlib.contextmanager
    def held(self, moment="commit", type=HELD_TYPE):
        """Writes of the type wait in their transaction: at its COMMIT, or when they insert the row (`write`).

        Yields the function that lets them go; a callable so that a test may kill somebody before.
        """
        from records.definitions.structures import type_number

        how = "CONSTRAINT TRIGGER held AFTER INSERT ON version DEFERRABLE INITIALLY DEFERRED"
        if moment == "write":
            how = "TRIGGER held AFTER INSERT ON version"
        with self.session() as holder:
            holder.execute("SELECT pg_advisory_lock(%s)", [HELD])
            holder.execute(
                "CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN NULL; END $$"
            )
            holder.execute(f"CREATE {how} FOR EACH ROW WHEN (NEW.type = {type_number(type)}) EXECUTE FUNCTION hold()")
            try:
                yield lambda: holder.execute("SELECT pg_advisory_unlock_all()")
            finally:
                holder.execute("SELECT pg_advisory_unlock_all()")
                holder.execute("SET lock_timeout = '30s'")
                holder.execute("DROP TRIGGER held ON version")

    def wait_for(self, event, count=1, within=15):
        """Until that many sessions of the server wait for the event (pg_stat_activity)."""
        eventually(lambda: self.value(WAITING, event) >= count, within)

    def pending(self):
        return self.value("SELECT count(*) FROM pending")

    def drained(self, within=30):
        """The indexer has caught up by itself."""
        eventually(lambda: self.pending() == 0, within)

    # -- its processes ---------------------------------------------------------------------------------------------

    def webs(self):
        return self.up.children("wsgi:application worker-")

    def worker(self):
        return [p for p in self.up.children("celery") if "MainProcess" in " ".join(p.cmdline())]

    def postmaster(self):
        return self.up.children("/proc/self/cwd")[0]

    def backends(self):
        """Process ids of the sessions of the application."""
        return [
            pid
            for (pid,) in self.ask(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'fhirserver_app'"
            )
        ]

    def kill_webs(self):
        """kill -9 of every web process; the master or the supervisor replaces them."""
        gone = self.webs()
        for process in gone:
            kill(process.pid)
        return gone

    def kill_everything(self):
        """kill -9 of all at once, as a power cut would."""
        everything = self.up.all_processes()
        for pid in everything:  # stopped first, so that none sees another die
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        for pid in everything:
            kill(pid)
        self.up.process.wait()
        eventually(lambda: not living(everything))

    def ready(self, within=30):
        """Both web processes answer."""
        eventually(lambda: len(self.webs()) == 2 and all(self.up.get("/ready") == 200 for _ in range(6)), within)

    def log(self):
        """Lines that say that something unexpected happened."""
        text = (self.path / "log" / "web.log").read_text(errors="replace")
        return [line for line in text.splitlines() if re.search(r"unexpected error|Traceback", line)]


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
