"""Does the index say what the resources say? Rows are made anew beside the stored ones, and compared in SQL.

The writer of the index itself writes them, into temporary tables of the same names, which hide the real ones on a
connection of its own; so no kind of row can be forgotten. Each batch is one snapshot; what waits for the indexer in it
is no difference.
"""

from collections import Counter
from dataclasses import dataclass, field

from records.database import apart, as_system, atomic, execute
from records.definitions.structures import RESOURCE_TYPES, type_name, type_number
from records.search import parameters, stored
from records.search.contained import container_of

from . import jobs
from .extract import CannotIndex
from .index import Indexed, extracted
from .rows import TABLES, write

BATCH = 500
INSIDE = ("contained", "contained_kind")
MISSING, SURPLUS, UNINDEXABLE = "missing", "surplus", "cannot be indexed"


@dataclass
class Report:
    """What a check found."""

    checked: int = 0
    waiting: int = 0  # resources that the indexer has still to do
    failed: int = 0  # resources that it could not do, and says so
    differences: Counter = field(default_factory=Counter)  # (type, parameter, table, what) -> rows
    resources: set = field(default_factory=set)  # pks that differ


@as_system()
def check(types=None, repair=False, owner="owner", told=lambda report: None):
    """Compare all resources, or those of some types, with their index rows; a Report.

    `owner` is the alias of a role that may make temporary tables; `told(report)` is called after each batch.
    """
    report, cursor = Report(), 0
    stored.learn()
    numbers = [type_number(t) for t in types or RESOURCE_TYPES]
    names = _names()
    with apart(owner):
        for table in (*TABLES, "concept", *INSIDE):
            execute(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table}) ON COMMIT DELETE ROWS")
        while True:
            with atomic(snapshot=True):
                end, found = _batch(numbers, cursor)
                if found:
                    _compare(found, report, names)
            if end is None:
                break
            cursor = end
            told(report)
        if types is None:
            _orphans(report, names, repair)
    if repair:
        pks = sorted(report.resources)
        for at in range(0, len(pks), jobs.SLICE):
            with atomic():
                jobs.renew(pks[at : at + jobs.SLICE])
    return report


def _batch(types, after):
    """(pk of the last one looked at, rows of resources); (None, []) behind the last."""
    found = execute(
        "SELECT r.pk, r.type, r.patient, r.occurred, r.deleted, r.body FROM resource r"
        " WHERE r.pk > %s AND r.type = ANY(%s) ORDER BY r.pk LIMIT %s",
        (after, types, BATCH),
    )
    return (found[-1][0], found) if found else (None, [])


def _compare(found, report, names):
    pks = [row[0] for row in found]
    queued = dict(
        execute(
            "SELECT resource, bool_and(retry_at IS NOT NULL) FROM pending WHERE resource = ANY(%s) GROUP BY 1", (pks,)
        )
    )
    types, made = {}, []
    for pk, type, patient, occurred, deleted, body in found:
        if pk in queued:
            report.failed += queued[pk]
            report.waiting += not queued[pk]
            continue
        report.checked += 1
        types[pk] = type_name(type)
        if deleted:
            continue
        try:
            item = Indexed(pk, types[pk], patient, occurred, bytes(body))
            made.append((item, extracted(item)))
        except CannotIndex:
            report.differences[types[pk], "", "", UNINDEXABLE] += 1
            report.resources.add(pk)
            del types[pk]
    write(made, (), frozenset())
    within = execute(
        "SELECT resource, container FROM contained WHERE container = ANY(%s) UNION"
        " SELECT resource, container FROM public.contained WHERE container = ANY(%s)",
        (list(types), list(types)),
    )
    types |= {pk: types[container] for pk, container in within}
    pks = list(types)
    for table in (*TABLES, "contained"):
        real, fresh = f"SELECT * FROM public.{table} WHERE resource = ANY(%s)", f"SELECT * FROM pg_temp.{table}"
        for what, text in ((MISSING, f"{fresh} EXCEPT ALL {real}"), (SURPLUS, f"{real} EXCEPT ALL {fresh}")):
            of = "0::bigint" if table == "contained" else "param"
            rows = execute(f"SELECT resource, {of}, count(*) FROM ({text}) d GROUP BY 1, 2", (pks,))
            for pk, param, count in rows:
                report.differences[types[pk], names.get(param, str(param)), table, what] += count
                report.resources.add(container_of(pk))
    _concepts(report, names)
    _kinds(report, names)


def _concepts(report, names):
    """Texts of codes are shared by all resources: none may be missing; those that nobody has any more do no harm."""
    wanted = execute(
        "SELECT e.param, count(*) FROM (SELECT DISTINCT param, key, folded FROM pg_temp.concept) e"
        " WHERE NOT EXISTS (SELECT FROM public.concept c"
        " WHERE (c.param, c.key, c.folded) = (e.param, e.key, e.folded)) GROUP BY 1"
    )
    if not wanted:
        return
    for param, count in wanted:
        report.differences["", names.get(param, str(param)), "concept", MISSING] += count
    report.resources |= {
        container_of(pk)
        for (pk,) in execute(
            "SELECT t.resource FROM pg_temp.token t WHERE t.param = ANY(%s)", ([param for param, _ in wanted],)
        )
    }


def _kinds(report, names):
    """What is contained in what must be known, or no search looks for it."""
    wanted = execute(
        "SELECT holder, param FROM (SELECT * FROM contained_kind EXCEPT SELECT * FROM public.contained_kind) d"
    )
    for holder, param in wanted:
        report.differences[type_name(holder), names.get(param, str(param)), "contained_kind", MISSING] += 1
    if wanted:
        report.resources |= {pk for (pk,) in execute("SELECT container FROM contained")}


def _orphans(report, names, repair):
    """Rows of no resource at all."""
    whole = "NOT EXISTS (SELECT FROM resource r WHERE r.pk = i.{})"
    inside = "NOT EXISTS (SELECT FROM public.contained c WHERE c.resource = i.resource)"
    for table in ("contained", *TABLES):
        of = "0::bigint" if table == "contained" else "i.param"
        gone = whole.format("container") if table == "contained" else f"{whole.format('resource')} AND {inside}"
        lost = f"public.{table} i WHERE {gone}"
        for param, count in execute(f"SELECT {of}, count(*) FROM {lost} GROUP BY 1"):
            report.differences["", names.get(param, str(param)), table, SURPLUS] += count
        if repair:
            execute(f"DELETE FROM {lost}")


def _names():
    """Key of a parameter -> its code."""
    return {p.key: p.code for type in RESOURCE_TYPES for p in parameters.to_index(type).values()}
