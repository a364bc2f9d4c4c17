"""Breaking the glass opens one patient's record to one professional for a time. (CSP L1111-17 I)"""

from records.sql import SQL

from ..groups import PATIENTS, READS
from ..labels import CLOSED
from ..pieces import dated, every, lacks, opened
from ..policy import policy
from ..standing import NOT_NOW
from . import for_people, permits, within


@permits
@for_people
def glass(actor, code, type, alias, pk):
    """Reading; what carries a restricting label stays closed unless a consent opens it for emergencies."""
    if actor.person.kind != "professional" or type not in PATIENTS or code not in READS:
        return None
    said = "The glass of each patient of the row is broken by this professional, and the time is not over."
    if lacks(actor.person, "opens"):
        return NOT_NOW, said
    found = every(lambda p: opened(actor.person, p), alias, pk)
    if not policy().emergencyRevealsMasked:
        found = found & SQL(f"{alias}.labels & {CLOSED} = 0")
    return found, said


@within(glass)
def open_now(actor, code, type):
    return SQL(f"SELECT op.patient FROM opening op WHERE op.person_id = %s AND {dated('op')}", (actor.person.user,))
