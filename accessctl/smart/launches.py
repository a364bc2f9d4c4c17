"""EHR launches: a handle that carries a record and its context to an application, for one person, once. (S14, A69)"""

from datetime import timedelta

from django.utils import timezone

from .families import digest, new_secret
from .tables import Launch

LIFETIME = timedelta(minutes=5)


def opened(client, user, patient=None, context=None):
    """The handle, as text."""
    text = new_secret()
    Launch.objects.create(
        digest=digest(text), client=client, user=user, patient=patient, context=context or {},
        expires=timezone.now() + LIFETIME,
    )  # fmt: skip
    return text


def waiting(text, client, user):
    """The Launch of a handle, if it is this client's and this person's, and not over."""
    return (
        Launch.objects.filter(digest=digest(text), client=client, user=user, used=None, expires__gt=timezone.now())
    ).first()


def taken(text, client, user):
    """The same, used up by that: of two that take it at once one gets it."""
    found = waiting(text, client, user)
    if found is None or not Launch.objects.filter(pk=found.pk, used=None).update(used=timezone.now()):
        return None
    return found
