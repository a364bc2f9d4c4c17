"""Resources that come along with the matches. (search.html#include, search.html#revinclude)

Each step follows the references of all rows found in the step before, within the access; :iterate goes on until
nothing new is found, or until there are MOST: that is announced.
"""

from records import keys
from records.access import over_types
from records.database import execute
from records.definitions.structures import RESOURCE_TYPES, type_name, type_number
from records.errors import Issue
from records.sql import SQL, all_of

from .compile import COLUMNS
from .contained import container_of
from .row import Row
from .types.uri import CANONICAL

MOST, DEEPEST = 1000, 20


def included(query, matches, access):
    """(rows beside the matches, issues) of the includes of a query."""
    if not query.includes or not matches:
        return [], []
    known = {row.pk for row in matches} | {container_of(row.pk) for row in matches}
    found, fresh, issues = [], list(matches), []
    for depth in range(DEEPEST + 1):
        steps = query.includes if depth == 0 else [i for i in query.includes if i.iterate]
        if not steps or not fresh:
            break
        if depth == DEEPEST:
            issues.append(_capped(f"no deeper than {DEEPEST} steps"))
            break
        arrived = {}
        for step in steps:
            for row in _follow(step, fresh, access, MOST + 1):
                if row[0] not in known:
                    arrived[row[0]] = row
        fresh = [_row(row) for row in arrived.values()]
        if len(found) + len(fresh) > MOST:
            fresh = fresh[: MOST - len(found)]
            issues.append(_capped(f"at most {MOST} resources"))
            found += fresh
            break
        known |= arrived.keys()
        found += fresh
    return found, issues


def _capped(what):
    text = f"Not all resources that _include and _revinclude ask for are here: {what} come along with a page."
    return Issue("warning", "too-costly", text)


def _row(row):
    return Row(row[0], type_name(row[1]), *row[2:])


def _follow(step, rows, access, most):
    """Rows that a step leads to from these."""
    if step.reverse:
        known = [row for row in rows if step.target in (None, row.type) and row.pk > 0]
        of, pks = [keys.identity(row.type, row.id) for row in known], [row.pk for row in known]
        ways = (
            ("JOIN resource r ON r.pk = i.resource", SQL("i.target = ANY(%s)", (of,))),
            ("JOIN reference u ON u.target = i.target JOIN resource r ON r.pk = i.resource",
             SQL("u.param = %s AND u.resource = ANY(%s)", (CANONICAL, pks))),
        )  # fmt: skip
        types = (step.source,) if step.source else RESOURCE_TYPES
    else:
        known = [row for row in rows if step.source in (None, row.type)]
        start = SQL("i.resource = ANY(%s)", ([row.pk for row in known],))
        ways = (
            ("JOIN resource r ON r.identity = i.target", start),
            ("JOIN reference u ON u.target = i.target JOIN resource r ON r.pk = u.resource",
             start & SQL("u.param = %s", (CANONICAL,))),
        )  # fmt: skip
        types = (step.target,) if step.target else RESOURCE_TYPES
    if not known:
        return []
    found = {}
    for joins, ends in ways if step.canonical else ways[:1]:
        wanted = all_of((SQL("i.param = ANY(%s) AND NOT r.deleted", (list(step.params),)), ends, seen(access, types)))
        rows = execute(
            f"SELECT DISTINCT ON (r.pk) {COLUMNS} FROM reference i {joins} WHERE {wanted.text} LIMIT %s",
            (*wanted.params, most),
        )
        found |= {row[0]: row for row in rows}
    return list(found.values())[:most]


def seen(access, types):
    """The rows of these types that the actor may see."""
    if len(types) == 1:
        return SQL(f"r.type = {type_number(types[0])}") & access.resources("search", types[0])
    return over_types(access, "search", types)
