"""Who created a row of nobody's record sees it; and only who created a resource deletes it. (PDSm4DMP TD3.3c)"""

from records.sql import SQL

from ..groups import DIRECTORY, PATIENTS
from ..pieces import held, own
from . import NOWHERE, ceiling, for_people, permits, within


@permits
@for_people
def created(actor, code, type, alias, pk):
    """What belongs to no patient, and the types that are their author's alone.

    In a patient's record an author is spared the labels, not the consent: depositing is no right to read.
    """
    if actor.person.kind == "staff" or type in DIRECTORY or type == "AuditEvent":
        return None
    mine = SQL(f"{alias}.author = %s", (actor.author,))
    if type in PATIENTS:
        return mine & SQL(f"{alias}.patient IS NULL"), "The actor created it, and it is in nobody's record."
    if actor.person.kind == "patient":
        mine = mine & (SQL(f"{alias}.patient IS NULL") | held(own(actor.person), alias, pk))
    return mine, "The actor created it."


@within(created)
def of_nobody(actor, code, type):
    """Of types of patients what is in nobody's record; of the others anything."""
    return NOWHERE if type in PATIENTS else None


@ceiling
@for_people
def deletes(actor, code, type, alias, pk):
    """A patient takes back the own consents too, whoever wrote them down."""
    if code != "delete" or (type == "Consent" and actor.person.kind == "patient"):
        return None
    return SQL(f"{alias}.author = %s", (actor.author,)), "Only the author deletes."
