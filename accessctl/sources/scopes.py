"""Scopes bound everything: what no scope of the token covers does not exist for it."""

from records.definitions.structures import type_number
from records.search.conditions import Place, condition
from records.search.parse import criterion
from records.sql import FALSE, SQL, TRUE, all_of, any_of

from ..pieces import is_version, newest
from ..scopes import LETTERS
from . import ceiling
from . import within as records_within


def within(patient, alias, pk):
    """Rows in the compartment of one patient (its key)."""
    known = f" AND {newest(alias, pk)}" if is_version(pk) else ""  # of a past version the other patients are not known
    return SQL(
        f"{alias}.patient = %s OR ({alias}.shared AND EXISTS"
        f" (SELECT FROM compartment c WHERE c.patient = %s AND c.resource = {alias}.{pk}){known})",
        (patient, patient),
    )


def covering(actor, code, type):
    """The scopes that cover this interaction with this type.

    `resolve` finds a resource to refer to, or to write to, without showing it: any right on the type is enough.
    """
    letters = "crus" if code == "resolve" else LETTERS.get(code, code)
    return [s for s in actor.scopes if any(s.covers(type, letter) for letter in letters)]


def covered(actor, code, type):
    """The levels (system, user, patient) of those scopes."""
    return {s.level for s in covering(actor, code, type)}


@ceiling
def scopes(actor, code, type, alias, pk):
    """patient/ scopes reach the patient in context, user/ and system/ scopes every row; each as far as its query."""
    found = covering(actor, code, type)
    levels = "/".join(sorted({s.level for s in found}))
    if any(s.level != "patient" and not s.params for s in found):
        return TRUE, f"A {levels} scope covers {code} of {type}."
    reached = any_of(reach(s, actor, code, type, alias, pk) for s in found)
    if reached == FALSE:
        return FALSE, f"No scope covers {code} of {type}."
    if any(s.params for s in found):
        return reached, f"A {levels} scope covers {code} of {type} as far as {' or '.join(map(str, found))}."
    return reached, f"A patient scope covers {code} of {type} for the patient in context."


@records_within(scopes)
def of_context(actor, code, type):
    """The patient in context, when no scope that covers it reaches further."""
    if covered(actor, code, type) != {"patient"}:
        return None
    return SQL("SELECT %s::bigint AS patient", (actor.patient,))


def reach(scope, actor, code, type, alias, pk):
    """The rows of one scope."""
    if scope.level != "patient":
        place = TRUE
    elif actor.patient is not None:
        place = within(actor.patient, alias, pk)
    else:
        return FALSE
    return place & satisfied(scope.params, code, type, alias, pk) if scope.params else place


def satisfied(params, code, type, alias, pk):
    """Rows that satisfy the query of a scope, by the index; one that the index does not know yet does not.

    Only current rows are indexed, so that a past version is outside. (attacks A21-A23)
    """
    if is_version(pk):
        now = satisfied(params, code, type, "gs", "pk")
        return SQL(
            f"EXISTS (SELECT FROM resource gs WHERE gs.pk = {alias}.{pk} AND gs.version = {alias}.version"
            f" AND ({now.text}))",
            now.params,
        )
    place = Place(alias, f"{alias}.pk", f"{alias}.occurred")
    known = f"NOT EXISTS (SELECT FROM pending gp WHERE gp.type = {type_number(type)} AND gp.resource = {alias}.pk)"
    found = all_of(
        [
            SQL(known),
            *(condition(criterion(type, name, value), type, None, place) for name, value in params),
        ]
    )
    return SQL(f"{alias}.deleted") | found if code == "delete" else found  # what is gone has no index rows
