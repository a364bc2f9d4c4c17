"""A closed record is for its holder and the representatives. (CSP R1111-36)"""

from records.sql import SQL

from ..pieces import some
from . import denies, for_people


@denies
@for_people
def closed(actor, code, type, alias, pk):
    if actor.person.kind == "patient":
        return None
    return some(
        lambda p: SQL(f"EXISTS (SELECT FROM dossier dc WHERE dc.patient = {p} AND dc.closed <= now())"), alias, pk
    ), "The record is closed."
