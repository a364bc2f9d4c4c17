"""After a load: index what it wrote, together with the server's worker where one runs."""

import sys
import time

from django.db import connections

from ..indexing.index import backlog, index_pending
from .processes import Pool

BATCH = 500
EVERY = 10.0  # seconds between two lines
POLL = 0.1


def index_rest(count, stream=None):
    """Index until nothing waits, in so many processes; says how much is left."""
    stream, said = stream or sys.stderr, time.monotonic()
    connections.close_all()
    with Pool(count, index_pending) as pool:
        while left := backlog():
            if time.monotonic() - said >= EVERY:
                said = time.monotonic()
                print(f"indexing: {left:,}{' or more' if left == 10_000 else ''} left", file=stream, flush=True)
            if not sum(pool.map([BATCH] * min(count * 4, -(-left // BATCH)))):
                time.sleep(POLL)  # the server's worker has what is left in hand
