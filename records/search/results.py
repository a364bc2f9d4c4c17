"""Running a search: the rows of a page, what comes next, how many there are. (search.html#return)"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from records.database import FIXED, as_system, execute
from records.definitions.structures import type_name
from records.errors import BadRequest, InvalidValue
from records.formats.json import dump
from records.formats.json import parse as parse_json
from records.sql import FALSE

from . import compile, contained, walk
from .includes import included
from .parse import parse
from .query import Criterion, Few, Ids, Query, Updated, Within
from .row import Row

ESTIMATED = 10_000  # _total=estimate counts no further


class Result(NamedTuple):
    """A page: its rows, the keys after which the next one begins (None: it is the last), the total if known,
    and what _include brings along, with what there is to say about it.
    """

    rows: list[Row]
    next: list | None
    total: int | None
    query: Query
    included: tuple | list = ()
    issues: tuple | list = ()
    previous: list | None = None  # the keys before which the page before this one ends


class Selected(NamedTuple):
    pk: int
    id: str
    version: int
    patient: int | None  # whose record alone it is in


def run(query, access, after=None, before=None):
    """The page of a Query that begins after the sort keys `after`, or ends before the keys `before`."""
    asked, query = query, _reachable(query, access)
    if query.type is None and not query.arms:
        return Result([], None, None if query.total == "none" else 0, asked)
    if query.summary == "count" or query.count == 0:
        return Result([], None, total(query, access), asked)
    if before is not None:
        query = _backward(query)
    found = execute(*compile.page(narrowed(query, access), access, after if before is None else before))
    more = len(found) > query.count
    found = found[: query.count]
    if before is not None:
        found.reverse()
    rows = [Row(pk, type_name(type), *rest) for pk, type, *rest in (row[:7] for row in found)]
    ends = [[_plain(v) for v in row[7:]] for row in (found[0], found[-1])] if found else [None, None]
    following = ends[1] if more or before is not None else None
    previous = ends[0] if more or before is None else None
    if after is None and before is None:
        previous = None
    if query.total == "none":
        known = None
    elif after is None and before is None and following is None:
        known = len(rows)
    else:
        known = total(query, access) if query.total else None
    beside = included(query, rows, access)
    return Result(_shown(rows, query), following, known, asked, *beside, previous)


def _shown(rows, query):
    """Rows as they are answered: of a contained resource its container, or itself as it stands there."""
    return [s for row in rows if (s := row if row.pk > 0 else _inside(row, query.contained_type)) is not None]


def _inside(row, shown):
    """None when the container, written just now, has it no longer."""
    container = parse_json(bytes(row.body))
    type, id = container["resourceType"], container["id"]
    if shown == "container":
        return row._replace(pk=contained.container_of(row.pk), type=type, id=id)
    inside = container.get("contained", ())[contained.place_of(row.pk) :][:1]
    if not inside or (inside[0]["resourceType"], inside[0].get("id", "")) != (row.type, row.id):
        return None
    return row._replace(body=dump(inside[0]), within=(type, id))


# Of so many patients the records are looked through, not everybody's: always, and at most. In between where it is less
# than to walk over others' rows until the page is full: the more people there are, the longer that walk.
FEW_RECORDS, MOST_RECORDS = 20, 1000
EACH = 4  # reasons for a record that are read
HOLDERS = f"""WITH bound AS MATERIALIZED (
        SELECT least(%s, greatest(%s, sqrt(greatest(reltuples, 0) / 7)))::int AS most
        FROM pg_class WHERE oid = 'resource'::regclass
    ), h AS MATERIALIZED (SELECT patient FROM ({{holders}}) h LIMIT (SELECT {EACH} * most + 1 FROM bound)),
    p AS MATERIALIZED (SELECT DISTINCT patient FROM h WHERE patient IS NOT NULL)
    SELECT CASE WHEN (SELECT count(*) FROM h) <= {EACH} * most AND (SELECT count(*) FROM p) <= most
        THEN ARRAY(SELECT patient FROM p ORDER BY patient) END FROM bound"""


def narrowed(query, access, known=None):
    """The query, to look in the records of few patients alone where the actor may find nothing elsewhere.

    Who may see five patients of forty million is not to walk over the others' rows to find theirs.
    """
    known = {} if known is None else known
    if query.arms:
        return replace(query, arms=tuple(narrowed(arm, access, known) for arm in query.arms))
    if query.type is None or query.contained == "true":
        return query
    holders = access.patients("search", query.type)
    if holders is None or not walk.is_wide(query, access):
        return query
    if holders not in known:
        [(patients,)] = execute(
            HOLDERS.format(holders=holders.text), (MOST_RECORDS, FEW_RECORDS, *holders.params), FIXED
        )
        known[holders] = None if patients is None else Few(tuple(patients), access.author)
    return replace(query, within=known[holders])


def _backward(query):
    return replace(query, backward=True, arms=tuple(_backward(arm) for arm in query.arms))


FEW = 8  # types; of more it pays to see first which have rows at all


def _reachable(query, access):
    """A search of several types without those that the actor may not see, or that have no rows."""
    if query.type is not None:
        return query
    arms = [arm for arm in query.arms if any(compile.there(each, access) != FALSE for each in compile.arms_of(arm))]
    if len(arms) > FEW:
        with as_system():  # whoever's they are: a policy would look through the rows for one's own, and nobody is told
            present = {type_name(number) for (number,) in execute(PRESENT)}
        arms = [arm for arm in arms if arm.type in present or (arm.contained and contained.holders(arm.type))]
    return replace(query, arms=tuple(arms))


# one probe of the index for each type that has rows
PRESENT = """
    WITH RECURSIVE t(type) AS (
        (SELECT type FROM resource WHERE NOT deleted ORDER BY type LIMIT 1)
        UNION ALL
        SELECT (SELECT type FROM resource WHERE NOT deleted AND type > t.type ORDER BY type LIMIT 1)
        FROM t WHERE t.type IS NOT NULL
    ) SELECT type FROM t WHERE type IS NOT NULL
"""


def total(query, access):
    """How many match: exactly, or no further than ESTIMATED when an estimate will do."""
    query = _reachable(query, access)
    if query.type is None and not query.arms:
        return 0
    most = ESTIMATED if query.total == "estimate" else None
    return execute(*compile.count(narrowed(query, access), access, most))[0][0]


def search(type, pairs, access, strict=False, after=None):
    """Parse and run: what `type?name=value&...` finds."""
    return run(parse(type, pairs, strict), access, after)


def select(type, pairs, access, limit=2):
    """The resources that criteria select for a conditional interaction, at most `limit`. (http.html#cond-update)

    Every criterion counts: an unknown one, or none at all, is an error.
    """
    query = parse(type, pairs, strict=True)
    if not query.criteria:
        raise BadRequest(f"A conditional interaction on {type} needs criteria that select a resource.")
    if query.contained:
        raise InvalidValue("_contained", query.contained, "a conditional interaction is with what stands alone")
    found = execute(*compile.page(narrowed(query, access), access, limit=limit))
    return [Selected(row[0], row[2], row[3], row[6]) for row in found]


def is_one_page(query):
    """Is the answer one statement? Then it is of one moment by itself."""
    return not (query.arms or query.includes or query.contained or query.summary == "count") and (
        query.total in (None, "none")
    )


def immediate(query):
    """Does the search use only what is indexed by the write itself? Then it is never behind."""
    return not (query.includes or query.contained) and all(
        all(map(_immediate, arm.criteria)) and all(map(_of_row, arm.sort)) for arm in query.arms or (query,)
    )


def _of_row(sort):
    """Is the key a column of the resource's own row?"""
    return sort.code in ("_id", "_lastUpdated") or (sort.by is None and sort.param.is_occurred)


def _immediate(node):
    match node:
        case Ids() | Updated():
            return True
        case Within(holder="Patient"):
            return True
        case Criterion():
            return node.modifier is None and node.param.code in ("identifier", "url")
    return False


def _plain(value):
    """A sort key as JSON can carry it in a link."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Decimal():
            return str(value)
    return value
