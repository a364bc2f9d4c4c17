"""Interactions that commands carry out for the system itself: the same course as a client's, audit record included."""

import uuid

from accessctl.actor import Actor, Trusted
from accessctl.scopes import parse
from records import errors
from records.database import atomic, retried

from . import celery, endpoint  # noqa: F401 (the broker that writes wake)

CALLER = Trusted(Actor(client="system", user=None, scopes=parse("system/*.cruds")))


def execute(interaction, after=None):
    """The Outcome; `after()` runs in the transaction of the interaction, before its commit."""
    request_id = uuid.uuid4()

    def once():
        with atomic():
            outcome = endpoint.committed(interaction, CALLER, request_id, None)
            if after:
                after()
        return outcome

    try:
        return retried(once)
    except errors.FHIRError as error:
        endpoint.recorded_refusal(interaction, CALLER, request_id, error)
        raise
