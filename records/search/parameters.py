"""Search parameters by (type, code): the official ones, and those that users have stored. (searchparameter.html)"""

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import NamedTuple

from records import keys
from records.definitions.parameters import search_parameter_definitions
from records.definitions.structures import RESOURCE_TYPES
from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.resources import occurred

PLAIN_RESOURCES = {"Binary", "Bundle", "Parameters"}  # Resources, but not DomainResources
FULL_TEXT = {"_text", "_content"}  # of the whole resource: they have no expression
COLUMNS = {"_id", "_lastUpdated"}  # kept on the row of the resource, not in the index tables


@dataclass(frozen=True)
class SearchParameter:
    """One parameter of one resource type."""

    type: str
    code: str
    kind: str  # number | date | string | token | reference | composite | quantity | uri | special
    expression: str | None
    url: str
    named: tuple[str, ...] = ()  # the types that a reference may be to, by the definition
    components: tuple[tuple[str, str], ...] = ()  # (definition, expression) of a composite
    description: str = ""
    key: int = field(init=False)  # names the parameter in the index tables

    def __post_init__(self):
        object.__setattr__(self, "key", keys.key(self.type, self.code))

    @cached_property
    def targets(self):
        """The types that a reference may be to, by its definition and by the elements that it reads; none: any.

        The definition of `patient` is one for all types and names Group, too, as some of them may be about one.
        """
        if self.kind != "reference" or self.expression is None:
            return self.named
        try:
            ways = plain.routes(self.expression, self.type)
        except NotSimple:
            return self.named
        if not all(way.targets for way in ways):
            return self.named
        found = {target for way in ways for target in way.targets}
        return tuple(type for type in self.named or RESOURCE_TYPES if type in found) or self.named

    @property
    def indexed(self):
        """Has rows of its own in an index table."""
        return (self.expression is not None or self.code in FULL_TEXT) and self.code not in COLUMNS

    @property
    def family(self):
        """The search type that answers for it."""
        return "text" if self.code in FULL_TEXT else self.kind

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
    """The parameter a composite names by its canonical URL, on that type; its rows may still be made."""
    return next((p for p in to_index(type).values() if p.url == url), None)


def to_index(type):
    """Code -> SearchParameter of all that rows are made for: also those not usable before every resource has theirs.

    Not a composite of one that has been switched off: it would keep the whole type from being indexed.
    """
    return _to_index(type, _stored.version)


def building(type, code):
    """Is there a parameter of that code, whose rows are being made?"""
    return code in _stored.building.get(type, ())


class _Stored(NamedTuple):
    """SearchParameters kept as resources; a process reads them anew when their version moves (see stored)."""

    version: int = 0
    usable: dict = {}  # type -> code -> SearchParameter
    building: dict = {}


_stored = _Stored()


def version():
    """Version of the stored parameters this process works with."""
    return _stored.version


def use(usable, version, building=()):
    """Take these stored SearchParameters (as resources) of a registry version for those of this process."""
    global _stored
    _stored = _Stored(version, _by_type(usable), _by_type(building))
    _of_type.cache_clear()
    _to_index.cache_clear()


def _by_type(definitions):
    found = {}
    for given in definitions:
        for type in _bases(given):
            found.setdefault(type, {})[given["code"]] = read(given, type)
    return found


@cache
def _of_type(type, version):
    known = _to_index(type, version)
    return {code: known[code] for code in (*_official().get(type, {}), *_stored.usable.get(type, {})) if code in known}


@cache
def _to_index(type, version):
    found = _official().get(type, {}) | _stored.usable.get(type, {}) | _stored.building.get(type, {})
    urls = {p.url for p in found.values()}
    return {code: p for code, p in found.items() if urls.issuperset(url for url, _ in p.components)}


@cache
def _official():
    found = {type: {} for type in RESOURCE_TYPES}
    for given in search_parameter_definitions():
        for type in _bases(given):
            found[type][given["code"]] = read(given, type)
    return found


def _bases(given):
    for base in given["base"]:
        if base == "Resource":
            yield from RESOURCE_TYPES
        elif base == "DomainResource":
            yield from (type for type in RESOURCE_TYPES if type not in PLAIN_RESOURCES)
        else:
            yield base


def read(given, type):
    """A SearchParameter resource as the parameter of one type."""
    return SearchParameter(
        type=type,
        code=given["code"],
        kind=given["type"],
        expression=given.get("expression"),
        url=given["url"],
        named=() if "Resource" in (of := tuple(given.get("target", ()))) else of,  # any: as when it names none
        components=tuple((c["definition"], c["expression"]) for c in given.get("component", ())),
        description=given.get("description", ""),
    )
