"""Which processor a web process keeps to.

One interpreter lock means that one thread of a web process runs at a time. Where the kernel spreads its threads over
several processors, each hand-over of the lock is a wake-up of another processor, and a read costs nearly twice as much
(docs/performance.md).
"""

import os
import re

import setproctitle
from django.conf import settings

NUMBER = re.compile(r"worker-(\d+)$")


def keep_to_one():
    """Pin this process and all threads that it will start, when that leaves no processor without a web process."""
    chosen = processor(
        setproctitle.getproctitle(),
        settings.FHIRSERVER_WEB_WORKERS,
        os.sched_getaffinity(0),
        settings.FHIRSERVER_PIN_WEB,
    )
    if chosen is not None:
        os.sched_setaffinity(0, {chosen})


def processor(title, workers, usable, wish):
    """The processor for the web process of this title; None: any of them."""
    number = NUMBER.search(title)
    if number is None or wish == "never" or (wish == "auto" and workers < len(usable)):
        return None
    return sorted(usable)[(int(number[1]) - 1) % len(usable)]
