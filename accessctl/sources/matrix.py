"""The authorisation matrix: which classes of data a profession may see at all. (decree of 26 October 2023)"""

from records.sql import SQL

from .. import matrix
from ..groups import PATIENTS, READS
from . import ceiling, for_people


@ceiling
@for_people
def habilitation(actor, code, type, alias, pk):
    """Rows of patients, whatever the patient permits; feeding is no reading."""
    person = actor.person
    if person.kind != "professional" or type not in PATIENTS or code not in READS | {"update", "patch", "delete"}:
        return None
    number = matrix.default(type)
    if person.profession is None or number is None:
        return SQL(f"{alias}.patient IS NULL"), "No profession, or a type without a class."
    return SQL(
        f"{alias}.patient IS NULL OR coalesce({alias}.category, %s) = ANY(ARRAY(SELECT mx.category FROM matrix mx"
        " WHERE mx.profession = %s AND mx.permit AND mx.since <= now() AND (mx.until IS NULL OR mx.until > now())))",
        (number, person.profession),
    ), f"The matrix {matrix.data()['version']} opens this class of data to profession {person.profession}."
