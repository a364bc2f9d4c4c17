"""The actor: which user, through which client, with which scopes and purpose, in the context of which patient."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from records.database import Ahead, execute
from records.keys import identity, key

from . import scopes
from .standing import COLUMNS, Standing, standing


@dataclass(frozen=True, slots=True)
class Person:
    """The person behind the user, as far as rights are judged by it."""

    user: int
    kind: str  # patient | professional | staff
    profession: str | None = None
    regulator: bool = False
    practitioner: int | None = None  # keys
    patient: int | None = None
    standing: Standing | None = None  # None: nobody asked


PERSON = "p.user_id, p.kind, p.profession, p.regulator, p.practitioner_key, p.patient_key"
OF_PERSON = 6


def person_of(row):
    """The Person of a row of PERSON, and of standing.COLUMNS if they were asked; None when there is none."""
    if row[0] is None:
        return None
    return Person(*row[:OF_PERSON], standing(row[OF_PERSON:]) if len(row) > OF_PERSON else None)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks; `patient` is the key of the Patient in context."""

    client: str
    user: str | None
    scopes: tuple
    purpose: str | None = None
    patient: int | None = None
    person: Person | None = None
    service: bool = False  # on behalf of the user, who is not there

    @property
    def principal(self):
        return f"{self.client}|{self.user or ''}"

    @property
    def author(self):
        """Key kept as author on what the actor creates."""
        return key("user", self.user) if self.user else key("client", self.client)


TOKEN = (
    f"SELECT c.name, u.username, t.scopes, t.purpose, t.patient, c.behalf_id IS NOT NULL, {PERSON}{{}}"
    " FROM token_access t"
    " JOIN client c ON c.id = t.client_id LEFT JOIN auth_user u ON u.id = t.user_id"
    " LEFT JOIN person p ON p.user_id = u.id"
    " WHERE t.digest = %s AND t.expires > now() AND t.revoked IS NULL AND c.active"
    " AND (u.id IS NULL OR u.is_active)"
    # whom an application acts for is judged as a person, or is nobody: else a login without one would be a system
    " AND (u.id IS NULL OR p.user_id IS NOT NULL OR t.authorization_id IS NULL AND c.behalf_id IS NULL)"
)
OF_CLIENT, OF_PEOPLE = TOKEN.format(""), TOKEN.format(f", {COLUMNS}")
OF_TOKEN = 6 + OF_PERSON  # columns of both
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
        self._ahead = None
        if seen := _known.get(self._digest):
            self._row, self.actor = seen
            self.ask()
        else:
            self.renew()

    def ask(self):
        """What the token means is to be looked at again, with the next statement."""
        if self._ahead is None:
            self._ahead = Ahead(OF_CLIENT if self.actor.person is None else OF_PEOPLE, (self._digest,))

    def renew(self):
        """What the token means, whatever was known."""
        self._ahead = None
        self._row, self.actor = self._looked_up(execute(OF_PEOPLE, (self._digest,)))

    def _looked_up(self, rows):
        if not rows:
            raise InvalidToken
        row = rows[0]
        client, user, granted, purpose, patient, service, *person = row
        context = identity("Patient", patient) if patient else None
        who = person_of(person)
        if who is None:
            row = row[:OF_TOKEN]
        try:
            known = scopes.parsed(granted)
        except scopes.InvalidScope:  # it asked for a search parameter that is there no more
            raise InvalidToken from None
        actor = Actor(client, user, known, purpose, context, who, service)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[self._digest] = row, actor
        return row, actor

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

    def ask(self):
        return None

    confirm = ask


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
