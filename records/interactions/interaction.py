"""Interaction in, Outcome out: what every verb of FHIR is here, the registry of verbs, and `run`. (http.html)"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

from .. import operations


@dataclass(frozen=True, slots=True)
class Conditions:
    """The headers (or Bundle.entry.request elements) that make an interaction conditional."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request, parsed: nobody after `parse` sees a URL, a query string or bytes."""

    code: str  # read vread update ... operation
    level: str  # instance | type | system
    type: str | None = None
    id: str | None = None
    version: str | None = None
    operation: str | None = None  # name after the $
    method: str = "GET"
    parameters: tuple = ()  # (name, value) of the query, without those of the format
    body: object = None  # tree of the request's resource or patch
    conditions: Conditions = Conditions()
    base: str = ""  # base URL as the client used it, without a slash at the end
    url: str = ""  # what was asked, below the base
    prefer_return: str | None = None  # minimal | representation | OperationOutcome
    strict: bool = False  # Prefer: handling=strict
    lenient: bool = False  # Prefer: handling=lenient
    asynchronous: bool = False  # Prefer: respond-async
    compartment: tuple | None = None  # (type, id) of a compartment search
    full_url: str | None = None  # of the Bundle entry it came from
    patch_format: str | None = None  # json | fhirpath
    query: object = None  # search: the parsed Query
    behind: tuple | None = None  # search: of what its index does not show all writes yet (indexing.Waiting)
    unchecked: object = None  # search: what it is begun without waiting for (search.Unchecked)
    language: str = ""  # Accept-Language, as sent
    provenance: str | None = None  # X-Provenance, as sent


class Touched(NamedTuple):
    """A resource that the outcome shows or changed, for the audit; `patient` is the one that it is about alone."""

    type: str
    id: str
    version: int | None
    patient: int | None


@dataclass(slots=True)
class Outcome:
    """The answer, before it is bytes of a format."""

    status: int
    body: object = None  # bytes of JSON as stored, or a tree
    type: str | None = None
    id: str | None = None
    version: int | None = None
    updated: datetime | None = None
    location: bool = False  # answer carries Location
    issues: tuple = ()  # what there is to say beside success
    touched: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)
    recorded: list = field(default_factory=list)  # promises of audit records that must be kept before it is told
    received: str | None = None  # JSON of an AuditEvent, to be kept as its own record
    media: str | None = None  # what the body is that is no resource
    stream: Callable | None = None  # in its place: (packed by gzip?) -> (bytes in all, iterator of them)


class Verb(NamedTuple):
    """A registered interaction: how it is asked and who answers."""

    code: str
    method: str
    pattern: tuple  # path segments: literal, or {type} {id} {version}
    handler: Callable
    snapshot: bool | Callable  # reads rows by several statements that must be of one moment; (interaction) -> bool
    level: str
    before: Callable | None  # (interaction) -> interaction: what it needs done before its transaction opens


VERBS: list[Verb] = []


def interaction(code, method, pattern, snapshot=False, before=None):
    """Register a handler (interaction, access) -> Outcome for a method and a URL pattern."""

    def register(handler):
        segments = tuple(s for s in pattern.split("/") if s)
        level = "instance" if "{id}" in segments else "type" if "{type}" in segments else "system"
        VERBS.append(Verb(code, method, segments, handler, snapshot, level, before))
        return handler

    return register


KEPT_ELSEWHERE: dict[str, dict[str, Verb]] = {}  # type -> code -> verb: types with a table of their own
SEARCHED_BY: dict[str, tuple] = {}  # and the search parameters that they have


def kept_elsewhere(type, code, method, snapshot=False, searched_by=()):
    """Register who answers an interaction with a type that is not kept as a resource; what has none is not allowed."""

    def register(handler):
        operations.WITHOUT_ROWS.add(type)
        if searched_by:
            SEARCHED_BY[type] = searched_by
        level = "instance" if code == "read" else "type"
        KEPT_ELSEWHERE.setdefault(type, {})[code] = Verb(code, method, (), handler, snapshot, level, None)
        return handler

    return register


HANDLERS: dict[tuple[str, str], Verb] = {}


def verb(code, level, type=None):
    """The registered verb of an interaction."""
    if type in KEPT_ELSEWHERE:
        return KEPT_ELSEWHERE[type][code]
    if not HANDLERS:
        for each in VERBS:
            HANDLERS.setdefault((each.code, each.level), each)
    return HANDLERS[code, level]


def prepared(interaction):
    """The interaction with what it needs done before its transaction opens."""
    if interaction.code == "operation":
        before = operations.find(interaction.operation, interaction.level, interaction.type).before
    else:
        before = verb(interaction.code, interaction.level, interaction.type).before
    return before(interaction) if before else interaction


def run(interaction, access):
    """Answer an interaction within an access (None: what everybody may know); errors are raised as FHIRError."""
    if access is not None:
        access.check(interaction)
    if interaction.code == "operation":
        return operations.find(interaction.operation, interaction.level, interaction.type).handler(interaction, access)
    return verb(interaction.code, interaction.level, interaction.type).handler(interaction, access)


def load():
    """Import every interaction and operation, so that the registries are full."""
    import records.interactions as interactions

    for package in (interactions, operations):
        for module in iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
