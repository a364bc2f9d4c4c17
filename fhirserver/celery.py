"""The Celery application: Redis where REDIS_URL names one, else a queue in the data folder that needs no server.

A message only wakes the indexer; what is to be done is in the table `pending`. So a lost message costs one sweep
interval, and neither broker nor worker can lose a write.
"""

import logging
import os
import threading

from celery import Celery, bootsteps
from celery.signals import setup_logging
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")

from django.conf import settings

SWEEP_SECONDS = 2.0
SEAL_SECONDS = 1.0
NOTIFY_SECONDS = 1.0
TIDY_SECONDS = 60.0
SAMPLE_SECONDS = 60.0
TRANSPORT_ALIASES["folder"] = "fhirserver.queue:Transport"

log = logging.getLogger("fhirserver.worker")


def broker():
    """Where messages go, and how soon they arrive."""
    if settings.REDIS_URL:
        # A write never waits for a broker that is down: one short try, then the sweep finds it.
        quick = {"socket_connect_timeout": 0.5, "socket_timeout": 5, "max_retries": 0}
        return {"broker_url": settings.REDIS_URL, "broker_transport_options": quick}
    if not settings.FHIRSERVER_DATA:
        # Commands and tests without a folder: nobody listens, the sweep of the server's worker finds the rows.
        return {"broker_url": "memory://localhost"}
    folder = os.path.join(settings.FHIRSERVER_DATA, "run", "queue")
    return {
        "broker_url": "folder://localhost",
        "broker_transport_options": {"folder": folder, "polling_interval": 0.05},
    }


app = Celery("fhirserver")
app.conf.update(
    **broker(),
    task_ignore_result=True,
    task_publish_retry=False,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="records",
    # Nothing is acknowledged: a hint needs no second delivery, and an acknowledgement that fails while Redis restarts
    # would count as a message at work for ever and keep the worker from the next one.
    task_queues=[Queue("records", no_ack=True)],
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_limit=16,
    timezone="UTC",
    enable_utc=True,
)
app.autodiscover_tasks(["records.indexing"])


@setup_logging.connect
def keep_django_logging(**_):
    """The lines of the worker look like those of the web."""


class Round(bootsteps.StartStopStep):
    """Work done again and again, broker or not: takes the place of a beat process."""

    abstract = True
    seconds: float  # between two rounds

    def __init__(self, worker, **_):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, name=type(self).__name__.lower(), daemon=True)

    def start(self, worker):
        self.thread.start()

    def stop(self, worker):
        self.over.set()
        self.thread.join(5)

    def terminate(self, worker):
        self.over.set()

    def work(self):
        """One round; True when there is more to do at once."""
        raise NotImplementedError

    def run(self):
        from django.db import close_old_connections

        more = False
        while not self.over.wait(0 if more else self.seconds):
            more = False
            try:
                more = self.work()
            except Exception:  # the database may be restarting: the next round finds the same rows
                log.exception("%s failed", self.thread.name)
            finally:
                close_old_connections()  # drops a broken connection, keeps a good one


class Sweep(Round):
    """What no message told the indexer of."""

    seconds = SWEEP_SECONDS

    def work(self):
        from records.indexing import tasks

        from . import sandbox  # noqa: F401  its jobs are done here too

        return tasks.sweep()


class Sealing(Round):
    """New audit records get their place in the Merkle tree, and a signed checkpoint over them."""

    seconds = SEAL_SECONDS

    def work(self):
        from accessctl.audit.seal import seal

        seal()


class Notifying(Round):
    """Notices of the outbox go to whom they are for."""

    seconds = NOTIFY_SECONDS

    def work(self):
        from accessctl.notices import deliver

        from .mail import send

        return deliver(send)


class Tidying(Round):
    """Answers kept under Idempotency-Keys, counts of resolutions, tokens and exports go after their time."""

    seconds = TIDY_SECONDS

    def work(self):
        from accessctl.export import kept
        from accessctl.replay import purge
        from accessctl.smart import families
        from records.database import execute

        execute("SELECT forget_ins_resolutions()")
        more = [families.purge(), kept.purge(), purge()]
        return any(more)


class Sampling(Round):
    """How the server does, for the plots of the dashboard."""

    seconds = SAMPLE_SECONDS
    sampler = None

    def run(self):
        from .samples import Sampler

        self.sampler = Sampler(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        super().run()

    def work(self):
        self.sampler.take()


app.steps["worker"].add(Sweep)
app.steps["worker"].add(Sealing)
app.steps["worker"].add(Notifying)
app.steps["worker"].add(Tidying)
app.steps["worker"].add(Sampling)
