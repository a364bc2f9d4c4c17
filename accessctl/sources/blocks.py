"""A blocked professional is refused in every mode, with or without consent. (PDSm4DMP TD0.2)

Feeding is not consultation and stays: a refusal would tell a professional of the block.
"""

from records.sql import SQL

from ..pieces import dated, lacks, opened, some
from ..policy import policy
from ..standing import NOT_NOW
from . import denies, for_people


@denies
@for_people
def blocked(actor, code, type, alias, pk):
    if actor.person.kind != "professional" or code == "create":
        return None
    found = NOT_NOW if lacks(actor.person, "blocked") else some(lambda p: by(actor.person, p), alias, pk)
    return found, "A patient of the row blocks this professional."


def by(person, patient):
    block = SQL(
        f"EXISTS (SELECT FROM block bl WHERE bl.patient = {patient} AND bl.person_id = %s AND {dated('bl')})",
        (person.user,),
    )
    return block if policy().blocksBindEmergency else block & ~opened(person, patient)
