"""Search parameters by (type, code): the official ones, and those that users have stored. (searchparameter.html)"""

from dataclasses import dataclass, field
from functools import cache

from records import keys
from records.definitions.parameters import search_parameter_definitions
from records.definitions.structures import RESOURCE_TYPES
from records.resources import occurred

BASES = {"Resource", "DomainResource"}
PLAIN_RESOURCES = {"Binary", "Bundle", "Parameters"}  # Resources, but not DomainResources
COLUMNS = {"_id", "_lastUpdated"}  # kept on the row of the resource, not in the index tables


@dataclass(frozen=True)
class SearchParameter:
    """One parameter of one resource type."""

    type: str
    code: str
    kind: str  # number | date | string | token | reference | composite | quantity | uri | special
    expression: str | None
    url: str
    targets: tuple[str, ...] = ()  # of a reference
    components: tuple[tuple[str, str], ...] = ()  # (definition, expression) of a composite
    description: str = ""
    key: int = field(init=False)  # names the parameter in the index tables

    def __post_init__(self):
        object.__setattr__(self, "key", keys.key(self.type, self.code))

    @property
    def indexed(self):
        """Has rows of its own in an index table."""
        return self.expression is not None and self.code not in COLUMNS

    @property
    def is_occurred(self):
        """Is the clinical date of the type, which resources are ordered by."""
        return self.kind == "date" and occurred.parameters(self.type) == (self.code,)


def parameter(type, code):
    """The parameter of that code on a type, or None."""
    return parameters(type).get(code)


def parameters(type):
    """Code -> SearchParameter, those of all resources included."""
    return _of_type(type, _stored.version)


def by_url(type, url):
    """The parameter a composite names by its canonical URL, on that type."""
    return next((p for p in parameters(type).values() if p.url == url), None)


class _Stored:
    """SearchParameters kept as resources; a process reads them anew when their version moves."""

    def __init__(self):
        self.version, self.by_type = 0, {}


_stored = _Stored()


def version():
    """Version of the stored parameters this process works with."""
    return _stored.version


def use(definitions, version):
    """Take the stored SearchParameters (as resources) of a registry version for those of this process."""
    by_type = {}
    for given in definitions:
        for type in _bases(given):
            by_type.setdefault(type, {})[given["code"]] = _parameter(given, type)
    _stored.by_type, _stored.version = by_type, version
    _of_type.cache_clear()


@cache
def _of_type(type, version):
    return _official().get(type, {}) | _stored.by_type.get(type, {})


@cache
def _official():
    found = {type: {} for type in RESOURCE_TYPES}
    for given in search_parameter_definitions():
        for type in _bases(given):
            found[type][given["code"]] = _parameter(given, type)
    return found


def _bases(given):
    for base in given["base"]:
        if base == "Resource":
            yield from RESOURCE_TYPES
        elif base == "DomainResource":
            yield from (type for type in RESOURCE_TYPES if type not in PLAIN_RESOURCES)
        else:
            yield base


def _parameter(given, type):
    return SearchParameter(
        type=type,
        code=given["code"],
        kind=given["type"],
        expression=given.get("expression"),
        url=given["url"],
        targets=tuple(given.get("target", ())),
        components=tuple((c["definition"], c["expression"]) for c in given.get("component", ())),
        description=given.get("description", ""),
    )
