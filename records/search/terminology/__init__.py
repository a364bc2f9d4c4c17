"""Value sets and hierarchies of codes: those of the specification, and the ValueSets and CodeSystems stored here.

For the modifiers :in, :not-in, :above and :below. (search.html#token, valueset.html#compositions)
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from records import keys
from records.database import execute
from records.definitions import valuesets
from records.formats.json import parse

from ..types.uri import PREFIX

DEEPEST = 10
VERSIONS = 100  # of one value set, of which the named one is looked for
WHOLE = {"http://snomed.info/sct?fhir_vs": "http://snomed.info/sct", "http://loinc.org/vs": "http://loinc.org"}


class CannotExpand(ValueError):
    """The codes of a value set are not known here; the message says why."""


class Codes(NamedTuple):
    """What a value set holds: (system, code) pairs, and systems of which every code is in."""

    pairs: frozenset
    systems: frozenset


def expansion(url, depth=0):
    """The Codes of a ValueSet by canonical URL, perhaps `url|version`, or `ValueSet/id`."""
    if depth > DEEPEST:
        raise CannotExpand(f"{url}: the value sets refer to each other too deeply")
    url, _, version = url.partition("|")
    resource = _stored_by_id(url) if url.startswith("ValueSet/") else _stored("ValueSet", url, version)
    if resource is not None:
        return _compose(resource, depth)
    pairs = valuesets.pairs(url)
    if pairs is not None:
        return Codes(pairs, frozenset())
    systems = valuesets.systems(url)
    if url in WHOLE:
        return Codes(frozenset(), frozenset((WHOLE[url],)))
    system, _, code = url.partition("?fhir_vs=isa/")
    if code:
        return Codes(frozenset((system, each) for each in below(system, code)), frozenset())
    raise CannotExpand(f"{url}: its codes cannot be listed here" if systems else f"{url}: no such value set here")


def below(system, code):
    """The code and all that it subsumes; CannotExpand when nobody here knows what that is."""
    return _closure(_children(system), code)


def specified_below(system, code):
    """The same by the specification alone, whatever CodeSystem somebody has stored here."""
    return _closure(_hierarchies().get(system, {}), code)


def above(system, code):
    """The code and all that subsume it."""
    parents = {}
    for parent, children in _children(system).items():
        for child in children:
            parents.setdefault(child, []).append(parent)
    return _closure(parents, code)


def _closure(steps, code):
    found, todo = {code}, [code]
    while todo:
        for each in steps.get(todo.pop(), ()):
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


@cache
def _hierarchies():
    return json.loads(gzip.decompress(Path(__file__).with_name("hierarchies.json.gz").read_bytes()))


def _children(system):
    resource = _stored("CodeSystem", system)
    if resource is None or resource.get("content") in ("not-present", "supplement"):
        found = _hierarchies().get(system)
        if found is None:
            raise CannotExpand(f"{system}: what its codes subsume is not known here")
        return found
    from .build import _gather

    children = {}
    _gather(resource.get("concept", ()), None, children)
    return children


def _compose(resource, depth):
    """The Codes that compose.include less compose.exclude give; an expansion without compose as it stands."""
    compose = resource.get("compose")
    if compose is None:
        contains = list(_flat(resource.get("expansion", {}).get("contains", ()), "contains"))
        return Codes(frozenset((c.get("system"), c["code"]) for c in contains if "code" in c), frozenset())
    pairs, systems = set(), set()
    for include in compose.get("include", ()):
        found = _set(include, depth)
        pairs |= found.pairs
        systems |= found.systems
    for exclude in compose.get("exclude", ()):
        found = _set(exclude, depth)
        if systems & ({s for s, _ in found.pairs} | found.systems):
            raise CannotExpand(f"{resource.get('url')}: it excludes codes of a system that cannot be listed here")
        pairs = {p for p in pairs if p not in found.pairs and p[0] not in found.systems}
    return Codes(frozenset(pairs), frozenset(systems))


def _set(given, depth):
    """The Codes of one include: what its system and all its value sets have in common."""
    parts = [expansion(url, depth + 1) for url in given.get("valueSet", ())]
    system = given.get("system")
    if system:
        if "concept" in given:
            parts.append(Codes(frozenset((system, c["code"]) for c in given["concept"]), frozenset()))
        elif "filter" in given:
            parts.append(Codes(frozenset((system, c) for c in _filtered(system, given["filter"])), frozenset()))
        else:
            resource = _stored("CodeSystem", system)
            if resource is not None and resource.get("content") == "complete":
                listed = _flat(resource.get("concept", ()), "concept")
                parts.append(Codes(frozenset((system, c["code"]) for c in listed), frozenset()))
            else:
                parts.append(Codes(frozenset(), frozenset((system,))))
    if not parts:
        raise CannotExpand("an include names neither a system nor a value set")
    first, *others = parts
    for other in others:
        pairs = {p for p in first.pairs if p in other.pairs or p[0] in other.systems}
        pairs |= {p for p in other.pairs if p[0] in first.systems}
        first = Codes(frozenset(pairs), first.systems & other.systems)
    return first


def _filtered(system, conditions):
    """Codes under all conditions on `concept`: is-a, descendent-of, =, in."""
    found = None
    for each in conditions:
        prop, op, value = each.get("property"), each.get("op"), each.get("value", "")
        if op == "is-a" and prop in ("concept", "code"):
            codes = below(system, value)
        elif op == "descendent-of" and prop in ("concept", "code"):
            codes = below(system, value) - {value}
        elif op in ("=", "in") and prop in ("concept", "code"):
            codes = {v.strip() for v in value.split(",")}
        else:
            raise CannotExpand(f"{system}: codes by {prop} {op} cannot be listed here")
        found = codes if found is None else found & codes
    return found or set()


def _flat(concepts, key):
    for concept in concepts:
        yield concept
        yield from _flat(concept.get(key, ()), key)


def _stored(type, url, version=""):
    """The newest stored resource of that canonical URL, or the one of that version; None when there is none."""
    rows = execute(
        f"SELECT r.body FROM uri i JOIN resource r ON r.pk = i.resource WHERE i.param = %s"
        f" AND left(i.value, {PREFIX}) = %s AND i.value = %s AND NOT r.deleted ORDER BY r.updated DESC LIMIT %s",
        (keys.key(type, "url"), url[:PREFIX], url, VERSIONS if version else 1),
    )
    found = [parse(bytes(body)) for (body,) in rows]
    named = [resource for resource in found if version in ("", resource.get("version"))]
    if found and not named:
        raise CannotExpand(f"{url}: it has no version {version} here")
    return named[0] if named else None


def _stored_by_id(reference):
    found = execute("SELECT body FROM resource WHERE identity = %s AND NOT deleted", (keys.key(reference),))
    if not found:
        raise CannotExpand(f"{reference} is not known")
    return parse(bytes(found[0][0]))
