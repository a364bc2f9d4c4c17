"""A search as a tree: what parse makes of the parameters and compile turns into SQL. (search.html)"""

from dataclasses import dataclass
from typing import NamedTuple

from records.errors import Issue

from .parameters import SearchParameter


@dataclass(frozen=True)
class Criterion:
    """One use of a parameter; several texts mean "or"."""

    param: SearchParameter
    texts: tuple[str, ...]
    modifier: str | None = None


@dataclass(frozen=True)
class Ids:
    """_id: one of these. (search.html#id)"""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class Updated:
    """_lastUpdated: (prefix, low, high) of each value, in microseconds. (search.html#lastUpdated)"""

    limits: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Chain:
    """A reference to a resource that satisfies a criterion; one for each type it may have. (search.html#chaining)"""

    param: SearchParameter
    arms: tuple[tuple[str, object], ...]  # (type, criterion)


@dataclass(frozen=True)
class Has:
    """Some resource of `type` that satisfies a criterion refers here by `param`. (search.html#has)"""

    type: str
    param: SearchParameter
    criterion: object


@dataclass(frozen=True)
class Matched:
    """What _filter compares: index rows that it has found its own way. (search_filter.html)"""

    match: object


@dataclass(frozen=True)
class All:
    """Each of these."""

    nodes: tuple


@dataclass(frozen=True)
class Either:
    """Any of these."""

    nodes: tuple


@dataclass(frozen=True)
class Negated:
    """Not this."""

    node: object


@dataclass(frozen=True)
class Within:
    """In the compartment of a resource: by these reference parameters, of a Patient by its record.
    (compartmentdefinition.html)
    """

    holder: str
    identity: int
    params: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sort:
    """A key of the order: a parameter, or the columns _id and _lastUpdated. (search.html#sort)

    Chained: of the resources of these types that `by` refers to, each type with its parameter of that code.
    """

    code: str
    param: SearchParameter | None
    descending: bool
    by: SearchParameter | None = None
    arms: tuple[tuple[str, SearchParameter], ...] = ()


@dataclass(frozen=True)
class Include:
    """Resources to send along with the matches: what they refer to, or, reverse, what refers to them.
    (search.html#include)
    """

    source: str | None  # the type that has the reference; None: any
    params: tuple[int, ...]  # keys of its reference parameters
    target: str | None  # the type referred to; None: any
    reverse: bool
    iterate: bool
    canonical: bool = False  # by URL too


class Few(NamedTuple):
    """Records of few patients (keys), and what an author wrote about nobody."""

    patients: tuple[int, ...]
    author: int | None


@dataclass(frozen=True)
class Query:
    """A whole search of one type; or of several, which has one of a type for each in `arms`, alike in all but names."""

    type: str | None
    criteria: tuple = ()
    sort: tuple[Sort, ...] = ()
    includes: tuple[Include, ...] = ()
    count: int = 50
    total: str | None = None  # none | estimate | accurate
    summary: str | None = None  # true | text | data | count | false
    elements: tuple[str, ...] = ()
    warnings: tuple[Issue, ...] = ()
    used: tuple[tuple[str, str], ...] = ()  # the parameters that have an effect, for the self link
    arms: tuple["Query", ...] = ()
    contained: str | None = None  # true: what is inside others; both: beside what stands alone
    contained_type: str = "container"  # which of the two is shown: container | contained
    backward: bool = False  # the page before a row, not after it
    within: Few | None = None  # the records in which everything lies that the actor may find


def types(query):
    """All resource types whose rows the search looks at."""
    if query.arms:
        return set().union(*(types(arm) for arm in query.arms))
    included = {i.source for i in query.includes if i.source}
    sorts = {type for sort in query.sort for type, _ in sort.arms}
    return {query.type}.union(included, sorts, *(_types(c) for c in query.criteria))


def _types(node):
    match node:
        case Chain(arms=arms):
            return {t for type, inner in arms for t in {type} | _types(inner)}
        case Has(type=type, criterion=inner):
            return {type} | _types(inner)
        case All(nodes) | Either(nodes):
            return set().union(*(_types(each) for each in nodes))
        case Negated(inner):
            return _types(inner)
    return set()
