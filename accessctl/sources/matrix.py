"""The authorisation matrix: which classes of data a profession may see at all. (decree of 26 October 2023)"""

from functools import cache

from records.definitions.structures import RESOURCE_TYPES
from records.sql import SQL

from .. import matrix
from ..groups import PATIENTS, READS
from ..standing import array
from . import ceiling, for_people


@ceiling
@for_people
def habilitation(actor, code, type, alias, pk):
    """Rows of patients, whatever the patient permits; feeding is no reading."""
    person = actor.person
    if person.kind != "professional" or type not in PATIENTS or code not in READS | {"update", "patch", "delete"}:
        return None
    if person.profession is None:
        return SQL(f"{alias}.patient IS NULL"), "No profession is known."
    category = f"coalesce({alias}.category, ('{defaults()}'::int2[])[{alias}.type])"
    classes = SQL(
        "ARRAY(SELECT mx.category FROM matrix mx"
        " WHERE mx.profession = %s AND mx.permit AND mx.since <= now() AND (mx.until IS NULL OR mx.until > now()))",
        (person.profession,),
    )
    if person.standing is not None:
        classes = array(person.standing.classes, "int2")
    return SQL(
        f"{alias}.patient IS NULL OR {category} = ANY({classes.text})", classes.params
    ), f"The matrix in force opens this class of data to profession {person.profession}."


@cache
def defaults():
    """The class of each type as an array by its number: one predicate for all types, which a long search needs."""
    return (
        "{" + ",".join(str(matrix.default(type)) if matrix.default(type) else "NULL" for type in RESOURCE_TYPES) + "}"
    )
