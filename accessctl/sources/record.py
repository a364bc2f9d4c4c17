"""A patient sees the own record; a proxy that of the patient represented."""

from records.sql import SQL

from ..groups import PATIENTS, READS
from ..pieces import every, held, own
from . import for_people, permits, within


@permits
@for_people
def own_record(actor, code, type, alias, pk):
    """What is written must lie in such records alone; author.py and guard.py say what may be changed there."""
    person = actor.person
    if person.kind != "patient" or type not in PATIENTS:
        return None
    said = "The row is in the record of the patient, or of a patient whom the proxy represents."
    if code in READS:
        return held(own(person), alias, pk), said
    if type == "AuditEvent" or (type == "Patient" and code == "create"):
        return None
    mine = own(person)
    return every(lambda p: SQL(f"{p} = ANY({mine.text})", mine.params), alias, pk), said


@within(own_record)
def of_mine(actor, code, type):
    mine = own(actor.person)
    return SQL(f"SELECT unnest({mine.text}) AS patient", mine.params)
