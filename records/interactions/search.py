"""Search a type, all types or a compartment, by GET or by POST to _search. (http.html#search)

Before the transaction of the search opens, what is pending for it is indexed, within a budget: a search sees every
write acknowledged before it began, or says that it may not.
"""

from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import NamedTuple

from django.conf import settings
from msgspec import Raw

from .. import search as engine
from ..database import Ahead, atomic, in_transaction
from ..definitions.compartments import compartment
from ..errors import BadRequest, InvalidValue, Issue, UnknownParameter, operation_outcome
from ..formats.json import dump, parse
from ..indexing.index import missing_since, prepared, waiting
from ..keys import identity
from ..resources.references import local
from ..resources.subset import subset
from ..search import stored
from ..search.parse import INCLUDES
from ..search.query import Chain, Criterion, Has, Within
from . import paging
from .interaction import KEPT_ELSEWHERE, Outcome, Touched, interaction

SUBSETS = ("true", "text", "data")
UNLIKE = ("missing", "identifier")  # modifiers of a reference whose values are none
FEW = 20  # matches that are counted; of more it is a number, unless the search names the one patient

OFFICIAL = frozenset(
    ("_id", "_lastUpdated", "identifier", "url", "_count", "_total", "_summary", "_elements", paging.PAGE)
)  # names that no stored SearchParameter can have


def prepare(interaction):
    """The query parsed, and the index brought up to date for it; `behind` says of what it may miss writes.

    Are the stored parameters still those that this process knows? It learns that with the answer to its first question
    to the database, and if they are not, begins anew.
    """
    return settled(interaction, looked(interaction))


def looked(interaction):
    """A look at the stored parameters, before the query is parsed by them; None where none can be asked for."""
    return None if official(interaction) else stored.look()


def settled(interaction, seen, query=None):
    """`prepare` after a look, of a query that may be parsed already."""
    if seen is None:
        return caught_up(interaction, query)
    try:
        found = caught_up(interaction, query)
        if stored.known(seen):
            return found
    except BadRequest:
        if stored.known(seen):
            raise
    stored.learn()
    return caught_up(interaction)


def official(interaction):
    """Does it ask by names alone that no stored SearchParameter can have?"""
    return all(name.partition(":")[0] in OFFICIAL for name, _ in interaction.parameters)


class Unchecked(NamedTuple):
    """What `prepare` would have asked before the search, as questions that travel with its own."""

    definitions: stored.Look | None
    writes: Ahead | None

    def is_sound(self):
        """Was the search by the parameters as they are, and did nothing that it looks for wait to be indexed?"""
        known = self.definitions is None or stored.known(self.definitions)
        return known and (self.writes is None or self.writes.rows() == [(0,)])


def begin(interaction):
    """`prepare`, or what it would ask, when the search is one statement: mostly the answers are as hoped."""
    if in_transaction():
        return prepare(interaction)
    seen, query = looked(interaction), None
    with suppress(BadRequest):  # if the parameters are not as this process knows them, it may be none
        query = parsed(interaction)
        if engine.is_one_page(query):
            writes = None if engine.immediate(query) else waiting(types_of(query))
            return replace(interaction, query=query, unchecked=Unchecked(seen, writes))
    return settled(interaction, seen, query)


def parsed(interaction):
    """The query by the parameters as this process knows them."""
    how = (
        interaction.parameters,
        interaction.strict,
        settings.FHIRSERVER_DEFAULT_COUNT,
        settings.FHIRSERVER_MAX_COUNT,
        interaction.compartment,
    )
    apart = tuple(kept_elsewhere(interaction))
    query = engine.parse(interaction.type, *how) if interaction.type else engine.parse_several(*how)
    query = at_home(query, interaction.base)
    if apart:
        query = replace(query, warnings=(*query.warnings, *apart))
    return query


def types_of(query):
    """The types whose index rows it reads; None: of any."""
    return None if query.contained else sorted(engine.types(query))  # anything may contain what is asked for


def caught_up(interaction, query=None):
    """The query by the parameters as this process knows them, and its index."""
    query, behind = query or parsed(interaction), None
    if not engine.immediate(query):
        types = types_of(query)
        patient = bound_patient(query, interaction.base) if types == [query.type] else None
        behind = prepared(types, patient, settings.FHIRSERVER_CATCH_UP_MS)
    return replace(interaction, query=query, behind=behind)


def at_home(query, base):
    """The query with what it names below the base that the client uses, as it is named here too: Patient/1.

    A server told its own base knows it anyway. (search.html#reference)
    """
    if settings.FHIRSERVER_BASE_URL or not any(base in value for _, value in query.used):
        return query
    return _all_at_home(query, base + "/")


def _all_at_home(query, base):
    criteria = tuple(_at_home(node, base) for node in query.criteria)
    return replace(query, criteria=criteria, arms=tuple(_all_at_home(arm, base) for arm in query.arms))


def _at_home(node, base):
    match node:
        case Criterion(param, texts, modifier) if param.kind == "reference" and modifier not in UNLIKE:
            return replace(node, texts=(*texts, *(t.removeprefix(base) for t in texts if t.startswith(base))))
        case Chain(param, arms):
            return Chain(param, tuple((type, _at_home(inner, base)) for type, inner in arms))
        case Has(type, param, inner):
            return Has(type, param, _at_home(inner, base))
    return node


def kept_elsewhere(interaction):
    """Warnings of includes of what is not kept as a resource; to search by it is an error, as none would be found."""
    for name, value in interaction.parameters:
        for type in KEPT_ELSEWHERE:
            said = f"{type}s are searched at {type}?... alone"
            if name.partition(":")[0] in INCLUDES and value.startswith(type + ":"):
                fault = UnknownParameter(interaction.type or "", f"{name}={value}", said)
                if interaction.strict:
                    raise fault
                yield Issue("warning", fault.code, f"Not followed: {name}={value}; {said}.")
            named = name == "_type" and interaction.type is None and type in value.split(",")
            if named or f"_has:{type}:" in name or f":{type}." in name:
                raise InvalidValue(name, value, said)


def bound_patient(query, base):
    """The one patient whose resources alone can match, or None: what is pending of others does not matter then."""
    members = compartment("Patient").get(query.type, ())
    for node in query.criteria:
        if isinstance(node, Within) and node.holder == "Patient":
            return node.identity
        if isinstance(node, Criterion) and node.modifier in (None, "Patient") and len(node.texts) == 1:
            if node.param.kind != "reference" or node.param.code not in (*members, "patient", "subject"):
                continue
            text = node.texts[0]
            named = local(text, base)
            if named and named[0] == "Patient":
                return identity(*named)
            only = node.modifier or node.param.code == "patient" or node.param.targets == ("Patient",)
            if "/" not in text and only:
                return identity("Patient", text)
    return None


def several(interaction):
    """Does the search take more than the statement of its page? What it may miss is asked after it."""
    return bool(interaction.behind) or not engine.is_one_page(interaction.query)


@interaction("search-type", "GET", "{type}", snapshot=several, before=begin)
@interaction("search-type", "POST", "{type}/_search", snapshot=several, before=begin)
@interaction("search-system", "GET", "", snapshot=several, before=begin)
@interaction("search-system", "POST", "_search", snapshot=several, before=begin)
def search(interaction, access):
    """A page of the matches that the caller may see, as a searchset Bundle.

    In a compartment too every row is judged by itself: one of a hidden resource and one of none answer alike.
    """
    if interaction.unchecked is None:
        return found(interaction, access)
    try:
        outcome = found(interaction, access)
        if interaction.unchecked.is_sound():
            return outcome
    except BadRequest:
        if interaction.unchecked.is_sound():
            raise
    interaction = prepare(replace(interaction, unchecked=None))
    with atomic(snapshot=True) if several(interaction) else nullcontext():
        return found(interaction, access)


def found(interaction, access):
    """The page that the interaction asks for."""
    after, before = place_of(paging.position(interaction, access))
    result = engine.run(interaction.query, access, after, before)
    return answer(interaction, access, interaction.query, result)


def place_of(position):
    """(after, before): a link to the page before carries its keys by that name."""
    return (None, position["before"]) if isinstance(position, dict) else (position, None)


def answer(interaction, access, query, result):
    """The searchset: links, total, matches, and an outcome when there is something to say."""
    used = replace(interaction, parameters=query.used)
    bundle = {"resourceType": "Bundle", "type": "searchset"}
    if result.total is not None:
        bundle["total"] = result.total
    bundle["link"] = [{"relation": "self", "url": paging.url(interaction, query.used)}]
    if result.next is not None:
        bundle["link"].append({"relation": "next", "url": paging.link(used, access, result.next)})
    if result.previous is not None:
        bundle["link"].append({"relation": "previous", "url": paging.link(used, access, {"before": result.previous})})
    entries = [
        {"fullUrl": place(interaction.base, row), "resource": cut(row.body, query), "search": {"mode": mode}}
        for mode, rows in (("match", result.rows), ("include", result.included)) for row in rows
    ]  # fmt: skip
    since = missing(interaction, access)
    issues = [*query.warnings, *result.issues, *lag(since)]
    if issues:
        entries.append({"resource": operation_outcome(issues), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    outcome = Outcome(200, dump(bundle), "Bundle", issues=tuple(issues))
    outcome.touched = [
        Touched(*(row.within or (row.type, row.id)), row.version, row.patient)
        for row in (*result.rows, *result.included)
    ]
    if result.total and not result.rows:
        outcome.touched += counted(query, interaction.base, access, result.total)
    announce(outcome, since)
    return outcome


def counted(query, base, access, total):
    """Whom a number tells of: that there is one HIV test tells as much as the test."""
    if total <= FEW:
        plain = replace(query, summary=None, count=FEW, total="none", sort=(), includes=(), elements=())
        rows = engine.run(replace(plain, arms=tuple(replace(arm, sort=()) for arm in plain.arms)), access).rows
        return [Touched(*(row.within or (row.type, row.id)), row.version, row.patient) for row in rows]
    patient = bound_patient(query, base) if query.type else None
    return [] if patient is None else [Touched("Patient", "", None, patient)]


def place(base, row):
    """fullUrl of a row: of a contained resource, its place in its container. (search.html#contained)"""
    return f"{base}/{'/'.join(row.within)}#{row.id}" if row.within else f"{base}/{row.type}/{row.id}"


def cut(body, query):
    """The stored bytes, or the part of the resource that _summary or _elements asks for."""
    if query.summary in SUBSETS or query.elements:
        resource = parse(bytes(body))
        return subset(resource, query.summary, elements_of(resource["resourceType"], query.elements))
    return Raw(body)


def elements_of(type, named):
    """Those of _elements that are for a type: `name`, and `Patient.name` of a Patient."""
    parts = (name.rpartition(".") for name in named)
    return tuple(element for of, _, element in parts if of in ("", type))


def missing(interaction, access):
    """The moment from which on this snapshot may miss writes that the actor may find; None: it misses none."""
    return missing_since(interaction.behind, access) if interaction.behind else None


def lag(since):
    """A search that may miss writes says so."""
    if since is not None:
        yield Issue(
            "warning",
            "incomplete",
            "Writes are being indexed: resources written in the last moments may be missing from this answer.",
        )


def announce(outcome, since):
    """X-Searchable-Until of an answer that may miss writes."""
    if since is not None:
        outcome.headers["X-Searchable-Until"] = since.isoformat()
