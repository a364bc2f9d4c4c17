"""A Query within an Access to SQL; no I/O. (search.html)

Every search walks one index in the order of the answer and checks the rest on the rows it meets (see walk).

Order: what _sort says, else clinical date, newest first; then pk. A resource without the value counts as the smallest.
A page begins after the sort keys of the last row of the page before: nothing is counted off.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from records.access import over_types
from records.database import FIXED
from records.database.asking import SEES_ALL, sees_all
from records.definitions.structures import type_number
from records.errors import InvalidValue, TooCostly
from records.fhirpath.times import MIN
from records.resources.compartments import ALONE
from records.sql import SQL, TRUE, all_of, any_of

from . import contained
from .conditions import live
from .query import Criterion
from .types import TYPES
from .walk import start

MOST = 65_000  # values of a statement
COLUMNS = f"r.pk, r.type, r.id, r.version, r.updated, r.body, {ALONE}"
WALKED = {"r.occurred": "d.occurred", "r.pk": "d.resource"}  # the order that an index walk gives


@dataclass(frozen=True)
class Key:
    """One key of the order as SQL, for comparison with the keys of a page's last row."""

    text: str
    descending: bool
    cast: str = "bigint"
    join: SQL | None = None


class Statement(NamedTuple):
    """What to execute; `prepare`: its plan does not depend on the values, so that one plan may serve all; or FIXED."""

    text: str
    params: tuple
    prepare: bool | str


def page(query, access, after=None, limit=None):
    """Rows (COLUMNS, then the sort keys) of a page and one more, from the keys `after`."""
    most = query.count + 1 if limit is None else limit
    asked = arms_of(query)
    return bounded(_page(asked[0], access, after, most) if len(asked) == 1 else _merged(asked, access, after, most))


def bounded(statement):
    """The statement, or TooCostly: PostgreSQL takes no more values at once."""
    if len(statement.params) > MOST:
        raise TooCostly("This search has too many values; ask for it in parts.")
    return statement


def arms_of(query):
    """The searches that a search is the sum of: of each type, of what stands alone and of what is contained."""
    arms = []
    for arm in query.arms or (query,):
        if arm.contained == "both":
            arms.append(replace(arm, contained=None))
        arms.append(arm)
    return arms


def _merged(asked, access, after, most):
    """The pages of all arms, merged in their common order."""
    arms = [_page(arm, access, after, most) for arm in asked]
    order = order_of(asked[0], access)
    if len({tuple(key.cast for key in order_of(arm, access)) for arm in asked}) > 1:
        raise InvalidValue("_sort", ",".join(s.code for s in asked[0].sort), "it is not alike in all types")
    rows = " UNION ALL ".join(f"({arm.text})" for arm in arms)
    by = ", ".join(f"k{n} {'DESC' if key.descending else 'ASC'}" for n, key in enumerate(order))
    return Statement(
        f"SELECT * FROM ({rows}) u ORDER BY {by} LIMIT {most:d}", sum((arm.params for arm in arms), ()), False
    )


def _page(query, access, after, most):
    begun = start(query, access)
    if begun.rows and (order := narrow_order(query, access, begun.every)):
        return _sorted_first(query, access, begun, order, after, most)
    source, where, walked, fixed, first, *_ = begun
    order = order_of(query, access)
    if walked:
        order = [replace(key, text=WALKED.get(key.text, key.text)) for key in order]
    joins = [key.join for key in order if key.join]
    wanted = [where, there(query, access)] + ([_after(order, after)] if after is not None else [])
    wanted = all_of(wanted)
    selected = ", ".join([COLUMNS, *(f"{key.text} AS k{n}" for n, key in enumerate(order))])
    by = ", ".join(f"{key.text} {'DESC' if key.descending else 'ASC'}" for key in order)
    joined = sum((j.params for j in joins), ())
    text = (
        f"{first.text}SELECT {selected} FROM {source.text}{''.join(' ' + j.text for j in joins)} WHERE {wanted.text}"
        f" ORDER BY {by} LIMIT {most:d}"
    )
    return Statement(text, (*first.params, *source.params, *joined, *wanted.params), not joins and fixed)


def _sorted_first(query, access, begun, order, after, most):
    """The rows of a walk in an order that index rows alone give; each is judged when the order has come to it."""
    keys = ", ".join(f"{key.text} AS k{n}" for n, key in enumerate(order))
    by = ", ".join(f"k{n} {'DESC' if key.descending else 'ASC'}" for n, key in enumerate(order))
    joins = [key.join for key in order if key.join]
    from_page = SQL("TRUE") if after is None else _after(order, after)
    rows = (
        f"SELECT s.occurred, s.pk AS resource, {keys}"
        f" FROM (SELECT d.occurred, d.resource AS pk FROM {begun.rows.text}) s"
        f"{''.join(' ' + join.text for join in joins)} WHERE {from_page.text} ORDER BY {by} OFFSET 0"
    )
    where = begun.others & live(query.type, access)
    shown = ", ".join([COLUMNS, *(f"d.k{n}" for n in range(len(order)))])
    return Statement(
        f"SELECT {shown} FROM ({rows}) d"
        " CROSS JOIN LATERAL (SELECT * FROM resource c WHERE c.pk = d.resource OFFSET 0) r"
        f" WHERE {where.text} ORDER BY {by} LIMIT {most:d}",
        (*begun.rows.params, *sum((join.params for join in joins), ()), *from_page.params, *where.params),
        False,
    )


def there(query, access):
    """The rows of its type that the actor may find."""
    return contained.visible(query.type, access, "r") if query.contained else live(query.type, access)


def count(query, access, most=None):
    """How many rows match, within the access; counted up to `most`."""
    asked = arms_of(query)
    if len(asked) == 1 and is_all(only := asked[0]) and everything(only.type, access):
        return Statement("SELECT live_rows(%s, %s)", (type_number(only.type), most), FIXED)
    rows = [_counted(arm, access) for arm in asked]
    text = " UNION ALL ".join(row.text for row in rows)
    if most is not None:
        text += f" LIMIT {most:d}"
    return bounded(Statement(f"SELECT count(*) FROM ({text}) c", sum((row.params for row in rows), ()), False))


def _counted(query, access):
    """SELECT of a row for each that matches.

    Who may find every row of the type is told by index rows alone, those apart whose resource is deleted and that are
    still to go: its own row, a page of the disk each, is looked at for what only that can say. (The outer join is none
    unless a condition is about r.)
    """
    source, where, *_, rows, others, _ = start(query, access, ordered=False)
    if rows and everything(query.type, access):
        gone = "SELECT p.resource FROM pending p JOIN resource g ON g.pk = p.resource WHERE g.deleted"
        return SQL(
            f"SELECT 1 FROM (SELECT d.occurred, d.resource FROM {rows.text}) d"
            f" LEFT JOIN resource r ON r.pk = d.resource"
            f" WHERE {SEES_ALL} AND d.resource NOT IN ({gone}) AND ({others.text})",
            rows.params + others.params,
        )
    where = all_of((where, there(query, access)))
    return SQL(f"SELECT 1 FROM {source.text} WHERE {where.text}", source.params + where.params)


def is_all(query):
    """Is every resource of the type asked for?"""
    return not query.criteria and not query.contained


def everything(type, access):
    """May the actor find every row of the type? For the database, too."""
    return access.resources("search", type) == TRUE and sees_all(access.asked_by)


# order


def order_of(query, access, row="r", among=None):
    """The keys of the order; the last is pk, in the direction of the one before. `row` has pk and occurred.

    `among`: a criterion that finds all these rows.
    """
    order = [_key(sort, n, access, row, among) for n, sort in enumerate(query.sort)] or [Key(f"{row}.occurred", True)]
    order = [*order, Key(f"{row}.pk", order[-1].descending)]
    return [replace(key, descending=not key.descending) for key in order] if query.backward else order


def narrow_order(query, access, among=None):
    """The order over rows s(occurred, pk), or None when it needs more than these and index rows of theirs."""
    if not query.sort or any(sort.code in ("_lastUpdated", "_id") or sort.by for sort in query.sort):
        return None
    if len(query.sort) == 1 and query.sort[0].param.is_occurred:
        return None  # the walk's own
    return order_of(query, access, "s", among)


def _key(sort, n, access, row, among=None):
    if sort.code == "_lastUpdated":
        return Key("r.updated", sort.descending, "timestamptz")
    if sort.code == "_id":
        return Key("r.id", sort.descending, "text")
    if sort.by:
        return _chained(sort, n, access)
    if sort.param.is_occurred:
        return Key(f"{row}.occurred", sort.descending)
    kind, how = TYPES[sort.param.family], (sort.param, sort.descending, f"s{n}", row)
    found = None
    if isinstance(among, Criterion) and among.param.kind == "token" and hasattr(kind, "sort_among"):
        found = kind.sort_among(*how, among)
    text, cast, join = found or kind.sort(*how, seen(access))
    return Key(text, sort.descending, cast, join)


def seen(access):
    """(types, alias) -> the rows of these types that the actor may find."""
    return lambda types, alias: over_types(access, "search", types, alias)


def _chained(sort, n, access):
    """By what the resources referred to have, as far as the actor may see them."""
    least, alias, cast, branches = "max" if sort.descending else "min", f"s{n}", None, []
    for type, param in sort.arms:
        if param.code == "_id":
            text, cast, join = "o.id", "text", SQL("")
        else:
            text, cast, join = TYPES[param.family].sort(param, sort.descending, f"{alias}_", "o", seen(access))
        there = SQL("i.resource = r.pk AND i.param = %s", (sort.by.key,)) & live(type, access, "o")
        branches.append(
            SQL(
                f"SELECT {text} AS v FROM reference i JOIN resource o ON o.identity = i.target {join.text}"
                f" WHERE {there.text}",
                join.params + there.params,
            )
        )
    rows = " UNION ALL ".join(b.text for b in branches)
    join = SQL(f"LEFT JOIN LATERAL (SELECT {least}(u.v) AS v FROM ({rows}) u) {alias} ON TRUE",
               sum((b.params for b in branches), ()))  # fmt: skip
    return Key(f"coalesce({alias}.v, {SMALLEST[cast]})", sort.descending, cast, join)


SMALLEST = {"text": "''", "bigint": str(MIN - 1), "numeric": "'-Infinity'"}  # what a resource without the element has


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
