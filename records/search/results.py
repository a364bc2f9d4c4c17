"""Running a search: the rows of a page, what comes next, how many there are. (search.html#return)"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from records.database import execute
from records.definitions.structures import type_name
from records.errors import BadRequest

from . import compile
from .includes import included
from .parse import parse
from .query import Chain, Has, Ids, Query, Updated

ESTIMATED = 10_000  # _total=estimate counts no further


class Row(NamedTuple):
    """A matching resource; `body` is what a read returns."""

    pk: int
    type: str
    id: str
    version: int
    updated: datetime
    body: bytes
    patient: int | None  # whose record it is, for the audit


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


class Selected(NamedTuple):
    pk: int
    id: str
    version: int


def run(query, access, after=None):
    """The page of a Query that begins after the sort keys `after`."""
    if query.summary == "count" or query.count == 0:
        return Result([], None, total(query, access), query)
    found = execute(*compile.page(query, access, after))
    rows = [Row(pk, type_name(type), *rest) for pk, type, *rest in (row[:7] for row in found[: query.count])]
    following = [_plain(v) for v in found[query.count - 1][7:]] if len(found) > query.count else None
    if query.total == "none":
        known = None
    elif after is None and following is None:
        known = len(rows)
    else:
        known = total(query, access) if query.total else None
    return Result(rows, following, known, query, *included(query, rows, access))


def total(query, access):
    """How many match: exactly, or no further than ESTIMATED when an estimate will do."""
    most = ESTIMATED if query.total == "estimate" else None
    return execute(*compile.count(query, access, most))[0][0]


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
    found = execute(*compile.page(query, access, limit=limit))
    return [Selected(row[0], row[2], row[3]) for row in found]


def immediate(query):
    """Does the search use only what is indexed by the write itself? Then it is never behind."""
    return not query.includes and all(_immediate(node) for node in query.criteria)


def _immediate(node):
    match node:
        case Ids() | Updated():
            return True
        case Chain() | Has():
            return False
    return node.modifier is None and node.param.code in ("identifier", "url")


def _plain(value):
    """A sort key as JSON can carry it in a link."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Decimal():
            return str(value)
    return value
