"""A Query within an Access to SQL; no I/O. (search.html)

Every search walks one index in the order of the answer and checks the rest on the rows it meets:

  _id                      the rows of these identities
  a token or reference     its index rows, which are in clinical order: (key, occurred, resource)
  else                     the rows of the type in clinical order

The other criteria are EXISTS probes by (resource, parameter). OFFSET 0 keeps the planner from turning a probe into a
join that starts from all rows with a frequent value. Without an index to walk the planner is left to choose.

Order: what _sort says, else clinical date, newest first; then pk. A resource without the value counts as the smallest.
A page begins after the sort keys of the last row of the page before: nothing is counted off.
"""

from dataclasses import dataclass, replace

from records import keys
from records.definitions.structures import type_number
from records.errors import InvalidValue, UnsupportedModifier
from records.fhirpath.times import DAY
from records.resources.models import NO_DATE
from records.sql import FALSE, SQL, all_of, any_of

from .query import Chain, Criterion, Has, Ids, Updated
from .ranges import condition as in_range
from .types import TYPES, Any, Match, Not

COLUMNS = "r.pk, r.type, r.id, r.version, r.updated, r.body, r.patient"
MERGED = 64  # so many values of an "or" are merged as index walks; more are probed


@dataclass(frozen=True)
class Key:
    """One key of the order as SQL, for comparison with the keys of a page's last row."""

    text: str
    descending: bool
    cast: str = "bigint"
    join: SQL | None = None


def page(query, access, after=None, limit=None):
    """Rows (COLUMNS, then the sort keys) of a page and one more, from the keys `after`."""
    order = order_of(query)
    source, rest = _source(query, access, order, after)
    where = [rest, _live(query.type, access)]
    if after is not None:
        where.append(_after(order, after))
    joins = [key.join for key in order if key.join]
    selected = ", ".join([COLUMNS, *(key.text for key in order)])
    by = ", ".join(f"{key.text} {'DESC' if key.descending else 'ASC'}" for key in order)
    wanted = all_of(where)
    return SQL(
        f"SELECT {selected} FROM {source.text}{''.join(' ' + j.text for j in joins)} WHERE {wanted.text}"
        f" ORDER BY {by} LIMIT %s",
        (
            *source.params,
            *sum((j.params for j in joins), ()),
            *wanted.params,
            query.count + 1 if limit is None else limit,
        ),
    )


def count(query, access, most=None):
    """How many rows match, within the access; counted up to `most`."""
    source, rest = _source(query, access, None, None)
    where = all_of((rest, _live(query.type, access)))
    if most is None:
        return SQL(f"SELECT count(*) FROM {source.text} WHERE {where.text}", source.params + where.params)
    inner = f"SELECT 1 FROM {source.text} WHERE {where.text} LIMIT %s"
    return SQL(f"SELECT count(*) FROM ({inner}) c", (*source.params, *where.params, most))


def _live(type, access, alias="r"):
    return SQL(f"{alias}.type = {type_number(type)} AND NOT {alias}.deleted") & access.resources("search", type, alias)


# order


def order_of(query):
    """The keys of the order; the last is pk, in the direction of the one before."""
    order = [_key(sort, n) for n, sort in enumerate(query.sort)] or [Key("r.occurred", True)]
    return [*order, Key("r.pk", order[-1].descending)]


def _key(sort, n):
    if sort.code == "_lastUpdated":
        return Key("r.updated", sort.descending, "timestamptz")
    if sort.code == "_id":
        return Key("r.id", sort.descending, "text")
    if sort.param.is_occurred:
        return Key("r.occurred", sort.descending)
    text, cast, join = TYPES[sort.param.kind].sort(sort.param, sort.descending, f"s{n}")
    return Key(text, sort.descending, cast, join)


def _after(order, after):
    """Rows behind the last one of the page before: a row comparison, spelt out where directions differ."""
    if len(after) != len(order):
        raise InvalidValue("_page", "...", "it does not belong to this search")
    values = [f"%s::{key.cast}" for key in order]
    if len({key.descending for key in order}) == 1:
        sign = "<" if order[0].descending else ">"
        return SQL(f"({', '.join(k.text for k in order)}) {sign} ({', '.join(values)})", tuple(after))
    arms = []
    for n, key in enumerate(order):
        same = "".join(f"{k.text} = {v} AND " for k, v in zip(order[:n], values[:n], strict=True))
        arms.append(SQL(f"{same}{key.text} {'<' if key.descending else '>'} {values[n]}", tuple(after[: n + 1])))
    edge = f"{order[0].text} {'<=' if order[0].descending else '>='} {values[0]}"  # what an index can use
    return SQL(edge, (after[0],)) & any_of(arms)


# where to start


def _source(query, access, order, after):
    """(FROM clause that yields r, condition for the rest of the criteria)."""
    found = [(node, matched(node) if isinstance(node, Criterion) else None) for node in query.criteria]
    bounds, floor = _bounds(query, found)
    ids = next((node for node, _ in found if isinstance(node, Ids)), None)
    if ids:
        rest = [condition(node, query.type, access) for node, _ in found if node is not ids]
        identities = [keys.identity(query.type, id) for id in ids.ids]
        return SQL("resource r"), all_of([SQL("r.identity = ANY(%s)", (identities,)), *rest])
    start = min((pair for pair in found if _rank(pair) is not None), key=_rank, default=None)
    rest = [pair for pair in found if pair is not start]
    if start is None and floor is None:
        # without an index to walk the planner chooses, but for a date that bounds the rows walked
        others = [condition(node, query.type, access, fenced=_bounds_walk(match)) for node, match in rest]
        return SQL("resource r"), all_of([*bounds_on("r.occurred", bounds), *others])
    others = [condition(node, query.type, access) for node, _ in rest]
    walk = _walk(start[1] if start else None, query.type, bounds, floor, _walked(order, after))
    return SQL(f"{walk.text} JOIN resource r ON r.pk = d.resource", walk.params), all_of(others)


def _rank(pair):
    """How good an index walk a criterion makes: the lower the fewer rows; None if none."""
    node, match = pair
    if not isinstance(match, Match) or not match.keys or len(match.keys) > MERGED:
        return None
    if match.unique or node.param.code == "identifier":
        return 0, len(match.keys)
    return (1 if match.table == "reference" else 2), len(match.keys)


def _walked(order, after):
    """(condition on d.occurred and d.resource, ORDER BY) when the walk is in the order of the answer."""
    if order is None or [k.text for k in order] != ["r.occurred", "r.pk"]:
        return None
    sign, way = ("<", "DESC") if order[0].descending else (">", "ASC")
    by = f" ORDER BY occurred {way}, resource {way}"
    if after is None:
        return None, by
    return SQL(f"(occurred, resource) {sign} (%s::bigint, %s::bigint)", tuple(after)), by


def _walk(match, type, bounds, floor, walked):
    """FROM item d(occurred, resource): rows of one index range, or several merged in order."""
    if match is None:
        branches = [
            (
                SQL(f"SELECT occurred, pk AS resource FROM resource WHERE type = {type_number(type)} AND NOT deleted"),
                "pk",
            )
        ]
    else:
        on = " AND ".join(f"{c} = %s" for c in match.columns)
        branches = [
            (SQL(f"SELECT occurred, resource FROM {match.table} WHERE {on}", key), "resource") for key in match.keys
        ]
    extra = bounds_on("occurred", bounds)
    if floor is not None:
        extra.append(SQL("occurred >= %s", (floor[1] - DAY,)))
    selects = []
    for branch, pk in branches:
        wanted = [*extra]
        if walked and walked[0]:
            wanted.append(replace_pk(walked[0], pk))
        selects.append(_and(branch, wanted))
    if floor is not None:
        selects.append(_long(match, bounds, floor, walked))
    if len(selects) == 1:
        return SQL(f"({selects[0].text}) d", selects[0].params)
    by = walked[1] if walked else ""
    united = SQL(" UNION ALL ".join(f"({s.text})" for s in selects), sum((s.params for s in selects), ()))
    distinct = "DISTINCT " if len(branches) > 1 else ""
    return SQL(f"(SELECT {distinct}occurred, resource FROM ({united.text}) u{by}) d", united.params)


def _long(match, bounds, floor, walked):
    """The few whose date began before the day of the bound and lasts into it: found by their end."""
    param, edge = floor
    wanted = [
        SQL("w.param = %s AND w.high >= w.low + %s AND w.high >= %s AND w.low < %s", (param, DAY, edge, edge - DAY)),
        *bounds_on("w.low", bounds),
    ]
    if match:
        probe = f"SELECT 1 FROM {match.table} i WHERE i.resource = w.resource AND ({match.where.text}) OFFSET 0"
        wanted.append(SQL(f"EXISTS ({probe})", match.where.params))
    if walked and walked[0]:
        wanted.append(SQL(walked[0].text.replace("(occurred, resource)", "(w.low, w.resource)"), walked[0].params))
    wanted = all_of(wanted)
    return SQL(f"SELECT w.low AS occurred, w.resource FROM date w WHERE {wanted.text}", wanted.params)


def replace_pk(found, pk):
    return SQL(found.text.replace("(occurred, resource)", f"(occurred, {pk})"), found.params)


def _and(select, wanted):
    if not wanted:
        return select
    more = all_of(wanted)
    return SQL(f"{select.text} AND {more.text}", select.params + more.params)


def _bounds(query, found):
    """((lowest, highest) occurred, floor) that the dates asked for allow.

    A floor, (parameter, instant), is a bound on the end of the date only: "ge", "gt".
    """
    low = high = floor = None
    for node, match in found:
        if not isinstance(match, Match) or match.table != "date" or not node.param.is_occurred:
            continue
        if match.low is not None:
            low = match.low if low is None else max(low, match.low)
        if match.high is not None:
            high = match.high if high is None else min(high, match.high)
        if match.floor is not None:
            floor = max(floor or (node.param.key, match.floor), (node.param.key, match.floor))
    if floor and low is not None and low >= floor[1]:
        floor = None
    return (low, high), floor


def bounds_on(column, bounds):
    low, high = bounds
    found = []
    if low is not None:
        found.append(SQL(f"{column} >= %s", (low,)))
    if high is not None:
        found.append(SQL(f"{column} <= %s", (high,)))
    return found


def _bounds_walk(match):
    return isinstance(match, Match) and (match.low is not None or match.high is not None)


# the other criteria


def matched(node):
    """What index rows satisfy a criterion; raises InvalidValue or UnsupportedModifier."""
    kind = TYPES[node.param.kind]
    if node.modifier is None:
        return kind.match(node.param, node.texts)
    if node.modifier == "missing":
        if node.texts not in (("true",), ("false",)):
            raise InvalidValue(f"{node.param.code}:missing", ",".join(node.texts), "expected true or false")
        present = kind.present(node.param)
        return Not(present) if node.texts == ("true",) else present
    if node.modifier[:1].isupper() and hasattr(kind, "typed"):
        if node.param.targets and node.modifier not in node.param.targets:
            known = ", ".join(node.param.targets)
            raise UnsupportedModifier(node.param.code, node.modifier, f"it refers to {known}")
        return kind.typed(node.param, node.modifier, node.texts)
    return kind.modified(node.modifier, node.param, node.texts)


def condition(node, type, access, alias="r", fenced=True):
    """A criterion as a condition over a row of resource; unfenced, its probes may become joins."""
    match node:
        case Criterion():
            return _probe(matched(node), alias, fenced)
        case Ids(ids):
            return SQL(f"{alias}.identity = ANY(%s)", ([keys.identity(type, id) for id in ids],))
        case Updated(limits):
            return any_of(_updated(alias, *part) for part in limits)
        case Chain(param, arms):
            there = alias + "_"
            wanted = any_of(_reached(arm, inner, access, there, fenced) for arm, inner in arms)
            return _exists(
                f"reference i JOIN resource {there} ON {there}.identity = i.target",
                SQL(f"i.resource = {alias}.pk AND i.param = %s", (param.key,)) & wanted,
                fenced,
            )
        case Has(source, param, inner):
            there = alias + "_"
            return _exists(
                f"reference i JOIN resource {there} ON {there}.pk = i.resource",
                SQL(f"i.param = %s AND i.target = {alias}.identity", (param.key,))
                & _reached(source, inner, access, there, fenced),
                fenced,
            )
    raise TypeError(node)


def _reached(type, inner, access, alias, fenced):
    """A row at the other end of a reference: the actor may see it, and it satisfies the criterion."""
    return _live(type, access, alias) & condition(inner, type, access, alias, fenced)


def _probe(match, alias, fenced):
    """EXISTS by resource and parameter."""
    match match:
        case Not(inner):
            return ~_probe(inner, alias, fenced)
        case Any(matches):
            return any_of(_probe(m, alias, fenced) for m in matches)
    if match.where == FALSE:
        return FALSE
    dated = f" AND i.occurred = {alias}.occurred" if match.columns else ""
    return _exists(f"{match.table} i", SQL(f"i.resource = {alias}.pk{dated}") & match.where, fenced)


def _exists(source, where, fenced):
    return SQL(f"EXISTS (SELECT 1 FROM {source} WHERE {where.text}{' OFFSET 0' if fenced else ''})", where.params)


def _updated(alias, prefix, a, b):
    """_lastUpdated is an instant: both ends of the row are the column."""
    column = f"{alias}.updated"
    found = in_range(prefix, a, b, column, column)
    places = found.text.replace("%s", "to_timestamp(%s::bigint / 1000000.0)")
    return SQL(places, found.params)


__all__ = ["NO_DATE", "condition", "count", "matched", "order_of", "page", "replace"]
