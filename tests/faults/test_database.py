"""The database dies, is slow, or has no room. (F03 F04 F05 F09 F10)"""

import contextlib
import random
import shutil
import subprocess
import tempfile
import time

import psutil
import psycopg
import pytest

from fhirserver.embedded import Folder, Postgres
from fhirserver.embedded.binaries import account, programs
from fhirserver.embedded.folder import APP, DATABASE, OWNER, SUPERUSER
from tests.faults.checks import everything, kept, whole
from tests.faults.client import in_thread, marked, marker, visit
from tests.faults.conftest import FAST
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.server import Server, kill
from tests.test_up import eventually

pytestmark = pytest.mark.xdist_group("faults")
HOUR = [pytest.mark.long, pytest.mark.timeout(3600)]


def heals(server, load, since, within):
    """Seconds until the load is acknowledged again."""
    healed = lambda: [t for t in load.log if t.acknowledged and t.began > since]  # noqa: E731
    eventually(healed, within)
    return min(t.began + t.seconds for t in healed()) - since


@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(20, marks=pytest.mark.long)])
def test_F03_one_backend_killed_under_load(server, kills):
    """All sessions end with it: clients are told 503 with Retry-After, and within 5 s all is as before."""
    chance = random.Random(kills)
    with Load(server, writers=4, seed=kills) as load:
        for _ in range(kills):
            time.sleep(0.8)
            since = time.monotonic()
            kill(chance.choice(server.backends()))
            assert heals(server, load, since + 0.05, 15) < 5
    told = load.statuses()
    assert set(told) <= {200, 201, 503}, told
    assert all(t.retry_after for t in load.log if t.status == 503)
    everything(server, load.log)
    assert server.log() == []


@pytest.mark.parametrize("rounds", [pytest.param(3), pytest.param(100, marks=HOUR)])
def test_F04_the_postmaster_killed_while_clients_write(server, rounds):
    """What was acknowledged is stored; what was not is whole or absent; versions have no gaps."""
    chance, log, unknown = random.Random(rounds), [], 0
    for n in range(rounds):
        with Load(server, writers=6, seed=f"{rounds}/{n}") as load:
            time.sleep(0.3 + chance.random())
            gone = server.postmaster()
            kill(gone.pid)
            eventually(lambda p=gone: [q for q in server.up.children("/proc/self/cwd") if q.pid != p.pid], 30)
            heals(server, load, time.monotonic(), 60)
        log += load.log
        unknown += len(load.unknown)
        assert set(load.statuses()) <= {200, 201, 503, 0}, load.statuses()
        kept(server, load.log)
        whole(server)
    assert unknown, "no request was under way at any of the kills"
    everything(server, log)
    assert server.log() == []


def is_over(process):
    """It may vanish between two looks at it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def test_F04_the_postmaster_killed_again_while_it_recovers(server):
    """Three times as soon as there is a new one: `up` does not give up, and nothing acknowledged is lost."""
    with Load(server, writers=4, seed=4) as load:
        time.sleep(1)
        for _ in range(4):
            postmaster = eventually(lambda: server.up.children("/proc/self/cwd"))[0]
            kill(postmaster.pid)
            eventually(lambda gone=postmaster: is_over(gone))
        since = time.monotonic()
        heals(server, load, since, 60)
    everything(server, load.log)
    assert server.log() == []


@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(20, marks=HOUR)])
def test_F05_everything_killed_at_once(server, rounds):
    """As after a power cut: the next start recovers, every acknowledged write is there, pages and indexes are sound."""
    chance = random.Random(rounds)
    for n in range(rounds):
        with Load(server, writers=6, seed=f"{rounds}/{n}") as load:
            time.sleep(0.5 + chance.random())
            server.kill_everything()
        server.start()
        everything(server, load.log)
        sound(server)


def sound(server):
    """pg_amcheck finds nothing in tables and their indexes."""
    server.ask("CREATE EXTENSION IF NOT EXISTS amcheck")
    user = account(server.database.data)
    command = [programs(user) / "pg_amcheck", "--heapallindexed", server.database.url(SUPERUSER)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


# -- a database behind a network ---------------------------------------------------------------------------------------


class Remote:
    """A PostgreSQL of its own, reached through a proxy, and the server that uses it."""

    def __init__(self, tmp):
        self.folder = Folder.at(tmp)
        self.folder.create()
        (self.folder.path / "postgres.conf").write_text(FAST + "max_connections = 24\n")
        self.postgres = Postgres(self.folder, fsync=False).start()
        self.proxy = Proxy(str(self.folder.sockets / ".s.PGSQL.5432"))
        password = self.folder.secret(f"{APP}.password")
        self.server = Server(
            database=self.folder.path,
            DATABASE_URL=f"postgresql://{APP}:{password}@127.0.0.1:{self.proxy.port}/{DATABASE}?sslmode=disable",
            FHIRSERVER_OWNER_DATABASE_URL=self.folder.url(OWNER),
        )

    def stop(self):
        self.proxy.close()
        self.server.stop()
        self.postgres.stop(timeout=5)


@pytest.fixture(scope="module")
def remote():
    folder = tempfile.mkdtemp(prefix="fd-")
    remote = Remote(folder)
    yield remote
    remote.stop()
    shutil.rmtree(folder)


@pytest.fixture
def slow(remote):
    """The way to the database, restored after the test."""
    yield remote.proxy
    remote.proxy.delay = 0.0
    remote.proxy.flowing.set()
    eventually(lambda: all(remote.server.up.get("/ready") == 200 for _ in range(4)), 20)


def timed(work):
    began = time.monotonic()
    answer = work()
    return answer, time.monotonic() - began


@pytest.mark.parametrize("how", ["two seconds late", "silent"])
def test_F09_a_slow_database_is_answered_for_in_time(remote, slow, how):
    """200 or 503 within 10 s, health says what is; a request is not stuck for good, and all is well at once after."""
    server, mark = remote.server, marker()
    client = server.client()
    eventually(lambda: client.post("/Patient", marked("Patient", marker())).status == 201)
    id = client.post("/Patient", marked("Patient", mark)).id
    log = []
    if how == "silent":
        slow.flowing.clear()
    else:
        slow.delay = 2.2

    def write(n):
        def send():
            return server.client().post("", visit(f"{mark}-{n}"))

        return in_thread(lambda: timed(send))

    requests = [in_thread(lambda: timed(lambda: server.client().get(f"/Patient/{id}"))) for _ in range(2)]
    requests += [write(n) for n in range(4)]
    time.sleep(0.3)
    ready, seconds = timed(lambda: server.up.get("/ready"))
    assert ready == 503 if how == "silent" else ready in (200, 503)
    assert seconds < 15
    assert timed(lambda: server.up.get("/health"))[1] < 10
    for request in requests:
        answer, seconds = request.result(30)
        assert seconds < 20, seconds  # the deadline is 9
        assert answer.status in (200, 503), answer.body
        assert answer.status == 200 or answer.headers["retry-after"]
        log.append(answer.status)
    if how == "silent":
        assert set(log) == {503}
    slow.delay = 0.0
    slow.flowing.set()
    # A connection that was given up costs one more answer of 503; a session of the database whose client went unseen
    # keeps its locks until idle_in_transaction_session_timeout, 60 s, ends it.
    eventually(lambda: all(client.post("", visit(marker())).status == 200 for _ in range(20)), 80)
    whole(server)
    assert server.log() == []


def test_F41_connections_cut_under_load_leave_nothing_half(remote, slow):
    """The way to the database breaks again and again, at any moment: 503, and what it answered for is there."""
    server, chance = remote.server, random.Random(41)
    with Load(server, writers=4, seed=41) as load:
        for _ in range(10):
            time.sleep(0.2 + 0.2 * chance.random())
            slow.cut()
    assert set(load.statuses()) <= {200, 201, 503}, load.statuses()
    assert load.acknowledged and load.unknown
    everything(server, load.log)
    assert server.log() == []


def test_F10_no_connection_to_be_had(remote, slow):
    """Others have taken all: 503 with Retry-After in time, and 5 s after they leave all is well."""
    server = remote.server
    client = server.client()
    url = remote.folder.url(APP)
    taken = []
    try:
        slow.cut()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # until the last one is ours, whoever comes back meanwhile
            try:
                taken.append(psycopg.connect(url))
            except psycopg.OperationalError:
                if not server.backends() or len(server.backends()) <= len(taken):
                    break
                slow.cut()
                time.sleep(0.05)
        answer, seconds = timed(lambda: client.post("/Patient", marked("Patient", marker())))
        assert answer.status == 503 and answer.headers["retry-after"], answer.body
        assert seconds < 10
        assert server.up.get("/ready") == 503 and server.up.get("/health") == 200
    finally:
        for each in taken:
            each.close()
    eventually(lambda: client.post("/Patient", marked("Patient", marker())).status == 201, 10)
    everything(server)
    assert server.log() == []
