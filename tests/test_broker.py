"""A write wakes the indexer through either broker, and is indexed without any. Faults F23, F24, F25, F28."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from kombu import Connection, Consumer, Producer, Queue
from kombu.exceptions import OperationalError

from fhirserver.celery import broker
from fhirserver.embedded.child import launch
from fhirserver.system import execute
from records.indexing.tasks import index_pending
from records.interactions.interaction import Interaction

CHECKOUT = Path(__file__).resolve().parent.parent
WORKER = ["-m", "celery", "-A", "fhirserver.celery:app", "worker", "--queues", "records", "--pool", "solo"]
WORKER += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
DONE = "records.index_pending"


@contextlib.contextmanager
def worker(environment, log):
    """The worker as `up` starts it; its output is in the log."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            launch(sys.executable, *WORKER, folder=CHECKOUT), env=environment, stdout=output, stderr=output
        )
    try:
        eventually(lambda: "ready." in log.read_text() or "Cannot connect" in log.read_text())
        yield process
    finally:
        process.kill()
        process.wait()


def write(environment):
    """Write a patient and send the wake-up over the broker of that environment; the seconds that sending took."""
    execute(Interaction("create", "type", type="Patient", method="POST", body={"resourceType": "Patient"}))
    with override_settings(REDIS_URL=environment.get("REDIS_URL"), FHIRSERVER_DATA=environment["FHIRSERVER_DATA"]):
        settings = broker()
    began = time.monotonic()
    with Connection(settings["broker_url"], transport_options=settings["broker_transport_options"]) as connected:
        try:
            index_pending.apply_async(connection=connected)
        except OperationalError:
            return time.monotonic() - began, False
    return time.monotonic() - began, True


def pending():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pending")
        return cursor.fetchone()[0]


def eventually(true, within=30):
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.02)


def succeeded(log):
    """Wake-ups that the worker carried out; the sweep leaves no such line."""
    return sum("succeeded" in line and DONE in line for line in log.read_text().splitlines())


@pytest.fixture
def environment(addresses, database, tmp_path):
    """A folder of the test's own for the queue; the database of the tests."""
    (tmp_path / "run").mkdir()
    given = addresses | {"FHIRSERVER_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "fhirserver.settings"}
    return {k: v for k, v in (dict(os.environ) | given).items() if k != "REDIS_URL"}


def test_a_write_wakes_the_worker_through_the_folder(environment, tmp_path):
    log = tmp_path / "log"
    with worker(environment, log):
        write(environment)
        eventually(lambda: succeeded(log) >= 1 and not pending())


def test_what_was_written_without_a_worker_is_indexed_when_one_comes(environment, tmp_path):
    log = tmp_path / "log"
    write(environment)
    assert pending() == 1
    with worker(environment, log) as killed:
        killed.kill()
    write(environment)
    with worker(environment, log):
        eventually(lambda: not pending())


@pytest.mark.needs_redis
def test_a_write_wakes_the_worker_through_redis(environment, redis_url, tmp_path):
    log = tmp_path / "log"
    with worker(environment | {"REDIS_URL": redis_url}, log):
        write(environment | {"REDIS_URL": redis_url})
        eventually(lambda: succeeded(log) >= 1 and not pending())
    assert not list(tmp_path.glob("run/queue/*/*.msg")), "the folder is not used beside Redis"


@pytest.mark.needs_redis
def test_a_broker_that_is_down_delays_neither_write_nor_index(environment, redis_url, tmp_path):
    """The worker starts although nobody answers, and its sweep finds what no message told it."""
    log = tmp_path / "log"
    nobody = environment | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    with worker(nobody, log):
        seconds, sent = write(nobody)
        assert not sent and seconds < 1
        eventually(lambda: not pending(), within=10)
    assert succeeded(log) == 0


# -- the folder itself -----------------------------------------------------------------------------------------------

QUEUE = Queue("records")


@pytest.fixture
def channel(tmp_path):
    with Connection("folder://localhost", transport_options={"folder": str(tmp_path / "queue")}) as connected:
        yield connected.channel()


def put(channel, body, task="wake"):
    Producer(channel, serializer="json").publish(body, routing_key="records", headers={"task": task}, declare=[QUEUE])


def taken(channel):
    """All waiting messages, in the order in which they are delivered."""
    bodies = []
    consumer = Consumer(channel, [QUEUE], callbacks=[lambda body, message: (bodies.append(body), message.ack())])
    with consumer, contextlib.suppress(TimeoutError):
        while True:
            channel.connection.client.drain_events(timeout=0.05)
    return bodies


def test_a_thousand_equal_wakeups_are_one_message(channel, tmp_path):
    for _ in range(1000):
        put(channel, [[], {}])
    assert len(list((tmp_path / "queue" / "waiting").iterdir())) == 1
    assert taken(channel) == [[[], {}]]
    put(channel, [[], {}])
    assert taken(channel) == [[[], {}]], "asked again after it was taken: a new message"


def test_different_messages_are_kept_apart_and_in_order(channel):
    for number in range(5):
        put(channel, [[number], {}])
        time.sleep(0.002)
    put(channel, [[0], {}], task="other")
    assert [body[0][0] for body in taken(channel)] == [0, 1, 2, 3, 4, 0]


def test_no_half_message_is_ever_seen(channel, tmp_path):
    put(channel, [["x" * 100_000], {}])
    assert not list((tmp_path / "queue" / "new").iterdir())
    assert len(taken(channel)[0][0][0]) == 100_000


def test_the_folders_are_private(channel, tmp_path):
    put(channel, [[], {}])
    modes = {path.stat().st_mode & 0o777 for path in [tmp_path / "queue", *(tmp_path / "queue").iterdir()]}
    assert modes == {0o700}
