"""Why somebody sees a row, or not: every source, its sentence, its verdict, by the very SQL that searches use.

Also of a past time: then the same SQL runs with the schema `past` before all others, in which the tables of rights and
people, the resources and now() are those of that time. The switches of the policy are those of today.
"""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from records import errors
from records.database import as_system, atomic, execute
from records.definitions.structures import type_number
from records.fhirpath.times import interval
from records.interactions.interaction import Outcome, Touched
from records.keys import identity
from records.operations import ADMINISTER, inputs, operation
from records.resources.compartments import ALONE

from . import scopes, sources
from .access import access_for
from .actor import PERSON, Actor, person_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVERYTHING = "user/*.cruds"
KINDS = ("ceiling", "permit", "denial")
WHO = f"SELECT u.username, {PERSON} FROM auth_user u LEFT JOIN person p ON p.user_id = u.id WHERE u.username = %s"


class Said(NamedTuple):
    """What one source says of one row."""

    source: str
    kind: str
    sentence: str
    holds: bool


@contextmanager
def as_of(at, about):
    """What runs in the block sees rights as they were at that time, of these patients, users and groups; None: now."""
    if at is None:
        yield
        return
    with atomic():
        ((before,),) = execute("SELECT current_setting('search_path')", prepare=False)
        given = f"{{{','.join(str(each) for each in about)}}}"
        execute(SET, (PATH, at.isoformat(), given), prepare=False)
        yield
        execute(SET, (before, "", ""), prepare=False)


PATH = "past, pg_catalog, public"
SET = (
    "SELECT set_config('search_path', %s, TRUE), set_config('fhirserver.at', %s, TRUE),"
    " set_config('fhirserver.about', %s, TRUE)"
)


def actor_of(login, scope, purpose=None, at=None):
    """The actor that a token of this user and scope would be; None when there is, or was, no such person."""
    users = execute("SELECT u.id FROM auth_user u WHERE u.username = %s", (login,))
    if not users:
        return None
    with as_of(at, users[0]):
        ((login, *person),) = execute(WHO, (login,), prepare=False)
    if at is not None and person[0] is None:
        return None  # a user without a person is judged as a client: that of a person who was not there yet is nobody
    return Actor("explain", login, scopes.parse(scope), purpose, None, person_of(person))


@as_system()
def explain(actor, type, id, code="read", at=None):
    """(what each source says, the verdict of the query itself); None when there is, or was, no such resource."""
    asked = (code, type, "r", "pk")
    told = [
        (source, kind, found)
        for kind, group in zip(KINDS, sources.of(actor), strict=True)
        for source in group
        if (found := source(actor, *asked))
    ]
    predicates = [found[0] for _, _, found in told] + [access_for(actor).resources(code, type)]
    columns = ", ".join(f"coalesce(({p.text}), FALSE)" for p in predicates)
    with as_of(at, concerned(actor, type, id, at) if at is not None else ()):
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


def concerned(actor, type, id, at):
    """Keys of the patients of the resource, id of the user, ids of the groups ever joined."""
    patients = execute(
        "SELECT v.patient FROM resource r JOIN version v ON v.resource = r.pk WHERE r.identity = %s"
        " AND v.patient IS NOT NULL UNION SELECT c.patient FROM resource r JOIN compartment c ON c.resource = r.pk"
        " WHERE r.identity = %s",
        2 * (identity(type, id),),
    )
    user = actor.person.user if actor.person else 0
    groups = execute(
        "SELECT DISTINCT (kept ->> 'group_id')::bigint FROM right_change WHERE relation = 'auth_user_groups'"
        " AND about = %s AND kept IS NOT NULL",
        (user,),
    )
    return {user, *(each for (each,) in (*patients, *groups))}


def verdict(said):
    """All ceilings, at least one permit, no denial."""
    of = {kind: [s.holds for s in said if s.kind == kind] for kind in KINDS}
    return all(of["ceiling"]) and any(of["permit"]) and not any(of["denial"])


# -- the operation --------------------------------------------------------------------------------------------------

KNOWN = ("actor", "at", "scope", "purpose", "interaction")


@operation("explain-access", "instance", needs=ADMINISTER, before=inputs.taken)
def explain_access(interaction, access):
    """Why a person sees the resource, or not: `actor` (login), `at`, `scope`, `purpose`, `interaction`."""
    asked = {name: inputs.one(interaction.parameters, name) for name in KNOWN}
    inputs.unknown(replace(interaction, strict=True), KNOWN)
    if not asked["actor"]:
        raise errors.BadRequest("Name the actor by login.")
    code = asked["interaction"] or "read"
    if code not in scopes.LETTERS:
        raise errors.InvalidValue("interaction", code, f"expected one of {', '.join(sorted(scopes.LETTERS))}")
    at = moment(asked["at"]) if asked["at"] else None
    try:
        actor = actor_of(asked["actor"], asked["scope"] or EVERYTHING, asked["purpose"], at)
    except scopes.InvalidScope as error:
        raise errors.InvalidValue("scope", asked["scope"], str(error)) from error
    found = explain(actor, interaction.type, interaction.id, code, at) if actor else None
    if found is None:
        raise errors.NotFound(f"{'The resource' if actor else 'The actor'}{' at that time' if at else ''}")
    said, whole = found
    parts = [{"name": "verdict", "valueBoolean": whole}]
    parts += [
        {"name": "source", "part": [
            {"name": "name", "valueString": each.source}, {"name": "kind", "valueCode": each.kind},
            {"name": "holds", "valueBoolean": each.holds}, {"name": "sentence", "valueString": each.sentence},
        ]}
        for each in said
    ]  # fmt: skip
    patients = execute(
        f"SELECT {ALONE} FROM resource r WHERE r.identity = %s", (identity(interaction.type, interaction.id),)
    )
    touched = [Touched(interaction.type, interaction.id, None, patients[0][0])]
    return Outcome(200, {"resourceType": "Parameters", "parameter": parts}, "Parameters", touched=touched)


def moment(text):
    """The end of a date, or the instant itself: what held then."""
    try:
        high = interval(text)[1]
        return EPOCH + timedelta(microseconds=high)
    except (ValueError, OverflowError) as error:
        raise errors.InvalidValue("at", text, str(error)) from error
