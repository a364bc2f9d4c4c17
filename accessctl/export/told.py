"""Each patient is told of an export that contains something of the record: in the audit, before it is given out."""

from uuid import UUID

from records.database import execute
from records.interactions.interaction import Interaction, Outcome, Touched
from records.resources.store import instant

from ..audit import record

PATIENTS = 200  # told in one slice
MOST_NAMED = 1000  # resources in one record; of more there are more records
FIRST = -(2**63)


def some(export, actor):
    """Record it for the next patients; where those after them begin, None when there were none.

    The records commit with the place of the export, so that each patient is told once, whatever happens.
    """
    rows = execute(
        "SELECT patient, string_agg(entities, ' ' ORDER BY number) FROM export_content WHERE run = %s AND patient >= %s"
        " GROUP BY patient ORDER BY patient LIMIT %s",
        (export.run, export.place.patient, PATIENTS),
    )
    if not rows:
        return None
    named = {patient: entities.split(" ") for patient, entities in rows}
    for at in range(0, max(map(len, named.values())), MOST_NAMED):
        touched = [
            Touched(*entity.split("/"), None, patient)
            for patient, entities in named.items()
            for entity in entities[at : at + MOST_NAMED]
        ]
        record(actor, disclosure(export), Outcome(200, touched=touched), UUID(export.asked.request))
    execute("DELETE FROM export_content WHERE run = %s AND patient BETWEEN %s AND %s",
            (export.run, rows[0][0], rows[-1][0]))  # fmt: skip
    return rows[-1][0] + 1


def disclosure(export):
    """The interaction that the records are of."""
    said = (("request", export.asked.url), ("transactionTime", instant(export.moment)))
    return Interaction("operation", "system", operation="export", parameters=said)
