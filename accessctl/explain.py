"""Why somebody sees a row, or not: every source, its sentence, its verdict, by the very SQL that searches use."""

from typing import NamedTuple

from records.database import execute
from records.definitions.structures import type_number
from records.keys import identity

from . import scopes, sources
from .access import access_for
from .actor import Actor, Person

KINDS = ("ceiling", "permit", "denial")
WHO = (
    "SELECT u.username, p.user_id, p.kind, p.profession, p.regulator, p.practitioner_key, p.patient_key"
    " FROM auth_user u LEFT JOIN person p ON p.user_id = u.id WHERE u.username = %s"
)


class Said(NamedTuple):
    """What one source says of one row."""

    source: str
    kind: str
    sentence: str
    holds: bool


def actor_of(login, scope, purpose=None):
    """The actor that a token of this user and scope would be; None when there is no such user."""
    rows = execute(WHO, (login,))
    if not rows:
        return None
    login, *person = rows[0]
    who = Person(*person) if person[0] is not None else None
    return Actor("explain", login, scopes.parse(scope), purpose, None, who)


def explain(actor, type, id, code="read"):
    """(what each source says, the verdict of the query itself); None when there is no such resource."""
    asked = (code, type, "r", "pk")
    told = [
        (source, kind, found)
        for kind, group in zip(KINDS, sources.of(actor), strict=True)
        for source in group
        if (found := source(actor, *asked))
    ]
    predicates = [found[0] for _, _, found in told] + [access_for(actor).resources(code, type)]
    columns = ", ".join(f"coalesce(({p.text}), FALSE)" for p in predicates)
    rows = execute(
        f"SELECT {columns} FROM resource r WHERE r.identity = %s AND r.type = %s AND r.id = %s",
        (*(v for p in predicates for v in p.params), identity(type, id), type_number(type), id),
        prepare=False,
    )
    if not rows:
        return None
    *verdicts, whole = rows[0]
    said = [
        Said(source.__module__.rpartition(".")[2], kind, sentence, holds)
        for (source, kind, (_, sentence)), holds in zip(told, verdicts, strict=True)
    ]
    return said, whole


def verdict(said):
    """All ceilings, at least one permit, no denial."""
    of = {kind: [s.holds for s in said if s.kind == kind] for kind in KINDS}
    return all(of["ceiling"]) and any(of["permit"]) and not any(of["denial"])
