"""Scopes bound everything: what no scope of the token covers does not exist for it."""

from records.sql import FALSE, SQL, TRUE

from ..pieces import is_version, newest
from ..scopes import LETTERS
from . import ceiling


def within(patient, alias, pk):
    """Rows in the compartment of one patient (its key)."""
    known = f" AND {newest(alias, pk)}" if is_version(pk) else ""  # of a past version the other patients are not known
    return SQL(
        f"{alias}.patient = %s OR ({alias}.shared AND EXISTS"
        f" (SELECT FROM compartment c WHERE c.patient = %s AND c.resource = {alias}.{pk}){known})",
        (patient, patient),
    )


def covered(actor, code, type):
    """The levels (system, user, patient) at which the scopes cover this interaction with this type.

    `resolve` finds a resource to refer to, or to write to, without showing it: any right on the type is enough.
    """
    letters = "crus" if code == "resolve" else LETTERS.get(code, code)
    return {s.level for s in actor.scopes for letter in letters if s.covers(type, letter)}


@ceiling
def scopes(actor, code, type, alias, pk):
    """patient/ scopes reach the patient in context, user/ and system/ scopes every row."""
    levels = covered(actor, code, type)
    if levels - {"patient"}:
        return TRUE, f"A {'/'.join(sorted(levels))} scope covers {code} of {type}."
    if levels and actor.patient is not None:
        return within(actor.patient, alias, pk), f"A patient scope covers {code} of {type} for the patient in context."
    return FALSE, f"No scope covers {code} of {type}."
