"""What there was of a type at a moment: of each resource its last version until then, in the order of their writing.

A version is the last one until the moment when the next one is later, or is not there: numbers have no gaps, and the
time of a resource's versions only grows. So rows of `version` alone say it, whatever is written meanwhile; each
resource comes once, and one that was deleted by then comes as a deletion.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from records.database import execute
from records.definitions.structures import type_number
from records.formats.json import parse
from records.resources.compartments import patients_of
from records.sql import all_of

WINDOW = 1000  # versions that a slice looks at
LARGEST = 4 * 1024 * 1024  # bytes that a slice takes, or one resource that is larger
FIRST = (datetime(1970, 1, 1, tzinfo=UTC), 0)
LAST = 2**63 - 1  # resource: after all of a moment


class Then(NamedTuple):
    """A resource as it was."""

    updated: datetime
    pk: int
    version: int
    id: str
    patient: int | None  # the first
    shared: bool
    now: bool  # it is so still
    size: int | None  # bytes; None: deleted


def looked_at(type, moment, since, after):
    """(updated, resource, version) of the next versions written after `since` and up to the moment."""
    return execute(
        "SELECT v.updated, v.resource, v.version FROM version v WHERE v.type = %s AND v.updated <= %s"
        " AND (v.updated, v.resource) > (%s::timestamptz, %s::bigint) ORDER BY v.updated, v.resource LIMIT %s",
        (type_number(type), moment, *(after or ((since, LAST) if since else FIRST)), WINDOW),
    )


def standing(found, moment, predicates):
    """Then of those that are the last version until the moment, as far as the predicates show them."""
    shown = all_of(predicates)
    rows = execute(
        "SELECT v.updated, v.resource, v.version, r.id, v.patient, v.shared, r.version = v.version,"
        " octet_length(v.body) FROM unnest(%s::bigint[], %s::int4[]) AS w(resource, version)"
        " JOIN version v ON v.resource = w.resource AND v.version = w.version JOIN resource r ON r.pk = w.resource"
        " WHERE NOT EXISTS (SELECT FROM version n WHERE n.resource = w.resource AND n.version = w.version + 1"
        f" AND n.updated <= %s) AND ({shown.text}) ORDER BY v.updated, v.resource",
        ([pk for _, pk, _ in found], [version for _, _, version in found], moment, *shown.params),
    )
    return [Then._make(row) for row in rows]


def taken(rows):
    """As many of the rows as a slice takes."""
    size = 0
    for n, row in enumerate(rows):
        size += row.size or 0
        if n and size > LARGEST:
            return rows[:n]
    return rows


def bodies(rows):
    """pk -> bytes of each that is not deleted."""
    rows = [row for row in rows if row.size is not None]
    return {
        pk: bytes(body)
        for pk, body in execute(
            "SELECT v.resource, v.body FROM unnest(%s::bigint[], %s::int4[]) AS w(resource, version)"
            " JOIN version v ON v.resource = w.resource AND v.version = w.version",
            ([row.pk for row in rows], [row.version for row in rows]),
        )
    }


def patients(rows, type, found, base):
    """pk -> keys of the patients whom each row was about.

    Of a past version of several patients the tables know the first: the others are in its bytes.
    """
    several = [row.pk for row in rows if row.shared and row.now]
    members = {}
    for pk, patient in execute("SELECT resource, patient FROM compartment WHERE resource = ANY(%s)", (several,)):
        members.setdefault(pk, []).append(patient)
    return {row.pk: of_row(row, type, found.get(row.pk), members.get(row.pk, ()), base) for row in rows}


def of_row(row, type, body, members, base):
    known = [] if row.patient is None else [row.patient]
    if not row.shared:
        return known
    written = patients_of(parse(body), type, row.id, base) if body is not None else ()
    return list(dict.fromkeys([*known, *members, *written]))
