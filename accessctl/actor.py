"""The actor: which user, through which client, with which scopes and purpose, in the context of which patient."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from records.database import Ahead, execute
from records.keys import identity, key

from . import scopes


@dataclass(frozen=True, slots=True)
class Person:
    """The person behind the user, as far as rights are judged by it; None of it is remembered beyond a request."""

    user: int
    kind: str  # patient | professional | staff
    profession: str | None = None
    regulator: bool = False
    practitioner: int | None = None  # keys
    patient: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks; `patient` is the key of the Patient in context."""

    client: str
    user: str | None
    scopes: tuple
    purpose: str | None = None
    patient: int | None = None
    person: Person | None = None

    @property
    def principal(self):
        return f"{self.client}|{self.user or ''}"

    @property
    def author(self):
        """Key kept as author on what the actor creates."""
        return key("user", self.user) if self.user else key("client", self.client)


LOOKUP = (
    "SELECT c.name, u.username, t.scopes, t.purpose, t.patient,"
    " p.user_id, p.kind, p.profession, p.regulator, p.practitioner_key, p.patient_key FROM token_access t"
    " JOIN client c ON c.id = t.client_id LEFT JOIN auth_user u ON u.id = t.user_id"
    " LEFT JOIN person p ON p.user_id = u.id"
    " WHERE t.digest = %s AND t.expires > now() AND t.revoked IS NULL AND c.active"
    " AND (u.id IS NULL OR u.is_active)"
)
MOST_KNOWN = 10_000
_known = {}  # digest -> (row, Actor) as last seen; never believed without `confirm`


class Stale(Exception):
    """The token says something else than when this process last saw it."""


class Caller:
    """An Actor that a token was last seen to mean; `confirm` asks the database whether it still does.

    The question travels with the first statement of the request, so that it costs no round trip of its own; nothing
    is told or committed before the answer.
    """

    __slots__ = ("_ahead", "_digest", "_row", "actor")
    counted = True  # each of its interactions, in the account of its client's rate

    def __init__(self, token):
        self._digest = sha256(token.encode()).digest()
        seen = _known.get(self._digest)
        self._ahead = Ahead(LOOKUP, (self._digest,)) if seen else None
        self._row, self.actor = seen or self._looked_up(execute(LOOKUP, (self._digest,)))

    def _looked_up(self, rows):
        if not rows:
            raise InvalidToken
        client, user, granted, purpose, patient, *person = rows[0]
        context = identity("Patient", patient) if patient else None
        who = Person(*person) if person[0] is not None else None
        try:
            known = scopes.parsed(granted)
        except scopes.InvalidScope:  # it asked for a search parameter that is there no more
            raise InvalidToken from None
        actor = Actor(client, user, known, purpose, context, who)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[self._digest] = rows[0], actor
        return rows[0], actor

    def confirm(self):
        """Raise InvalidToken when the token is valid no more, Stale when it means something else."""
        if self._ahead is None:
            return
        rows, self._ahead = self._ahead.rows(), None
        if rows != [self._row]:
            _known.pop(self._digest, None)
            raise Stale if rows else InvalidToken


class Trusted:
    """A caller that no token speaks for: the system's own commands."""

    counted = False

    def __init__(self, actor):
        self.actor = actor

    def confirm(self):
        return None


class InvalidToken(Exception):
    """No valid token of ours: unknown, expired, revoked, or of a client or user that is no longer active."""


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
