"""Where a search starts: the index to walk, and what is left to check on the rows met.

_contained                 the contained resources of the type; the planner may start from a criterion
_id                        the rows of these identities
the record of a patient    its rows, which are in clinical order; and those it shares
a token or reference       its index rows, which are in clinical order: (key, occurred, resource)
a date "on or after"       the rows of the type from that day on, and the few that began before and last into it
else                       the rows of the type, in clinical order; the planner may start from another criterion
"""

from typing import NamedTuple

from records import keys
from records.database import FIXED
from records.definitions.structures import type_number
from records.fhirpath.times import DAY
from records.resources.compartments import is_of_patients
from records.resources.models import Resource
from records.sql import SQL, TRUE, all_of

from . import contained
from .conditions import WALKED, Place, condition, matched, member
from .query import Chain, Criterion, Has, Ids, Updated, Within
from .seek import beginning, seeking
from .types import TYPES, Match

MERGED = 8  # so many values of an "or" are merged as index walks; with more the planner chooses
FREE = Place(fenced=False)


class Start(NamedTuple):
    """FROM and WHERE of a search; `walked`: the index walk is d, and its order is (d.occurred, d.resource);
    `fixed`: how its Statement is prepared, FIXED when there is one way to run it, whatever the values; `rows`: the
    walk d with all that bounds its rows, when what is left of WHERE keeps most of them: then they may be sorted before
    they are judged.
    """

    source: SQL
    where: SQL
    walked: bool = False
    fixed: bool | str = False
    first: SQL = SQL("")  # a WITH that FROM builds on
    rows: SQL | None = None
    others: SQL = TRUE  # of `where`, what is no bound of the walk
    every: Criterion | None = None  # whose every row is walked


class Floor(NamedTuple):
    """A date that must last to a moment, whenever it began: param is the key of the date parameter."""

    param: int
    edge: int


def start(query, access, ordered=True):
    """How to find the rows of a query; `ordered`: the order of the answer matters."""
    if query.contained:
        return _inside(query, access)
    found = [(node, _match(node, access)) for node in query.criteria]
    if ids := next((node for node, _ in found if isinstance(node, Ids)), None):
        others = [condition(node, query.type, access, Place()) for node, _ in found if node is not ids]
        identities = [keys.identity(query.type, id) for id in ids.ids]
        return Start(SQL("resource r"), all_of([SQL("r.identity = ANY(%s)", (identities,)), *others]), fixed=FIXED)
    low, high, floor = _bounds(found)
    record = next((node for node, _ in found if isinstance(node, Within) and node.holder == "Patient"), None)
    if record:
        others = [condition(node, query.type, access, Place()) for node, _ in found if node is not record]
        source = _record(record.identity, query.type, _way(query) if ordered else None)
        return Start(source, all_of([*_between("r.occurred", low, high), *others]), fixed=FIXED)
    best = min((pair for pair in found if _rank(pair) is not None), key=_rank, default=None)
    way = _way(query) if ordered else None
    if query.within and _is_wide(best):
        others = [condition(node, query.type, access, WALKED) for node, _ in found]
        return _start(_records(query.within, query.type, way), _between("d.occurred", low, high), others, True)
    reached = best and _rank(best)[0] == 2 and any(isinstance(node, Chain | Has) for node, _ in found)
    leads = [pair for pair in found if _rank(pair) is None and not _is_date(pair[0])]
    if any(isinstance(node, Updated) for node, _ in found):
        leads = []  # it may be the narrowest, and has an index of its own
    if way and (reached or not best) and (begun := beginning(leads)):
        plan = FIXED if begun.fixed else True
        first, source = seeking(begun, _walk(best[1] if best else _implied(found), query.type, floor, way), way)
        others = [condition(node, query.type, access, WALKED) for node, _ in found]
        return Start(source, all_of([*_between("d.occurred", low, high), *others]), True, not floor and plan, first)
    if reached:
        best = None  # a code is rarely narrower than a chain: the planner knows more
    elif best or floor or (way and not found):
        source = _walk(best[1] if best else None, query.type, floor, way)
        others = [
            condition(node, query.type, access, WALKED) for node, _ in found if best is None or node is not best[0]
        ]
        bounds = _between("d.occurred", low, high)
        begun = _start(source, bounds, others, not leads, not floor and FIXED, best and _patient(*best))
        return begun._replace(every=best[0]) if best and not bounds and not floor else begun
    # a date that bounds the rows walked is checked on them, everything else may be where the planner starts
    others = [condition(node, query.type, access, Place() if _is_bound(match) else FREE) for node, match in found]
    rows = None if found else SQL("live_of(%s::smallint) d", (type_number(query.type),))  # no policy looks at each
    return Start(SQL("resource r"), all_of([*_between("r.occurred", low, high), *others]), rows=rows)


def is_wide(query, access):
    """Does the search walk rows of everybody, more than those of a patient, a reference or an identifier?"""
    if any(isinstance(node, Ids) or (isinstance(node, Within) and node.holder == "Patient") for node in query.criteria):
        return False
    ranked = ((node, _match(node, access)) for node in query.criteria)
    return _is_wide(min((pair for pair in ranked if _rank(pair) is not None), key=_rank, default=None))


def _is_wide(best):
    return best is None or _rank(best)[0] == 2


def _start(walk, between, others, most, fixed=FIXED, patient=None):
    """From a walk d whose rows are bounded, each then judged by `others`; `most` of them stay.

    `patient`: in whose record all are.
    """
    between, others = all_of(between), all_of(others)
    rows = SQL(f"{walk.text} WHERE {between.text}", walk.params + between.params) if most else None
    row = SQL("resource r") if patient is None else _of(patient, "resource k WHERE k.patient = %s OR k.shared", patient)
    source = SQL(f"{walk.text} JOIN {row.text} ON r.pk = d.resource", walk.params + row.params)
    return Start(source, between & others, True, fixed, rows=rows, others=others)


def _inside(query, access):
    """Contained resources; of several in one container that match, when it is what is shown, the first."""
    place = Place("r", "r.pk", "r.occurred", False, True)
    wanted = [condition(node, query.type, access, place) for node in query.criteria]
    if query.contained_type == "container":
        other = Place("e", "e.pk", "e.occurred", True, True)
        same = [condition(node, query.type, access, other) for node in query.criteria]
        same = all_of([SQL("e.container = r.container AND e.pk > r.pk"), contained.of_type(query.type, "e"), *same])
        wanted.append(SQL(f"NOT EXISTS (SELECT FROM {contained.rows('e')} WHERE {same.text})", same.params))
    if query.contained_type == "container" and query.contained == "both":  # it is among those that stand alone
        itself = Place("o_r", "o_r.pk", "o_r.occurred")
        alone = [condition(node, query.type, access, itself) for node in query.criteria]
        wanted.append(~all_of([contained.of_type(query.type, "o_r"), *alone]))
    return Start(SQL(contained.rows("r")), all_of(wanted))


def _implied(found):
    """Rows in clinical order that all that a composite finds has too: fewer to walk than those of the type."""
    for node, match in found:
        if isinstance(node, Criterion) and node.modifier is None and isinstance(match, Match):
            implied = TYPES[node.param.family].implied(node.param, node.texts)
            if isinstance(implied, Match) and 0 < len(implied.keys) <= MERGED:
                return implied
    return None


def _match(node, access):
    if isinstance(node, Within) and node.holder != "Patient":
        return member(node)
    return matched(node, access) if isinstance(node, Criterion) else None


def _record(patient, type, way):
    """FROM item r: rows of one type in the record of a patient, its own and those it shares.

    OFFSET 0: they are judged once, when the order has come to them, not in each of the two.
    """
    live = f"d.type = {type_number(type)} AND NOT d.deleted"
    by = f" ORDER BY occurred {way}, pk {way}" if way else ""
    rows = (
        f"((SELECT d.* FROM resource d WHERE d.patient = %s AND {live}{by} OFFSET 0)"
        " UNION ALL (SELECT d.* FROM compartment c JOIN resource d ON d.pk = c.resource"
        f" WHERE c.patient = %s AND d.shared AND d.patient IS DISTINCT FROM %s AND {live}{by} OFFSET 0)) k"
    )
    return _of(patient, rows, patient, patient, patient)


def _of(patient, rows, *params):
    """FROM item r: these rows k, all in the record of a patient, with the key of that one as `patient`.

    What an access asks of the patient is then asked once in a statement, and not of each row. It says of rows of
    several patients, which it judges by all of them, no more than it would.
    """
    return SQL(f"(SELECT {OTHERS}, %s::bigint AS patient FROM {rows}) r", (patient, *params))


OTHERS = ", ".join(f"k.{f.column}" for f in Resource._meta.concrete_fields if f.column != "patient")


def _patient(node, match):
    """The one patient in whose record all rows are that a criterion leads to, or None."""
    if not isinstance(node, Criterion) or match.table != "reference" or len(match.keys) != 1 or len(node.texts) != 1:
        return None
    target, id = match.keys[0][1], node.texts[0].rpartition("/")[2]
    return target if target == keys.identity("Patient", id) and is_of_patients(node.param) else None


def _records(within, type, way):
    """FROM item d: rows of one type in the records of few patients, and those of an author in nobody's."""
    live = f"d.type = {type_number(type)} AND NOT d.deleted"
    by = f" ORDER BY occurred {way}, resource {way} OFFSET 0" if way else ""
    patients = list(within.patients)
    return SQL(
        "(SELECT occurred, resource FROM (SELECT d.occurred, d.resource FROM unnest(%s::bigint[]) h(patient)"
        " CROSS JOIN LATERAL (SELECT d.occurred, d.pk AS resource FROM resource d"
        f" WHERE d.patient = h.patient AND {live} OFFSET 0) d"
        " UNION SELECT d.occurred, d.pk FROM compartment c JOIN resource d ON d.pk = c.resource"
        f" WHERE c.patient = ANY(%s) AND d.shared AND {live}"
        " UNION SELECT d.occurred, d.pk FROM resource d"
        f" WHERE d.patient IS NULL AND d.author = %s AND {live}) u{by}) d",
        (patients, patients, within.author),
    )


def _rank(pair):
    """How good an index walk a criterion makes: the lower the fewer rows; None if none."""
    node, match = pair
    if not isinstance(match, Match) or not match.keys or len(match.keys) > MERGED:
        return None
    if match.unique or (isinstance(node, Criterion) and node.param.code == "identifier"):
        return 0, len(match.keys)
    return (1 if match.table == "reference" else 2), len(match.keys)


def _way(query):
    """Direction of an answer in clinical order, else None."""
    if not query.sort:
        return "ASC" if query.backward else "DESC"
    first = query.sort[0]
    if len(query.sort) > 1 or not first.param or not first.param.is_occurred:
        return None
    return "DESC" if first.descending != query.backward else "ASC"


def _walk(match, type, floor, way):
    """FROM item d(occurred, resource): an index range, or several merged in its order, no row twice.

    Each branch says its ORDER BY: only then does PostgreSQL merge the ranges instead of sorting their sum.
    """
    if match is None:
        of = f"FROM resource d WHERE d.type = {type_number(type)} AND NOT d.deleted"
        branches = [SQL(f"SELECT d.occurred, d.pk AS resource {of}")]
    else:
        branches = [_branch(match, n) for n in range(len(match.keys))]
    if floor:
        since = SQL(" AND d.occurred >= %s", (floor.edge - DAY,))
        branches = [SQL(b.text + since.text, b.params + since.params) for b in branches]
        branches.append(_long(match, floor))
    params = sum((b.params for b in branches), ())
    if len(branches) == 1:
        return SQL(f"({branches[0].text}) d", params)
    by = f" ORDER BY occurred {way}, resource {way}" if way else ""
    return SQL("(" + " UNION ALL ".join(f"({b.text}{by})" for b in branches) + ") d", params)


def _branch(match, n):
    """The rows of one key that have none of the keys before it."""
    on = " AND ".join(f"d.{c} = %s" for c in match.columns)
    text, params = f"SELECT d.occurred, d.resource FROM {match.table} d WHERE {on} AND d.resource > 0", match.keys[n]
    for earlier in match.keys[:n]:
        same = " AND ".join(f"e.{c} = %s" for c in match.columns)
        text += (
            f" AND NOT EXISTS (SELECT 1 FROM {match.table} e WHERE {same}"
            " AND e.occurred = d.occurred AND e.resource = d.resource OFFSET 0)"
        )
        params += earlier
    return SQL(text, params)


def _long(match, floor):
    """The few whose date began before the day of the edge and lasts into it: found by their end, then sorted."""
    param, edge = floor
    text = (
        "SELECT w.occurred, w.resource FROM (SELECT low AS occurred, resource FROM date"
        " WHERE param = %s AND high >= low + %s AND high >= %s AND low < %s OFFSET 0) w"
    )
    params = (param, DAY, edge, edge - DAY)
    if match:
        among = f"SELECT 1 FROM {match.table} i WHERE i.resource = w.resource AND ({match.where.text}) OFFSET 0"
        text += f" WHERE EXISTS ({among})"
        params += match.where.params
    return SQL(text, params)


def _bounds(found):
    """(lowest, highest, Floor) that the dates asked for put on `occurred`."""
    low = high = floor = None
    for node, match in found:
        if not isinstance(match, Match) or match.table != "date" or not node.param.is_occurred:
            continue
        if match.low is not None:
            low = match.low if low is None else max(low, match.low)
        if match.high is not None:
            high = match.high if high is None else min(high, match.high)
        if match.floor is not None:
            floor = max(floor or match.floor, match.floor)
            param = node.param.key
    if floor is None or (low is not None and low >= floor):
        return low, high, None
    return low, high, Floor(param, floor)


def _between(column, low, high):
    found = [] if low is None else [SQL(f"{column} >= %s", (low,))]
    return found if high is None else [*found, SQL(f"{column} <= %s", (high,))]


def _is_date(node):
    return isinstance(node, Criterion) and node.param.is_occurred


def _is_bound(match):
    return isinstance(match, Match) and (match.low is not None or match.high is not None)
