"""$everything: the whole record of one patient, in pages. (operation-patient-everything.html)

First the Patient, then the rows of the compartment by type and clinical date, then what these refer to and what belongs
to no patient: organisations, practitioners, locations, medications. Each row once, within the access, as on any search.
"""

from dataclasses import replace
from functools import cache

from django.conf import settings
from msgspec import Raw

from .. import errors
from ..access import over_types
from ..database import FIXED, execute
from ..definitions.structures import is_resource_type, type_name, type_number
from ..formats.json import dump
from ..indexing.index import prepared
from ..interactions import paging
from ..interactions.history import bounds, stamp
from ..interactions.interaction import Conditions, Outcome, Touched
from ..interactions.parse import SERVED
from ..interactions.read import read
from ..interactions.search import announce, lag, missing
from ..keys import identity
from ..resources.compartments import ALONE
from ..resources.models import NO_DATE
from ..resources.occurred import parameters as codes
from ..search.parameters import parameter
from ..sql import SQL, all_of
from . import inputs, operation

KNOWN = ("start", "end", "_since", "_type", "_count", paging.PAGE)
COLUMNS = f"r.pk, r.type, r.id, r.version, r.body, {ALONE}, r.occurred"
ORDER = "type, occurred DESC, pk DESC"
MEMBERS, BESIDE = 0, 1  # the stages of the answer, as its links name them


def prepare(interaction):
    """The index brought up to date for the patient: what refers to what, and how long a period lasts."""
    interaction = inputs.taken(interaction)
    if interaction.id is None:
        return interaction
    behind = prepared(None, identity("Patient", interaction.id), settings.FHIRSERVER_CATCH_UP_MS)
    return replace(interaction, behind=behind)


@operation("everything", "instance", on="Patient", snapshot=True, before=prepare)
def of_instance(interaction, access):
    """One patient's record; of a patient whom the caller may not see, not-found."""
    return record_of(interaction, access, interaction.id)


@operation("everything", "type", on="Patient", snapshot=True, before=prepare)
def of_type(interaction, access):
    """The record of the one patient whom the caller may see: a patient's own token needs no id."""
    visible = access.resources("read", "Patient")
    found = execute(
        f"SELECT r.id FROM resource r WHERE r.type = {type_number('Patient')} AND NOT r.deleted AND ({visible.text})"
        " LIMIT 2",
        visible.params,
    )
    if not found:
        raise errors.NotFound("A patient")
    if len(found) > 1:
        raise errors.TooCostly("More than one patient may be seen here: name one, as Patient/[id]/$everything.")
    return record_of(interaction, access, found[0][0])


def record_of(interaction, access, id):
    """A page of the record as a searchset."""
    issues = inputs.unknown(interaction, KNOWN)
    size = max(paging.count(interaction), 1)
    after = paging.position(interaction, access)
    patient = read(replace(interaction, id=id, conditions=Conditions()), access)
    wanted = Wanted(interaction, access, id)
    rows, keys = [], None
    if after is None and "Patient" in wanted.types and wanted.admits(patient.updated):
        rows.append(("Patient", id, patient.version, patient.body, identity("Patient", id)))
    stage, place = after or (MEMBERS, None)
    for at, find in ((MEMBERS, wanted.members), (BESIDE, wanted.beside)):
        if at < stage or keys is not None:
            continue
        room, begin = size - len(rows), place if at == stage else None
        found = find(begin, room + 1)
        rows += [(type_name(type), *rest) for _, type, *rest, _ in found[:room]]
        if len(found) > room:
            keys = [at, [found[room - 1][1], found[room - 1][6], found[room - 1][0]] if room else begin]
    outcome = answer(interaction, access, rows, keys, issues)
    outcome.touched = outcome.touched or patient.touched  # nothing of what was asked for, of somebody who is there
    return outcome


class Wanted:
    """Which rows of the record are asked for, and may be seen."""

    def __init__(self, interaction, access, id):
        self.patient, self.access = identity("Patient", id), access
        self.types = types_of(interaction)
        since = inputs.one(interaction.parameters, "_since")
        self.since = stamp(bounds("_since", since)[0]) if since else None
        start, end = (inputs.one(interaction.parameters, name) for name in ("start", "end"))
        self.start = bounds("start", start)[0] if start else None
        self.end = bounds("end", end)[1] if end else None

    def admits(self, updated):
        return self.since is None or updated >= self.since

    @property
    def recent(self):
        return [] if self.since is None else [SQL("r.updated >= %s", (self.since,))]

    @property
    def dated(self):
        """Care in the range: it began before the end, and lasted to the start; what has no date is always wanted."""
        found = []
        if self.end is not None:
            found.append(SQL("r.occurred <= %s", (self.end,)))  # a row without a date is before every date
        if self.start is not None:
            found.append(
                SQL("r.occurred = %s", (NO_DATE,))
                | SQL("r.occurred >= %s", (self.start,))
                | SQL(
                    "EXISTS (SELECT FROM date d WHERE d.resource = r.pk AND d.param = ANY(%s) AND d.high >= %s)",
                    (list(clinical_dates()), self.start),
                )
            )
        return found

    def seen(self):
        """Rows of the compartment, but the Patient: those of its own, and those it shares with other patients."""
        own = SQL("r.patient = %s", (self.patient,))
        shared = SQL(
            "r.shared AND r.patient <> %s AND r.pk IN (SELECT c.resource FROM compartment c WHERE c.patient = %s)",
            (self.patient, self.patient),
        )
        live = SQL(f"NOT r.deleted AND r.type <> {type_number('Patient')}")
        return own & live, shared & live

    def members(self, after, limit):
        """Rows of the compartment behind (type, occurred, pk)."""
        criteria = [over_types(self.access, "search", self.types), *self.recent, *self.dated]
        if after is not None:
            type, occurred, pk = after
            criteria.append(
                SQL(
                    "r.type >= %s AND (r.type > %s OR (r.occurred, r.pk) < (%s::bigint, %s::bigint))",
                    (type, type, occurred, pk),
                )
            )
        parts = [all_of([part, *criteria]) for part in self.seen()]
        selects = " UNION ALL ".join(
            f"(SELECT {COLUMNS} FROM resource r WHERE {part.text} ORDER BY {ORDER} LIMIT %s)" for part in parts
        )
        params = tuple(v for part in parts for v in (*part.params, limit))
        return execute(f"SELECT * FROM ({selects}) m ORDER BY {ORDER} LIMIT %s", (*params, limit), FIXED)

    def beside(self, after, limit):
        """Rows of nobody's compartment that visible rows of this one refer to, in the same order."""
        types = [t for t in self.types if t != "Patient"]
        visible = over_types(self.access, "search", sorted(SERVED))
        own, shared = self.seen()
        criteria = [over_types(self.access, "search", types), *self.recent]
        criteria.append(SQL("r.patient IS NULL AND NOT r.shared AND NOT r.deleted"))
        if after is not None:
            type, occurred, pk = after
            criteria.append(
                SQL("r.type > %s OR (r.type = %s AND (r.occurred, r.pk) < (%s, %s))", (type, type, occurred, pk))
            )
        targets, params = [], ()
        self_row = SQL("r.identity = %s", (self.patient,))
        for part in (self_row, own, shared):
            members = all_of([part, visible])
            targets.append(
                f"SELECT i.target FROM resource r JOIN reference i ON i.resource = r.pk WHERE {members.text}"
            )
            params += members.params
        wanted = all_of(criteria)
        return execute(
            f"WITH referred AS MATERIALIZED ({' UNION '.join(targets)})"
            f" SELECT {COLUMNS} FROM referred t JOIN resource r ON r.identity = t.target"
            f" WHERE {wanted.text} ORDER BY {ORDER} LIMIT %s",
            (*params, *wanted.params, limit),
            FIXED,
        )


def types_of(interaction):
    """The types that _type names, or all."""
    named = [t.strip() for n, v in interaction.parameters if n == "_type" for t in v.split(",")]
    for type in named:
        if not is_resource_type(type) or type not in SERVED:
            raise errors.InvalidValue("_type", type, "expected resource types between commas")
    return sorted(set(named)) or sorted(SERVED)


@cache
def clinical_dates():
    """Keys of the parameters that give the clinical date of a type."""
    return tuple(parameter(type, code).key for type in sorted(SERVED) for code in codes(type) if parameter(type, code))


def answer(interaction, access, rows, keys, issues):
    bundle = {"resourceType": "Bundle", "type": "searchset"}
    since = missing(interaction, access)
    issues = [*issues, *lag(since)]
    bundle["link"] = [{"relation": "self", "url": paging.url(interaction, paging.asked(interaction))}]
    if keys is not None:
        bundle["link"].append({"relation": "next", "url": paging.link(interaction, access, keys)})
    bundle["entry"] = [
        {"fullUrl": f"{interaction.base}/{type}/{id}", "resource": Raw(body), "search": {"mode": "match"}}
        for type, id, _, body, _ in rows
    ]
    if issues:
        bundle["entry"].append({"resource": errors.operation_outcome(issues), "search": {"mode": "outcome"}})
    if not bundle["entry"]:
        del bundle["entry"]
    touched = [Touched(type, id, version, patient) for type, id, version, _, patient in rows]
    outcome = Outcome(200, dump(bundle), "Bundle", issues=tuple(issues), touched=touched)
    announce(outcome, since)
    return outcome
