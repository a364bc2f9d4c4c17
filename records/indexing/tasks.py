"""Celery tasks of the indexer, and the wake-up that a write sends. What is to do is in the table `pending`."""

import logging
import threading
import time

from celery import shared_task

from . import jobs
from .index import index_pending as index_batch

log = logging.getLogger("records.indexing")
BATCH = 500
SPELL = 1.0  # seconds at a job before writes are looked for again
PAUSE = 0.05  # seconds between two wake-ups of one process: many commits are one message


@shared_task(name="records.index_pending", ignore_result=True)
def index_pending():
    """Index until nothing is pending."""
    while index_batch(BATCH):
        pass


def sweep():
    """What a lost message left, and slices of the jobs; called every two seconds, at once when it says True."""
    index_pending()
    return jobs.work(SPELL)


class Waker(threading.Thread):
    """Sends the wake-up after a commit, off the request's thread; a broker that is down costs a request nothing."""

    def __init__(self):
        super().__init__(name="waker", daemon=True)
        self.asked = threading.Event()

    def run(self):
        while True:
            self.asked.wait()
            self.asked.clear()
            try:
                index_pending.apply_async(ignore_result=True)
            except Exception as error:  # the sweep finds the rows
                log.warning("no wake-up sent: %s", type(error).__name__)
            time.sleep(PAUSE)


_waker = None
_guard = threading.Lock()


def wake():
    """Ask for a wake-up soon."""
    global _waker
    with _guard:
        if _waker is None or not _waker.is_alive():
            _waker = Waker()
            _waker.start()
    _waker.asked.set()
