"""Who may export, and what: programs without a person, by system/ scopes, as they are at each slice. (A50, A51)"""

from dataclasses import replace

from records import errors
from records.database import execute
from records.interactions.interaction import KEPT_ELSEWHERE
from records.interactions.parse import SERVED
from records.sql import FALSE

from .. import scopes
from ..access import access_for
from ..actor import Actor

CODES = ("read", "search")


def asking(access):
    """The Actor who asks, of whose scopes those of the system alone count; Forbidden for everybody else."""
    actor = getattr(access, "actor", None)
    if actor is None or actor.user is not None or actor.person is not None:
        raise errors.Forbidden("An export is for a program without a person: this token acts for somebody.")
    own = tuple(scope for scope in actor.scopes if scope.level == "system")
    if not own:
        raise errors.Forbidden("An export needs system/ scopes; this token has none.")
    return replace(actor, scopes=own)


def exported():
    """Types that an export may contain: those kept as resources."""
    return sorted(SERVED - KEPT_ELSEWHERE.keys())


def covers(actor, type):
    """Do the scopes cover reading and searching all of the type?"""
    return all(any(s.covers(type, letter) and not s.params for s in actor.scopes) for letter in "rs")


def types(actor, named=None):
    """The types to be exported, of those named or all; Forbidden names one that is not covered, or not whole.

    What a scope with a query covers the index says, which knows the current rows alone: of a moment that is past nobody
    can say it. So such a type is refused, never taken whole and never left out unsaid.
    """
    found = []
    for type in exported() if named is None else named:
        if covers(actor, type):
            found.append(type)
        elif bounded := [s for s in actor.scopes if s.params and (s.covers(type, "r") or s.covers(type, "s"))]:
            raise errors.Forbidden(
                f"The scope {bounded[0]} covers {type} as far as its query, which cannot be judged of a past moment;"
                " export other types, by _type.",
                expression="_type",
            )
        elif named is not None:
            raise errors.Forbidden(
                f"The scopes of this token do not cover reading and searching {type} (system/{type}.rs).",
                expression="_type",
            )
    if not found:
        raise errors.Forbidden("The scopes of this token cover reading and searching no type (system/[type].rs).")
    return found


def judged(access, type):
    """Predicates over a row r of `resource` and its version v, as of any past version: who may see both."""
    found = [access.resources(code, type, *of) for code in CODES for of in (("r", "pk"), ("v", "resource"))]
    if FALSE in found:
        raise errors.Forbidden(f"The access given does not cover {type} any more.")
    return found


def registered(client):
    """(is it switched on and its own, the scopes it may be granted) as they are now."""
    rows = execute("SELECT active AND behalf_id IS NULL, scopes FROM client WHERE name = %s", (client,))
    return rows[0] if rows else (False, "")


def access_now(client, asked):
    """The Access of the client that asked, as far as its rights still go; Forbidden when they are less."""
    on, allowed = registered(client)
    if not on:
        raise errors.Forbidden(f"The client {client} is switched off.")
    if allowed != asked.allowed and (lost := missing(asked.scopes, allowed)):
        raise errors.Forbidden(f"The scopes of the client {client} have changed: {lost} is no longer among them.")
    try:
        return access_for(Actor(client, None, scopes.parse(asked.scopes), asked.purpose))
    except scopes.InvalidScope as error:
        raise errors.Forbidden(f"A scope is none any more: {error}") from error


def missing(asked, allowed):
    """The first of the scopes asked that is not granted whole any more, or None."""
    left = set(scopes.granted(asked, allowed))
    return next((word for word in asked.split() if word not in left), None)
