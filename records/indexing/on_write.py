"""What the index does inside the transaction of a write, and right after it."""

from functools import partial

from django.dispatch import receiver

from ..database import on_commit
from ..signals import resources_written
from .index import index_identity, index_moved
from .pressure import relieve
from .registration import register
from .tasks import wake


@receiver(resources_written)
def resources_were_written(batch, **_):
    """Identifiers and canonical URLs at once, as conditional interactions ask for them; the rest after the commit.

    What has another clinical date than before is indexed at once too: see index_moved.
    """
    index_identity(batch)
    index_moved(batch)
    register(batch)
    on_commit(wake)
    on_commit(partial(relieve, len(batch)))
