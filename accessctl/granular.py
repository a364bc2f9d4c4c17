"""What scopes with a query need of the index: they are judged by its rows, so those must be there.

A read waits for the index as a search does; a write is indexed in its own transaction, before it is judged.
"""

from django.conf import settings
from django.dispatch import receiver

from records.database import execute, in_transaction
from records.definitions.structures import type_number
from records.errors import Forbidden
from records.indexing.index import Indexed, catch_up, index
from records.signals import resources_written


def types(actor):
    """Types of which a scope of the actor covers only some rows."""
    return sorted({s.type for s in actor.scopes if s.params})


def caught_up(actor):
    """Index what is pending of those types, before a snapshot is taken."""
    if not in_transaction() and (concerned := types(actor)):
        catch_up(concerned, None, settings.FHIRSERVER_CATCH_UP_MS)


@receiver(resources_written)
def indexed_at_once(batch, access, **_):
    """The rows just written, in the index now: the writer's scopes ask for what they say."""
    actor = getattr(access, "actor", None)
    concerned = types(actor) if actor is not None else ()
    fresh = [d for d in batch if d.type in concerned and d.resource is not None]
    if not fresh:
        return
    pks = sorted(d.pk for d in fresh)
    execute("SELECT pg_advisory_xact_lock(pk) FROM unnest(%s::bigint[]) pk", (pks,))  # no worker has them in hand
    numbers = sorted({type_number(d.type) for d in fresh})
    execute("DELETE FROM pending WHERE type = ANY(%s) AND resource = ANY(%s)", (numbers, pks))
    made = [Indexed(d.pk, d.type, d.patient, d.occurred, d.resource) for d in fresh]
    if index(made, frozenset(d.pk for d in fresh if d.created)):
        raise Forbidden("The access given is bounded by a search, and what was sent cannot be indexed for it.")
