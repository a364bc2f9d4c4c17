"""(actor, interaction, outcome) -> audit records, in the transaction of what they tell of."""

from records.database import COPY_FROM as MANY
from records.database import insert, insertion, queue
from records.definitions.structures import type_number

COLUMNS = ("request", "client", "user", "purpose", "interaction", "type", "patient", "entities", "query", "status")
TYPES = ("uuid", "varchar", "varchar", "varchar", "varchar", "int2", "int8", "text", "text", "int2")
READABLE_QUERY = 4000  # characters; longer queries are kept cut


def record(actor, interaction, outcome, request_id):
    """One row for each patient that the outcome shows or changes; one in all when there is none."""
    groups = {}
    for touched in outcome.touched:
        groups.setdefault(touched.patient, []).append(f"{touched.type}/{touched.id}")
    if not groups:
        named = [f"{interaction.type}/{interaction.id}"] if interaction.type and interaction.id else []
        groups = {None: named}
    query = None
    if interaction.parameters:
        query = "&".join(f"{n}={v}" for n, v in interaction.parameters)[:READABLE_QUERY]
    type = type_number(interaction.type) if interaction.type else None
    code = interaction.code if interaction.operation is None else f"${interaction.operation}"[:20]
    rows = [
        (request_id, actor.client, actor.user, actor.purpose, code, type, patient, " ".join(entities), query,
         outcome.status)
        for patient, entities in groups.items()
    ]  # fmt: skip
    if len(rows) < MANY:
        queue(*insertion("audit", COLUMNS, TYPES, rows))
    else:
        insert("audit", COLUMNS, TYPES, rows)
