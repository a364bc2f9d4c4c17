"""While the index is far behind, who writes indexes as much as it wrote: so the backlog stays bounded under any load.

The worker alone would fall behind a load that takes all processors, for as long as it lasts. A write pays after its
commit, in batches that it shares with others of its process; what is written meanwhile is announced to searches.
"""

import logging
import threading
import time

from django.conf import settings

from records import errors

from .index import TRANSIENT, backlog, index_pending

log = logging.getLogger("records.indexing")
LOOK = 0.1  # seconds between two looks of one process at the queue
BATCH = 500  # writes: the indexer's own batch, most of whose cost is the same for one as for all


class Debt:
    """What this process has written while the index was far behind, and not yet indexed for it."""

    def __init__(self):
        self.guard = threading.Lock()
        self.looked, self.far, self.owed = 0.0, False, 0

    def share(self, written):
        """How many writes the caller is to index now."""
        limit = settings.FHIRSERVER_INDEX_BACKLOG
        if not limit:
            return 0
        with self.guard:
            if time.monotonic() - self.looked > LOOK:
                self.looked, self.far = time.monotonic(), backlog(most=limit) >= limit
            if not self.far:
                self.owed = 0
                return 0
            self.owed += written
            if self.owed < BATCH:
                return 0
            share, self.owed = self.owed, 0
            return share


_debt = Debt()


def relieve(written):
    """Index this process's share after a commit of so many writes; the write is done, whatever happens here."""
    try:
        share = _debt.share(written)
        while share > 0 and index_pending(min(BATCH, share)):
            share -= BATCH
    except (errors.Busy, *TRANSIENT) as error:  # no time, no connection: the worker finds the rows
        log.info("a write did not index for others: %s", type(error).__name__)
    except Exception:
        log.exception("a write could not index for others")
