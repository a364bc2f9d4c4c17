"""(actor, interaction, outcome) -> audit records: committed with the effect, or before the answer of a read leaves.

A write queues its record for its own COMMIT; a read waits for the Recorder of its process. No record, no answer.
"""

import logging
import time
from collections import defaultdict

import psycopg

from records import errors
from records.database import COPY_FROM, FIXED, as_system, execute, in_transaction, insert, insertion, on_commit, queue
from records.definitions.structures import type_name, type_number
from records.keys import identity

from ..groups import DIRECTORY
from . import journal
from .encoding import Record, microseconds
from .recorder import NAMES, TYPES, recorder, rows_of

log = logging.getLogger("accessctl.audit")
READABLE_QUERY = 4000  # characters; longer queries are kept cut


def record(actor, interaction, outcome, request_id):
    """One record for each patient that the outcome shows or changes; one in all when there is none.

    Outside a transaction the promise of the commit is left in `outcome.recorded`, for `settle`.
    """
    records = records_of(actor, interaction, outcome, request_id)
    if interaction.type == "AuditEvent" and outcome.status == 201:  # an AuditEvent received is its own record
        records[0].seq, records[0].received = int(outcome.id), outcome.received
        records[0].at = microseconds(outcome.updated)
    if not in_transaction():
        outcome.recorded.append(recorder().promise(records))
        return
    rows = rows_of(records)
    if len(rows) < COPY_FROM:
        queue(*insertion("audit", NAMES, TYPES, rows))
    else:
        try:
            insert("audit", NAMES, TYPES, rows)
        except psycopg.errors.ProgrammingError as error:
            log.error("accesses cannot be recorded", exc_info=error)
            raise errors.Busy("The access could not be recorded.") from error
    on_commit(lambda: journal.note(rows))


def records_of(actor, interaction, outcome, request_id):
    """The records of one interaction; their numbers come with the INSERT."""
    groups, members = defaultdict(list), members_of(outcome.touched)
    for touched in outcome.touched:
        name = f"{touched.type}/{touched.id}"
        if touched.patient is not None or not members:
            groups[touched.patient].append(name)
        else:
            for patient in members.get((touched.type, touched.id), (None,)):
                groups[patient].append(name)
    if not groups:
        groups = {None: [f"{interaction.type}/{interaction.id}"] if interaction.type and interaction.id else []}
    asked = [f"{n}={v}" for n, v in interaction.parameters]
    if interaction.conditions.if_none_exist:
        asked.append(interaction.conditions.if_none_exist.rpartition("?")[2])
    query = storable("&".join(asked)[:READABLE_QUERY]) if asked else None
    type = type_number(interaction.type) if interaction.type else None
    code = interaction.code if interaction.operation is None else f"${interaction.operation}"[:20]
    at = time.time_ns() // 1000
    return [
        Record(0, at, request_id, actor.client, code, " ".join(entities), outcome.status, actor.user, actor.purpose,
               type, patient, query)
        for patient, entities in groups.items()
    ]  # fmt: skip


@as_system()
def members_of(touched):
    """(type, id) -> patients, of what is about several: each of them is told. What is about one says so itself."""
    asked = [(t.type, t.id) for t in touched if t.patient is None and t.id and t.type not in DIRECTORY]
    if not asked:
        return {}
    found = {}
    for number, id, patient in execute(
        "SELECT r.type, r.id, c.patient FROM resource r JOIN compartment c ON c.resource = r.pk"
        " WHERE r.identity = ANY(%s) AND r.shared ORDER BY c.patient",
        ([identity(*each) for each in asked],),
        FIXED,
    ):
        found.setdefault((type_name(number), id), []).append(patient)
    return found


def storable(text):
    """Without what PostgreSQL cannot hold, so that no query escapes its record."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
