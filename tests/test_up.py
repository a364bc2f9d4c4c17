"""`manage.py up` with real processes: starts, restarts what dies, refuses, and leaves nothing. Faults F04, F05, F25."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest
from django.core.management import call_command

from fhirserver.embedded import Folder, Postgres, environment
from fhirserver.embedded.binaries import account, programs
from fhirserver.embedded.folder import APP
from fhirserver.embedded.reach import connected
from fhirserver.processors import processor

CHECKOUT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(CHECKOUT / "manage.py")]
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL", "FHIRSERVER_DATA")}
pytestmark = pytest.mark.xdist_group("up")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Up:
    """A server as a person starts it."""

    def __init__(self, data, *options, **environment):
        self.data, self.port = data, free_port()
        command = [*MANAGE, "up", "--port", str(self.port), "--data", str(data), *options]
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdout=self.output, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT | environment
        )

    @property
    def text(self):
        self.output.seek(0)
        return self.output.read()

    def wait_until_ready(self, within=60):
        deadline = time.monotonic() + within
        while "Ctrl-C" not in self.text:
            assert self.process.poll() is None and time.monotonic() < deadline, self.text
            time.sleep(0.05)
        return self

    @property
    def token(self):
        return re.search(r"token +(\S+)", self.text)[1]

    def get(self, path, token=None):
        """Status of a GET; 0 when nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def children(self, part):
        """Living processes below the supervisor whose command line has this part."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if part in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def all_processes(self):
        return [self.process.pid, *(child.pid for child in self.children(""))]

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        return code, time.monotonic() - began


def eventually(true, within=15):
    """The first true value of a question asked again and again."""
    deadline = time.monotonic() + within
    while not (value := true()):
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.05)
    return value


def living(pids):
    alive = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
    return alive


@pytest.fixture(scope="module")
def folder():
    parent = Path(tempfile.mkdtemp(prefix="fhirserver-up-"))
    yield parent
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def up(folder):
    """One server for the tests below, in their order; the last ones kill it."""
    server = Up(folder / "data", "--empty").wait_until_ready()
    yield server
    if server.process.poll() is None:
        server.stop()


def clean_shutdown(data):
    """What PostgreSQL itself says of the last shutdown."""
    program = programs(account(data / "postgres" / "data")) / "pg_controldata"
    output = subprocess.run([program, data / "postgres" / "data"], capture_output=True, text=True, check=True).stdout
    return re.search(r"Database cluster state: +(.*)", output)[1] == "shut down"


def test_it_answers_and_hands_out_a_token(up):
    assert up.get("/health") == up.get("/ready") == 200
    assert up.get("/fhir/Patient/nobody") == 401
    assert up.get("/fhir/Patient/nobody", up.token) == 404


def test_it_listens_on_this_machine_only(up):
    web = [c for process in up.children("granian") for c in process.net_connections("tcp") if c.status == "LISTEN"]
    assert {connection.laddr.ip for connection in web} == {"127.0.0.1"}
    postgres = up.children("/proc/self/cwd")
    assert len(postgres) == 1 and not postgres[0].net_connections("tcp")


def test_a_web_process_keeps_to_one_processor_where_there_are_enough_of_them(up):
    usable = os.sched_getaffinity(0)
    for number in (1, 2):
        (web,) = up.children(f"worker-{number}")
        chosen = processor(f"worker-{number}", 2, usable, "auto")
        threads = [int(each.name) for each in Path(f"/proc/{web.pid}/task").iterdir()]
        assert {frozenset(os.sched_getaffinity(t)) for t in threads} == {
            frozenset(usable if chosen is None else {chosen})
        }


@pytest.mark.parametrize("title, workers, usable, wish, chosen", [
    ("up wsgi worker-1", 2, {0, 1}, "auto", 0),
    ("up wsgi worker-2", 2, {0, 1}, "auto", 1),
    ("up wsgi worker-3", 4, {3, 7}, "auto", 3),
    ("up wsgi worker-1", 2, {0, 1, 2, 3}, "auto", None),
    ("up wsgi worker-2", 2, {0, 1, 2, 3}, "always", 1),
    ("up wsgi worker-2", 2, {0, 1}, "never", None),
    ("python manage.py reindex", 2, {0, 1}, "always", None),
])  # fmt: skip
def test_the_processor_of_a_web_process(title, workers, usable, wish, chosen):
    assert processor(title, workers, usable, wish) == chosen


def test_no_secret_is_in_a_command_line_or_environment(up):
    secrets = [path.read_text().strip() for path in (up.data / "secrets").iterdir()]
    assert secrets
    for process in psutil.Process(up.process.pid).children(recursive=True):
        shown = " ".join(process.cmdline())
        with contextlib.suppress(psutil.AccessDenied):
            shown += str(process.environ())
        assert not [secret for secret in secrets if secret in shown]


def test_a_second_server_is_refused(up, folder):
    same_folder = subprocess.run(
        [*MANAGE, "up", "--port", str(free_port()), "--data", str(up.data)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=30,
    )  # fmt: skip
    assert same_folder.returncode == 1 and "is in use by up" in same_folder.stderr
    same_port = subprocess.run(
        [*MANAGE, "up", "--port", str(up.port), "--data", str(folder / "other"), "--empty"],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=30,
    )  # fmt: skip
    assert same_port.returncode == 1 and f"Port {up.port}" in same_port.stderr
    assert up.get("/ready") == 200


def test_demo_people_are_not_served_to_other_machines(folder):
    refused = subprocess.run(
        [*MANAGE, "up", "--port", str(free_port()), "--host", "0.0.0.0", "--data", str(folder / "other")],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=30,
    )  # fmt: skip
    assert refused.returncode == 1 and "Demo people" in refused.stderr


def test_a_setting_that_makes_no_sense_is_named(folder):
    refused = subprocess.run(
        [*MANAGE, "up", "--port", str(free_port()), "--data", str(folder / "other"), "--empty"],
        capture_output=True, text=True, env=ENVIRONMENT | {"FHIRSERVER_MAX_BODY": "50 MB"}, timeout=30,
    )  # fmt: skip
    assert refused.returncode == 1 and "FHIRSERVER_MAX_BODY='50 MB' is not a whole number" in refused.stderr


def issue_token(data):
    command = [*MANAGE, "issue_token", "--data", str(data), "--client", "test", "--scope", "system/*.rs"]
    issued = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert issued.returncode == 0, issued.stderr
    return issued.stdout.splitlines()[-1]


def test_a_token_is_issued_while_the_server_is_up(up):
    assert up.get("/fhir/Patient/nobody", issue_token(up.data)) == 404


@pytest.mark.parametrize("part", ["worker-1", "fhirserver.wsgi:application", "celery"])
def test_a_process_killed_with_9_is_replaced(up, part):
    """A web process, the master of the web processes, the worker: the others go on or go with it."""
    before = {process.pid for process in up.children(part)}
    victim = min(before)  # the master is older than its web processes
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: {process.pid for process in up.children(part)} - before)
    eventually(lambda: len(up.children("granian wsgi")) == 3 and all(up.get("/ready") == 200 for _ in range(4)))
    if part == "fhirserver.wsgi:application":
        assert not living(before), "web processes outlived their master"


def test_the_database_killed_with_9_recovers_under_the_running_server(up):
    (postmaster,) = up.children("/proc/self/cwd")
    os.kill(postmaster.pid, signal.SIGKILL)
    eventually(lambda: [p for p in up.children("/proc/self/cwd") if p.pid != postmaster.pid])
    eventually(lambda: [up.get("/fhir/Patient/nobody", up.token) for _ in range(6)] == [404] * 6)


def make_older(data, django_db_blocker):
    """Take back the migrations of one application, as if the folder were of a commit before it."""
    folder = Folder.at(data)
    with folder.lock("tests"), Postgres(folder), connected(environment(data)), django_db_blocker.unblock():
        call_command("migrate", "guardian", "zero", database="owner", verbosity=0)
        assert not migrated(data)


def migrated(data):
    with psycopg.connect(Folder.at(data).url(APP)) as session:
        return session.execute("SELECT to_regclass('guardian_userobjectpermission') IS NOT NULL").fetchone()[0]


def test_nothing_outlives_kill_9_of_the_supervisor_and_the_next_start_serves(up, django_db_blocker):
    everything = up.all_processes()
    assert len(everything) > 10
    up.process.kill()
    up.process.wait()
    eventually(lambda: not living(everything), within=5)
    make_older(up.data, django_db_blocker)
    again = Up(up.data).wait_until_ready()
    try:
        assert again.get("/fhir/Patient/nobody", up.token) == 404, "a token issued before the crash"
        assert migrated(up.data), "the folder of an older commit was not brought up to date"
        everything = again.all_processes()
    finally:
        code, seconds = again.stop()
    assert code == 0, again.text
    assert seconds < 10
    assert not living(everything)
    assert clean_shutdown(up.data)


def test_a_token_is_issued_while_the_server_is_down(up):
    assert len(issue_token(up.data)) > 20
    assert clean_shutdown(up.data)


def test_ctrl_c_while_it_starts_leaves_nothing(folder):
    """At moments from the first line on."""
    for moment in (0.5, 1.5):
        server = Up(folder / "early", "--empty")
        time.sleep(moment)
        everything = server.all_processes()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) in (0, 1, 130, -signal.SIGINT), server.text
        eventually(lambda pids=everything: not living(pids), within=2)
