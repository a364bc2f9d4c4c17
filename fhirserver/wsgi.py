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

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

# What is loaded now stays: the collector need not look at it again, nor after every few hundred objects of a Bundle.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
