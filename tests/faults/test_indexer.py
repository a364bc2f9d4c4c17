"""Broker and worker die, messages are lost or come twice: the index catches up by itself. (F23 to F29)"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from fhirserver.embedded import environment
from fhirserver.embedded.child import launch
from tests.conftest import need
from tests.faults.checks import everything, no_drift
from tests.faults.client import bundle, entry, marked, marker
from tests.faults.conftest import FAST
from tests.faults.load import Load
from tests.faults.server import Server, kill
from tests.test_up import CHECKOUT, eventually

pytestmark = pytest.mark.xdist_group("faults")
HOUR = [pytest.mark.long, pytest.mark.timeout(3600)]


class Redis:
    """A redis-server that can die and come back on the same port."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        program = need("redis-server")
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        command = launch(program, "--port", self.port, *options, "--dir", self.folder)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def call(self, *command):
        import redis

        with redis.Redis(port=self.port) as client:
            return client.execute_command(*command)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Redis(tmp_path_factory.mktemp("redis"))
    yield broker
    if broker.process.poll() is None:
        broker.kill()


@pytest.fixture(scope="module")
def queued(broker):
    """A server whose worker is woken through Redis."""
    server = Server(FAST, REDIS_URL=broker.url)
    yield server
    server.stop()


def observations(server, count):
    """One Bundle of observations of one new patient, and the search that only the indexer can answer."""
    client, patient = server.client(), marker()
    subject = {"subject": {"reference": f"Patient/{patient}"}}
    entries = [entry("PUT", f"Patient/{patient}", marked("Patient", patient, id=patient))]
    entries += [entry("POST", "Observation", marked("Observation", marker(), **subject)) for _ in range(count)]
    assert client.post("", bundle(*entries)).status == 200
    return patient


def found(server, patient):
    return server.client().get(f"/Observation?subject=Patient/{patient}&_summary=count").tree["total"]


@pytest.mark.needs_redis
def test_F23_redis_is_down(queued, broker):
    """Writes and searches go on as fast as before; the sweep of the worker indexes what no message told it."""
    broker.kill()
    try:
        times = []
        for _ in range(20):
            began = time.monotonic()
            patient = observations(queued, 3)
            assert found(queued, patient) == 3, "a search sees what was written before it"
            times.append(time.monotonic() - began)
        assert sorted(times)[10] < 1, times
        queued.drained(10)
    finally:
        broker.start()
    everything(queued)
    assert queued.log() == []


@pytest.mark.needs_redis
@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["kill -9", "FLUSHALL"])
def test_F24_redis_loses_what_it_had(queued, broker, how, kills):
    with Load(queued, writers=3, seed=kills) as load:
        for _ in range(kills):
            time.sleep(0.5)
            if how == "FLUSHALL":
                broker.call("FLUSHALL")
            else:
                broker.kill()
                time.sleep(0.3)
                broker.start()
    assert set(load.statuses()) <= {200, 201}
    everything(queued, load.log)


@pytest.mark.needs_redis
@pytest.mark.parametrize("kills", [pytest.param(6), pytest.param(60, marks=pytest.mark.long)])
def test_F24_the_worker_hears_messages_again_after_redis_came_back(queued, broker, kills):
    """Also when Redis went away while tasks ran, so that the worker could not say that they were done."""
    with Load(queued, writers=3, seed=24):
        for _ in range(kills):
            time.sleep(0.5)
            broker.kill()
            time.sleep(0.3)
            broker.start()
    assert published(queued, 3) == 3
    eventually(lambda: broker.call("LLEN", "records") == 0, 60)
    queued.drained()


@pytest.mark.needs_redis
def test_F29_messages_that_come_twice_or_tell_of_nothing_change_nothing(queued, broker):
    """The same wake-up a hundred times, and some for which there is no work: one effect."""
    patient = observations(queued, 5)
    queued.drained()
    rows = queued.ask("SELECT * FROM token ORDER BY key, resource")
    first = published(queued, 100)
    assert first == 100
    eventually(lambda: broker.call("LLEN", "records") == 0, 80)
    assert queued.ask("SELECT * FROM token ORDER BY key, resource") == rows
    assert found(queued, patient) == 5
    no_drift(queued)


def published(server, count):
    """Wake-ups sent by a process of ours, as the server's own are."""
    program = (
        "import os; from fhirserver.celery import app; from records.indexing.tasks import index_pending\n"
        f"print(len([index_pending.apply_async() for _ in range({count})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()\n" + program],
        env=child_environment(server), cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def child_environment(server):
    given = environment(server.path) | server.environment | {"DJANGO_SETTINGS_MODULE": "fhirserver.settings"}
    return {k: v for k, v in (dict(os.environ) | given).items() if v}


@contextlib.contextmanager
def indexing_held(server):
    """Whoever makes index rows of an Observation waits in the middle of it."""
    with server.session() as holder:
        holder.execute("SELECT pg_advisory_lock(4243)")
        holder.execute(
            "CREATE OR REPLACE FUNCTION hold_index() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM pg_advisory_xact_lock_shared(4243); RETURN NULL; END $$"
        )
        holder.execute("CREATE TRIGGER held AFTER INSERT ON date FOR EACH STATEMENT EXECUTE FUNCTION hold_index()")
        holder.execute("CREATE TRIGGER held AFTER INSERT ON reference FOR EACH STATEMENT EXECUTE FUNCTION hold_index()")
        try:
            yield
        finally:
            holder.execute("SELECT pg_advisory_unlock_all()")
            holder.execute("SET lock_timeout = '30s'")
            holder.execute("DROP TRIGGER held ON date")
            holder.execute("DROP TRIGGER held ON reference")


@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(200, marks=HOUR)])
def test_F25_the_worker_is_killed_in_the_middle_of_a_task(server, kills):
    """The rows go back, the next worker takes them; one effect."""
    for _ in range(kills):
        with indexing_held(server):
            patient = observations(server, 20)
            server.wait_for("advisory")
            (worker,) = eventually(server.worker)
            kill(worker.pid)
        assert found(server, patient) == 20
        eventually(lambda w=worker: [p for p in server.worker() if p.pid != w.pid], 60)  # `up` pauses longer each time
        server.drained()
    everything(server)


def test_F27_a_task_that_another_worker_takes_for_lost_is_done_once(server):
    """Two more workers at once on the same queue, one of them stopped in its task: nothing is made twice."""
    with extra_worker(server, "solo"), indexing_held(server):
        patient = observations(server, 20)
        server.wait_for("advisory")
        published_here(server, 20)
        observations(server, 20)
        time.sleep(1)
    server.drained()
    assert found(server, patient) == 20
    everything(server)


def published_here(server, count):
    assert published(server, count) == count


@contextlib.contextmanager
def extra_worker(server, pool, *options):
    """A worker beside the server's own, as a larger installation has it."""
    arguments = ["-m", "celery", "--quiet", "-A", "fhirserver.celery:app", "worker", "--queues", "records"]
    arguments += ["--pool", pool, *options, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    arguments += ["--hostname", f"extra-{marker()[:6]}@localhost"]
    with open(server.path / "log" / "extra.log", "ab") as log:
        process = subprocess.Popen(
            launch(sys.executable, *arguments, folder=CHECKOUT), env=child_environment(server), stdout=log, stderr=log
        )
    try:
        eventually(lambda: "ready" in (server.path / "log" / "extra.log").read_text(), 30)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.needs_redis
@pytest.mark.parametrize("kills", [pytest.param(1), pytest.param(20, marks=pytest.mark.long)])
def test_F26_a_child_of_a_pool_is_killed_in_its_task(queued, kills):
    """A prefork worker, the server's own being stopped: the killed child's task is done by the next."""
    with extra_worker(queued, "prefork", "--concurrency", "1") as master:
        (own,) = queued.worker()
        os.kill(own.pid, signal.SIGSTOP)
        try:
            for _ in range(kills):
                with indexing_held(queued):
                    patient = observations(queued, 10)
                    queued.wait_for("advisory", within=20)
                    for child in psutil.Process(master.pid).children(recursive=True):
                        kill(child.pid)
                queued.drained(30)
                assert found(queued, patient) == 10
        finally:
            os.kill(own.pid, signal.SIGCONT)
    everything(queued)


def test_F28_a_write_whose_message_was_never_sent_is_indexed(server):
    """The web processes die between COMMIT and the wake-up, which is sent from a thread of its own."""
    patients = []
    for _ in range(3):
        patients.append(observations(server, 5))
        server.kill_webs()
        server.ready()
    server.drained()
    assert [found(server, patient) for patient in patients] == [5, 5, 5]
    everything(server)
