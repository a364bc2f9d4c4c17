"""The actor: which user, through which client, with which scopes and purpose, in the context of which patient."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from records.database import execute
from records.keys import identity, key

from . import scopes


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks; `patient` is the key of the Patient in context."""

    client: str
    user: str | None
    scopes: tuple
    purpose: str | None = None
    patient: int | None = None

    @property
    def principal(self):
        return f"{self.client}|{self.user or ''}"

    @property
    def author(self):
        """Key kept as author on what the actor creates."""
        return key("user", self.user) if self.user else key("client", self.client)


def actor_of(token):
    """The Actor of a bearer token that is valid now, or None."""
    rows = execute(
        "SELECT c.name, u.username, t.scopes, t.purpose, t.patient FROM token_access t"
        " JOIN client c ON c.id = t.client_id LEFT JOIN auth_user u ON u.id = t.user_id"
        " WHERE t.digest = %s AND t.expires > now() AND t.revoked IS NULL AND c.active"
        " AND (u.id IS NULL OR u.is_active)",
        (sha256(token.encode()).digest(),),
    )
    if not rows:
        return None
    client, user, granted, purpose, patient = rows[0]
    return Actor(client, user, scopes.parsed(granted), purpose, identity("Patient", patient) if patient else None)


def issue(client, scope, user=None, purpose=None, patient=None, lifetime=timedelta(hours=1)):
    """A new token for a client (made when new) as text; its digest is stored. InvalidScope when the scope is none."""
    from django.contrib.auth import get_user_model

    from .models import Client, Token

    scopes.parse(scope)
    owner, _ = Client.objects.get_or_create(name=client)
    person = get_user_model().objects.get(username=user) if user else None
    token = secrets.token_urlsafe(32)
    Token.objects.create(
        digest=sha256(token.encode()).digest(), client=owner, user=person, scopes=scope, purpose=purpose,
        patient=patient, expires=timezone.now() + lifetime,
    )  # fmt: skip
    return token
