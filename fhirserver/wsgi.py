"""The WSGI application, for granian or any other server."""

import gc
import multiprocessing
import os
import signal

from .embedded.child import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")

if multiprocessing.parent_process() is not None:
    # A process of the web server's own making goes with its master, kill -9 included.
    die_with_parent(signal.SIGKILL, multiprocessing.parent_process().pid)

from django import db
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import connections

from .processors import keep_to_one

application = get_wsgi_application()
keep_to_one()


def close_opened(**_):
    """Give up connections of Django's own that broke; the record's are in a pool and never among them."""
    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()


# Django looks through all connections and caches at both ends of a request, which costs as much as finding the row.
request_started.disconnect(db.reset_queries)
request_started.disconnect(db.close_old_connections)
request_finished.disconnect(db.close_old_connections)
request_finished.connect(close_opened)

# What is loaded now stays: the collector need not look at it again, nor after every few hundred objects of a Bundle.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
