"""Few or many: begin from the rows that a criterion leads to, or walk all in the order of the answer.

How many rows have a value above a bound, or are reached by a chain, no statistics know. So the statement looks: when
few index rows lead on, it begins from those; else it walks, and meets the first page soon, as many match. Each row met
is judged by every criterion, whichever way it came.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.resources.models import NO_DATE
from records.resources.occurred import is_dated
from records.sql import SQL, all_of

from . import contained
from .query import Chain, Criterion, Has
from .types import Any, Match

# How many rows are few, by what each costs: read from an index and looked up for its date; known with its date, so that
# no other row is looked at to put them in order; or so in an index.
FEW, FEW_DATED, FEW_RANGED = 10_000, 20_000, 50_000


def _root(times, least, most):
    """As many as the root of all rows there are, times a factor: so many cost what the walk costs that finds no more.

    What leads on costs more the more there is of it, and a walk passes more rows the less there is among how many.
    """
    rows = f"least({most}, greatest({least}, sqrt(greatest(reltuples, 0) * {times})))::int"
    return f"SELECT {rows} AS most FROM pg_class WHERE oid = 'resource'::regclass"


# By references: twenty-five that lead to one resource stand on one page of an index, and what a walk passes costs four.
# The other way four pages are read for each, and two or three for what a walk passes.
FEW_REFERRING, FEW_REACHED = _root(2000, 5_000, 500_000), _root(0.125, 50, 50_000)
MOST_RANGES = 16  # of an index that are read one after the other
NARROW = ("string", "uri", "composite", "quantity", "date", "reference", "token")  # the tables, narrow first


class Lead(NamedTuple):
    """SELECT resource of what a criterion leads to, `dated`: and occurred; the lower the rank the fewer.

    `fixed`: there is one way to find them, whatever the values.
    """

    rank: int
    rows: SQL
    most: int | str = FEW
    dated: bool = False
    fixed: bool = False


UNDATED = f", '{NO_DATE}'::bigint AS occurred"  # of a type that has no clinical date


def beginning(found):
    """The Lead of the criterion, of these (node, match) pairs, that is likely to lead to the fewest rows, or None."""
    leads = [lead for lead in (_lead(pair, found) for pair in found) if lead]
    return min(leads, key=lambda lead: lead.rank, default=None)


def seeking(lead, walk, way):
    """WITH of the rows that lead on, and FROM item d(occurred, resource) joined to resource r: them, or the walk.

    OFFSET 0: a row is judged when the order has come to it, not before; r is looked up, not joined otherwise.
    """
    bound, most = "", lead.most
    if isinstance(most, str):  # once: statistics change in the middle of a statement, too
        bound, most = f"bound AS MATERIALIZED ({most}), ", "(SELECT most FROM bound)"
    few = SQL(
        f"WITH {bound}few AS MATERIALIZED (SELECT * FROM ({lead.rows.text}) b WHERE b.resource > 0 LIMIT {most} + 1) ",
        lead.rows.params,
    )
    many, by = "(SELECT count(*) FROM few)", f"ORDER BY occurred {way}, resource {way}"
    if lead.dated:
        begun = f"SELECT DISTINCT f.occurred, f.resource FROM few f WHERE {many} <= {most}"
    else:
        begun = (
            "SELECT c.occurred, c.pk AS resource FROM (SELECT DISTINCT resource FROM few) f"
            f" JOIN resource c ON c.pk = f.resource WHERE {many} <= {most}"
        )
    text = (
        f"(({begun} {by} OFFSET 0)"
        f" UNION ALL (SELECT d.occurred, d.resource FROM {walk.text} WHERE {many} > {most} {by})) d"
        " CROSS JOIN LATERAL (SELECT * FROM resource c WHERE c.pk = d.resource OFFSET 0) r"
    )
    return few, SQL(text, walk.params)


def _lead(pair, found):
    """The Lead of a criterion; None when it gives nothing to begin from."""
    node, match = pair
    if not isinstance(node, Criterion):
        rows = _reached(node, dated=True)
        few = FEW_REFERRING if isinstance(node, Chain) else FEW_REACHED
        return rows and Lead(len(NARROW) + isinstance(node, Has), rows, few, True, _keyed(node))
    if node.modifier == "missing":
        return None
    if isinstance(match, Match) and _single(node.param):
        same = [m for n, m in found if isinstance(n, Criterion) and n.param is node.param and isinstance(m, Match)]
        match = _all_of([m for m in same if m.table == match.table])
    table = match.table if isinstance(match, Match) else "token"
    rank = NARROW.index(table) if table in NARROW else 0
    if isinstance(match, Match) and 0 < len(match.ranges) <= MOST_RANGES:
        return Lead(rank, _ranged(match), FEW_RANGED, True)
    undated = not is_dated(node.param.type)
    rows = _rows(match, "i.resource" + (UNDATED if undated else ""))
    return rows and Lead(rank, rows, FEW_DATED if undated else FEW, undated)


def _all_of(matches):
    """What satisfies each of these matches of one table."""
    if len(matches) == 1:
        return matches[0]
    several = prod(len(m.ranges) for m in matches) <= MOST_RANGES
    ranges = tuple(all_of(chosen) for chosen in product(*(m.ranges for m in matches))) if several else ()
    return Match(matches[0].table, all_of(m.where for m in matches), ranges=ranges)


def _ranged(match):
    return _union([SQL(f"SELECT i.resource, i.occurred FROM {match.table} i WHERE {r.text}", r.params)
                   for r in match.ranges])  # fmt: skip


def _rows(match, shown="i.resource"):
    """Index rows of a match; None when it says what is not there."""
    if isinstance(match, Match):
        return SQL(f"SELECT {shown} FROM {match.table} i WHERE {match.where.text}", match.where.params)
    if isinstance(match, Any) and (parts := [_rows(m, shown) for m in match.matches]) and all(parts):
        return _union(parts)
    return None


# one by one, as a few are enough: a plan that joins all at once reads all before it gives the first
REFERRING = "SELECT resource, occurred FROM reference WHERE target = {} AND param = %s OFFSET 0"


def _reached(node, dated=False):
    """Rows from which a chain leads to what is looked for, or that it leads to by _has."""
    from .conditions import matched

    match node:
        case Criterion(modifier=modifier):
            return None if modifier == "missing" else _rows(matched(node))
        case Has(param=param, criterion=inner) if rows := _reached(inner):
            text = (
                f"SELECT t.pk AS resource{', t.occurred' if dated else ''} FROM ({rows.text}) h"
                " JOIN reference i ON i.resource = h.resource AND i.param = %s JOIN resource t ON t.identity = i.target"
            )
            return SQL(text, (*rows.params, param.key))
        case Chain(param=param, arms=arms):
            parts = [_identified(*arm) for arm in arms]
            if not all(parts):
                return None
            rows = _union(parts)
            text = (
                f"SELECT i.resource{', i.occurred' if dated else ''} FROM ({rows.text}) h"
                f" CROSS JOIN LATERAL ({REFERRING.format('h.identity')}) i"
            )
            text = SQL(text, (*rows.params, param.key))
            if any(contained.refers(param, arm) for arm, _ in arms):
                rows = _union([_reached(inner) for _, inner in arms])
                inside = (
                    f"SELECT i.resource{', i.occurred' if dated else ''} FROM ({rows.text}) h"
                    f" CROSS JOIN LATERAL ({REFERRING.format('h.resource')}) i"
                )
                return _union([text, SQL(inside, (*rows.params, param.key))])
            return text
    return None


def _identified(type, node):
    """SELECT identity of the resources of a type that lead on, or None; a Patient's is beside its index rows."""
    from .conditions import matched

    if type == "Patient" and isinstance(node, Criterion) and node.modifier != "missing":
        return _rows(matched(node), "i.patient AS identity")
    rows = _reached(node)
    return rows and SQL(
        f"SELECT t.identity FROM ({rows.text}) h"
        " CROSS JOIN LATERAL (SELECT identity FROM resource WHERE pk = h.resource OFFSET 0) t",
        rows.params,
    )


def _keyed(node):
    """Does a chain lead to what some index keys say?"""
    from .conditions import matched

    match node:
        case Chain(arms=arms):
            return all(_keyed(inner) for _, inner in arms)
        case Criterion():
            found = matched(node)
            return isinstance(found, Match) and bool(found.keys)
    return False


def _union(parts):
    return SQL(" UNION ALL ".join(f"({p.text})" for p in parts), sum((p.params for p in parts), ()))


@lru_cache(4096)
def _single(param):
    """Has a resource at most one value of the parameter? Then all that is asked of it is asked of one row."""
    if param.expression is None:
        return False
    try:
        found = plain.routes(param.expression, param.type)
    except NotSimple:
        return False
    return not callable(found) and len(found) == 1 and not found[0].many
