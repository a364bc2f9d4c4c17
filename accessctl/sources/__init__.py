"""Reasons to see: a file each, registered as ceiling, permit or denial.

A source is (actor, code, type, alias, pk) -> (SQL predicate over the row, sentence), or None when it says nothing.
Those marked `for_people` speak of users with a Person alone; tokens without one are judged as before people were known.
"""

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from records.sql import FALSE, SQL, TRUE, all_of, any_of

from ..standing import NOT_NOW

CEILINGS, PERMITS, DENIALS = [], [], []
RECORDS = {}  # source -> (actor, code, type) -> SELECT patient: where its rows lie, beside the actor's own of nobody
_chosen = {}


def ceiling(function):
    """The row must satisfy it, whatever permits."""
    CEILINGS.append(function)
    return function


def permits(function):
    """One reason to allow; any of them is enough."""
    PERMITS.append(function)
    return function


def denies(function):
    """One reason to refuse; any of them is enough."""
    DENIALS.append(function)
    return function


def for_people(function):
    """The source says nothing of an actor without a Person, and is not asked."""
    function.for_people = True
    return function


def within(source):
    """Say in whose records the rows of a permit or a ceiling lie; of one that does not, they may be anywhere."""

    def register(function):
        RECORDS[source] = function
        return function

    return register


def of(actor):
    """(ceilings, permits, denials) that are asked about an actor."""
    known = actor.person is not None
    if known not in _chosen:
        _chosen[known] = tuple(
            tuple(s for s in kind if known or not getattr(s, "for_people", False))
            for kind in (CEILINGS, PERMITS, DENIALS)
        )
    return _chosen[known]


def formula(actor, *asked, without=()):
    """All ceilings AND any permit AND NOT any denial, of (code, type, alias, pk).

    It is text about an actor as far as the request knows them, and no answer: the same for the same actor. But what a
    scope with a query means depends on value sets and parameters that are stored.
    """
    return _kept(actor, asked, without) if lasts(actor) else _made(actor, asked, without)


def lasts(actor):
    """Is what sources say of the actor the same as long as the actor is?"""
    return not any(scope.params for scope in actor.scopes)


def _made(actor, asked, without):
    ceilings, permits, denials = (
        [found[0] for source in kind if source not in without and (found := source(actor, *asked))]
        for kind in of(actor)
    )
    permitted = any_of([p for p in permits if p != NOT_NOW] or permits[:1])
    if FALSE in (permitted, *ceilings):
        return FALSE
    denied = any_of(d for d in denials if d != NOT_NOW)
    if denied == TRUE:
        return NOT_NOW  # whatever permits: nothing of it is worth its text
    return all_of([*ceilings, permitted] + ([~denied] if denied != FALSE else []))


_kept = lru_cache(256)(_made)


def records(actor, code, type):
    """SELECT patient: in whose records lies all that the actor may reach, but own rows of nobody; None: anywhere."""
    return _kept_records(actor, code, type) if lasts(actor) else _records(actor, code, type)


def _records(actor, code, type):
    ceilings, permits, _ = of(actor)
    for source in ceilings:
        if source in RECORDS and (found := RECORDS[source](actor, code, type)):
            return found
    found = []
    for source in permits:
        said = source(actor, code, type, "r", "pk")
        if said is not None and said[0] != NOT_NOW:
            if source not in RECORDS:
                return None
            found.append(RECORDS[source](actor, code, type))
    if None in found:
        return None
    return SQL(" UNION ALL ".join(f"({f.text})" for f in found) or NOWHERE.text, sum((f.params for f in found), ()))


_kept_records = lru_cache(256)(_records)
NOWHERE = SQL("SELECT NULL::bigint AS patient WHERE FALSE")


def load():
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    _chosen.clear()
    _kept.cache_clear()
    _kept_records.cache_clear()
