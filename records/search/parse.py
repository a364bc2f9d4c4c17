"""Search parameters as (name, value) pairs to a Query. After this nobody sees a colon or a comma. (search.html)

Lenient: what is not understood is left out, with a warning; strict: it is an error. A bad value is always an error.
"""

import re
from dataclasses import replace
from difflib import get_close_matches

from records import keys
from records.definitions.compartments import compartment
from records.definitions.structures import RESOURCE_TYPES, is_resource_type, structure
from records.errors import InvalidValue, Issue, TooCostly, UnknownParameter, UnknownQuery, UnsupportedModifier

from . import logical, parameters
from .parameters import parameter
from .query import Chain, Criterion, Has, Ids, Include, Negated, Query, Sort, Updated, Within
from .steps import Steps
from .types import TYPES, date
from .types.base import SearchType, split, unescape

BESIDE = {"_format", "_pretty", "_page"}  # of the answer or the link, not of the search
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
DEFAULT_COUNT, MOST = 50, 1000
SUMMARIES = ("true", "text", "data", "count", "false")
CONTAINED = ("false", "true", "both")
ONCE = ("_count", "_total", "_summary", "_contained", "_containedType")
MOST_CRITERIA = 500  # each is a probe that the planner weighs against all others
BY_KEY = ("token", "reference", "uri")  # kinds whose values are looked up as a set, however many
MOST_VALUES = 1000  # of a criterion of any other kind
MOST_KEYS = 20  # of an order: each is a join
TOTALS = ("none", "estimate", "accurate")


def parse(type, pairs, strict=False, default_count=DEFAULT_COUNT, most=MOST, within=None):
    """The Query that (name, value) pairs ask of a resource type, perhaps within the compartment of (type, id)."""
    (query,), warnings, used = _parse((type,), pairs, strict, default_count, most, within)
    return replace(query, warnings=(*query.warnings, *warnings), used=used)


def parse_several(pairs, strict=False, default_count=DEFAULT_COUNT, most=MOST, within=None):
    """The Query of all types, or those that _type names: each knows all parameters. (search.html#type)

    A type outside the compartment has nothing in it.
    """
    named = tuple(pair for pair in pairs if pair[0] == "_type" and pair[1])
    types = _types(named) or RESOURCE_TYPES
    if within:
        members = {within[0], *compartment(within[0])}
        types = tuple(t for t in types if t in members)
    rest = [pair for pair in pairs if pair not in named]
    arms, warnings, used = _parse(types, rest, strict, default_count, most, within)
    if len(arms) > 1 and arms[0].contained and arms[0].contained_type == "container":
        raise InvalidValue("_containedType", "container", "a search of several types shows what is contained itself")
    shown = arms[0] if arms else Query(None, count=default_count)
    return replace(
        shown, type=None, criteria=(), arms=arms, warnings=(*shown.warnings, *warnings), used=(*named, *used)
    )


def _types(named):
    types = tuple(dict.fromkeys(t for _, value in named for t in value.split(",") if t))
    for type in types:
        if not is_resource_type(type):
            raise InvalidValue("_type", type, "expected resource types between commas")
    return types


def _parse(types, pairs, strict, default_count, most, within):
    """(a Query for each type, warnings, the pairs used): a pair counts when all types know it."""
    arms = tuple(Query(type, _compartment(type, within), count=default_count) for type in types)
    warnings, used, steps = [], [], Steps()
    last = {name: value for name, value in pairs if value}
    for name, value in pairs:
        if name in BESIDE:
            continue
        if name.partition(":")[0] == "_query":  # to leave it out would answer another question
            raise UnknownQuery(value, "none")
        try:
            if not value:
                raise _left_out(f"{name} has no value.")
            if name in ONCE and value != last[name]:
                raise _left_out(f"{name}={value}: it is given again, and the last counts.")
            if len(used) == MOST_CRITERIA:
                raise TooCostly(f"A search has at most {MOST_CRITERIA} parameters.")
            arms = tuple(_with(arm, types, name, value, most, steps) for arm in arms)
            used.append((name, value))
        except (UnknownParameter, UnsupportedModifier) as fault:
            if strict:
                raise
            warnings += [replace(i, severity="warning", diagnostics=f"Ignored: {i.diagnostics}") for i in fault.issues]
    warnings += _about_elements(arms, strict)
    return arms, warnings, tuple(dict.fromkeys(used))


def _left_out(said):
    """The error of a parameter that is there and says nothing."""
    return UnknownParameter(issues=[Issue("error", UnknownParameter.code, said)])


def _about_elements(arms, strict):
    """What _elements names that no type has; what comes along by an include may have it."""
    shown = arms[0] if arms else None
    if not shown or not shown.elements:
        return
    if shown.summary in ("true", "text", "data"):
        said = f"_summary={shown.summary} is not followed: _elements says what is shown."
        yield Issue("information", "informational", said)
    if shown.includes:
        return
    of = {a.type: {n for e in structure(a.type).elements.values() for n in (e.name, e.key)} for a in arms}
    for name in shown.elements:
        type, _, element = name.rpartition(".")
        if not any(element in of[each] for each in of if type in ("", each)):
            said = f"_elements={name}: {', '.join(arm.type for arm in arms[:3])} has no element of that name."
            if strict:
                raise _left_out(said)
            yield Issue("warning", UnknownParameter.code, said)


def _with(query, types, name, value, most, steps):
    """The query with one pair more."""
    code, _, modifier = name.partition(":")
    if code in INCLUDES:
        return replace(query, includes=tuple(dict.fromkeys((*query.includes, _include(types, name, value)))))
    if code in RESULTS:
        if modifier:
            raise UnsupportedModifier(code, modifier, "it takes none")
        return RESULTS[name](query, value, most)
    if name == "_text" and query.type in parameters.PLAIN_RESOURCES and len(types) > 1:
        return replace(query, criteria=(*query.criteria, Ids(())))  # it has no narrative, and others have
    return replace(query, criteria=(*query.criteria, criterion(query.type, name, value, steps)))


def _compartment(type, within):
    """The criterion of being in a compartment. (compartmentdefinition.html)"""
    if within is None:
        return ()
    holder, id = within
    if type == holder and (type == "Patient" or "{def}" in compartment(holder).get(type, ())):
        return (Ids((id,)),)
    if type not in compartment(holder):
        return (Ids(()),)  # nothing of that type is in any
    known = (parameter(type, code) for code in compartment(holder)[type])
    return (Within(holder, keys.identity(holder, id), tuple(p.key for p in known if p)),)


def criterion(type, name, value, steps=None):
    """The tree of one criterion on a type: `code`, `code:modifier`, a chain or _has; `steps` lead to it."""
    steps = steps or Steps()
    if name.startswith("_has:"):
        return _has(type, name, value, steps)
    if name == "_list":
        return _list(value)
    if name == "_filter":
        return logical.parse(type, value, steps)
    code, dot, rest = name.partition(".")
    if dot:
        return _chain(type, code, rest, value, steps)
    code, _, modifier = name.partition(":")
    if code in ("_list", "_filter"):
        raise UnsupportedModifier(code, modifier, "it takes none")
    if code == "_has":
        raise InvalidValue(name, value, "expected _has:Type:reference:parameter=value")
    param = _known(type, code, steps.depth == 0)
    texts = tuple(split(value, ","))
    if code == "_id":
        return _ids(param, modifier, texts)
    if code == "_lastUpdated":
        if modifier == "missing":
            return _never_missing(code, value)
        if modifier:
            raise UnsupportedModifier(code, modifier, "it takes missing")
        return Updated(tuple(date.limits(param, text) for text in texts))
    if param.family not in TYPES or not param.indexed:
        raise UnknownParameter(type, code, "it is not supported here")
    if len(texts) > MOST_VALUES and param.kind not in BY_KEY:
        raise TooCostly(f"{code}: a {param.kind} is compared with at most {MOST_VALUES} values.")
    found = Criterion(param, texts, modifier or None)
    check(found)
    return found


def check(found):
    """Raise what compiling would: an unknown modifier, a bad value."""
    from .conditions import matched

    matched(found)


def _known(type, code, meant=False):
    """The parameter; `meant`: an error says which was probably meant. In a chain there are too many to look for it."""
    param = parameter(type, code)
    if param is None and parameters.building(type, code):
        raise UnknownParameter(type, code, "it is being indexed, and can be used when that is done")
    if param is None:
        known = sorted(
            p.code for p in parameters.parameters(type).values() if p.indexed or p.code in parameters.COLUMNS
        )
        near = get_close_matches(code.lower()[:64], known, 1) if meant else ()
        told = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownParameter(type, code, f"{told}known: {', '.join(known)}")
    return param


def _never_missing(code, value):
    """:missing of what every resource has."""
    if value not in ("true", "false"):
        raise InvalidValue(f"{code}:missing", value, "expected true or false")
    return Ids(()) if value == "true" else Negated(Ids(()))


def _ids(param, modifier, texts):
    if modifier == "missing":
        return _never_missing("_id", ",".join(texts))
    if modifier:
        raise UnsupportedModifier("_id", modifier, "it takes missing")
    ids = tuple(unescape(text) for text in texts)
    for id in ids:
        if not ID.fullmatch(id):
            raise InvalidValue("_id", id, "expected 1 to 64 of A-Z a-z 0-9 - .")
    return Ids(ids)


def _reference(type, name):
    """(parameter, type) of `code` or `code:Type` in a chain."""
    code, _, only = name.partition(":")
    param = _known(type, code)
    if param.kind != "reference":
        raise UnknownParameter(type, name, f"{code} is not a reference")
    if only and (not is_resource_type(only) or (param.named and only not in param.named)):
        raise UnsupportedModifier(code, only, f"expected one of {', '.join(param.named) or 'the resource types'}")
    return param, only


def _chain(type, first, rest, value, steps):
    """`subject:Patient.name=x`, or `subject.name=x` over every type that subject may have and that knows name."""
    param, only = _reference(type, first)
    arms, fault = [], None
    for target in (only,) if only else param.targets:
        try:
            arms.append((target, criterion(target, rest, value, steps.further(first))))
            steps.taken(first)
        except (UnknownParameter, UnsupportedModifier, InvalidValue) as error:
            fault = told(fault, error)
    if not arms:
        raise fault or UnknownParameter(type, f"{first}.{rest}", "name a type, as in subject:Patient.name")
    return Chain(param, tuple(arms))


def told(fault, error):
    """Of what is wrong on one type and on another, a bad value: what a type does not know, another might."""
    return error if fault is None or (isinstance(error, InvalidValue) > isinstance(fault, InvalidValue)) else fault


def _has(type, name, value, steps):
    """`_has:Observation:patient:code=x`, nested and chained at will. (search.html#has)"""
    parts = name.split(":", 3)
    if len(parts) != 4:
        raise InvalidValue(name, value, "expected _has:Type:reference:parameter=value")
    _, source, reference, rest = parts
    if not is_resource_type(source):
        raise UnknownParameter(type, name, f"{source!r} is not a resource type")
    param, _ = _reference(source, reference)
    if param.named and type not in param.named:
        raise UnknownParameter(type, name, f"{source}.{reference} does not refer to {type}")
    return Has(source, param, criterion(source, rest, value, steps.further("_has")))


def _list(value):
    """Members of a List resource. (search.html#list)"""
    ids = tuple(unescape(text).removeprefix("List/") for text in split(value, ","))
    if any(id.startswith("$") for id in ids):
        raise UnknownParameter("List", "_list", "functional lists ($current-...) are not kept here")
    if not all(ID.fullmatch(id) for id in ids):
        raise InvalidValue("_list", value, "expected the id of a List")
    return Has("List", parameter("List", "item"), Ids(ids))


# result parameters


INCLUDES = {"_include": False, "_revinclude": True}


def _include(types, name, value):
    """`Source:parameter[:Target]`, `Source:*` or `*`. (search.html#include)"""
    type = types[0]
    name, _, modifier = name.partition(":")
    if modifier not in ("", "iterate", "recurse"):
        raise UnsupportedModifier(name, modifier, "it takes iterate")
    reverse, iterate = INCLUDES[name], modifier != ""
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if target and not is_resource_type(target):
        raise UnknownParameter(type, f"{name}={value}", f"{target!r} is not a resource type")
    if source == "*" and not rest:
        sources = RESOURCE_TYPES if reverse or iterate else types
        found = [p for t in sources for p in parameters.parameters(t).values() if p.kind == "reference"]
        return Include(None, tuple(p.key for p in found), None, reverse, iterate, True)
    if not is_resource_type(source):
        raise UnknownParameter(type, f"{name}={value}", "expected Type:parameter or Type:parameter:Target")
    if not reverse and not iterate and source not in types:
        found = ", ".join(types)
        raise UnknownParameter(type, f"{name}={value}", f"the matches are {found}, not {source}; add :iterate")
    if code == "*":
        found = [p for p in parameters.parameters(source).values() if p.kind == "reference"]
    else:
        found = [_reference(source, code)[0]]
    return Include(source, tuple(p.key for p in found), target or None, reverse, iterate, any(map(canonical, found)))


def canonical(param):
    """May it refer to a resource by the URL that this has of itself?"""
    return not param.targets or any("url" in parameters.parameters(target) for target in param.targets)


def _count(query, value, most):
    if not (value.isascii() and value.isdigit()):
        raise InvalidValue("_count", value, "expected a whole number, 0 or more")
    count = int(value[:9])
    if count > most:
        warning = Issue(
            "information", "informational", f"A page has at most {most} matches: _count={value} is too many."
        )
        query = replace(query, warnings=(*query.warnings, warning))
    return replace(query, count=min(count, most))


def _sort(query, value, most):
    keys = list(query.sort)
    for text in split(value, ","):
        if len(keys) == MOST_KEYS:
            raise TooCostly(f"A search is sorted by at most {MOST_KEYS} keys.")
        code = text.removeprefix("-")
        if not code:
            raise InvalidValue("_sort", value, "expected search parameters between commas, - before one to descend")
        if "." in code:
            keys.append(_sort_by_chain(query.type, code, text.startswith("-")))
            continue
        param = _known(query.type, code, True)
        if code not in parameters.COLUMNS and not (param.indexed and sortable(param)):
            raise UnknownParameter(query.type, code, "one cannot sort by it")
        keys.append(Sort(code, param, text.startswith("-")))
    return replace(query, sort=tuple(keys))


def _sort_by_chain(type, code, descending):
    """`patient.birthdate`, `subject:Patient.family`: the parameter of all types referred to that have it."""
    first, _, rest = code.partition(".")
    by, only = _reference(type, first)
    found = [(t, parameter(t, rest)) for t in ((only,) if only else by.targets or RESOURCE_TYPES)]
    arms = tuple((t, p) for t, p in found if p and (rest == "_id" or (p.indexed and sortable(p))))
    if not arms or rest == "_lastUpdated" or len({p.kind for _, p in arms}) > 1:
        raise UnknownParameter(type, code, "one cannot sort by it")
    return Sort(code, None, descending, by, arms)


def sortable(param):
    kind = TYPES.get(param.family)
    return kind is not None and (kind.sort_key is not None or type(kind).sort is not SearchType.sort)


def _one_of(name, attribute, allowed):
    def take(query, value, most):
        if value not in allowed:
            raise InvalidValue(name, value, f"expected one of {', '.join(allowed)}")
        return replace(query, **{attribute: value})

    return take


def _elements(query, value, most):
    """Top-level elements: of `name.family` the whole name; `Patient.name` is of one type. (search.html#elements)"""
    named = []
    for text in filter(None, map(str.strip, value.split(","))):
        first, *rest = text.split(".")
        named.append(f"{first}.{rest[0]}" if rest and is_resource_type(first) else first)
    return replace(query, elements=tuple(dict.fromkeys((*query.elements, *named))))


def _contained(query, value, most):
    """What stands alone, what is inside others, or both. (search.html#contained)"""
    if value not in CONTAINED:
        raise InvalidValue("_contained", value, f"expected one of {', '.join(CONTAINED)}")
    return replace(query, contained=None if value == "false" else value)


RESULTS = {
    "_count": _count,
    "_sort": _sort,
    "_summary": _one_of("_summary", "summary", SUMMARIES),
    "_total": _one_of("_total", "total", TOTALS),
    "_elements": _elements,
    "_contained": _contained,
    "_containedType": _one_of("_containedType", "contained_type", ("container", "contained")),
}
