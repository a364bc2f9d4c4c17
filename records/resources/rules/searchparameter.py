"""SearchParameter: one that is active can be evaluated, on every type it is for, at a cost that has a bound.

R4's own parameters stay what they are: a resource that defines one of them again changes nothing, and may not differ.
"""

import re
from functools import cache

from ... import fhirpath
from ...definitions.parameters import search_parameter_definitions
from ...definitions.structures import RESOURCE_TYPES, is_resource_type
from ...errors import Issue
from . import before_write

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,63}\Z")
KINDS = ("number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special")
PLAIN_RESOURCES = ("Binary", "Bundle", "Parameters")  # Resources, but not DomainResources
RESERVED = ("identifier", "url")  # indexed by the write itself, as conditional interactions need them
LONGEST = 2000  # characters of an expression
# Their cost has no bound in the size of the resource, or their answer changes without a write.
REFUSED = re.compile(
    r"\b(matches|replaceMatches|repeat|descendants|aggregate|trace|now|today|timeOfDay|memberOf|conformsTo"
    r"|htmlChecks|subsumes|subsumedBy)\s*\("
)


def bases(resource):
    """The resource types that a SearchParameter is for."""
    found = []
    for base in resource.get("base") or ():
        if base == "Resource":
            found += RESOURCE_TYPES
        elif base == "DomainResource":
            found += (type for type in RESOURCE_TYPES if type not in PLAIN_RESOURCES)
        elif is_resource_type(base):
            found.append(base)
    return list(dict.fromkeys(found))


@cache
def _official():
    return {(type, given["code"]): given["url"] for given in search_parameter_definitions() for type in bases(given)}


def official(type, code):
    """URL of R4's own parameter of that code on a type, or None."""
    return _official().get((type, code))


@before_write("SearchParameter")
def usable(resource):
    """A draft or retired one is kept as it is; an active one must work."""
    if resource.get("status") != "active":
        return
    code, kind = resource.get("code"), resource.get("type")
    if not isinstance(code, str) or not CODE.match(code) or code in RESERVED:
        yield _issue("value", "expected 1 to 64 of A-Z a-z 0-9 -, and not identifier or url", "code")
        return
    types = bases(resource)
    for type in types:
        url = official(type, code)
        if url is not None and url != resource.get("url"):
            yield _issue("duplicate", f"R4 has a parameter {code!r} on {type}: {url}", "code")
            return
    if all(official(type, code) for type in types):
        return
    if kind == "special":
        yield _issue("not-supported", "a special parameter needs a server that knows it", "type")
    elif kind == "composite":
        yield from _components(resource, types)
    yield from _targets(resource, kind)
    yield from _evaluable(resource.get("expression"), types, "expression")


def _components(resource, types):
    given = resource.get("component") or ()
    if len(given) < 2:
        yield _issue("required", "a composite has two components or more", "component")
    for n, component in enumerate(given):
        text = component.get("expression")
        if isinstance(text, str) and (found := _refused(text)):
            yield _issue("too-costly", found, f"component[{n}].expression")


def _targets(resource, kind):
    for n, type in enumerate(resource.get("target") or ()):
        if not is_resource_type(type) and type != "Resource":
            yield _issue("value", f"{type!r} is no resource type", f"target[{n}]")
    if resource.get("target") and kind not in ("reference", "composite", "uri"):
        yield _issue("business-rule", f"a {kind} has no targets", "target")


def _evaluable(text, types, place):
    if not isinstance(text, str) or not text.strip():
        yield _issue("required", "an active search parameter needs an expression", place)
        return
    if len(text) > LONGEST:
        yield _issue("too-long", f"an expression has at most {LONGEST} characters", place)
        return
    if found := _refused(text):
        yield _issue("too-costly", found, place)
        return
    try:
        fhirpath.check(text)
    except ValueError as fault:
        yield _issue("value", f"it cannot be compiled: {fault}"[:500], place)
        return
    for type in types:
        try:
            fhirpath.compile(text, type)
        except Exception as fault:  # whatever the parser of the general engine says
            yield _issue("value", f"it cannot be compiled for {type}: {fault}"[:500], place)
            return


def _refused(text):
    match = REFUSED.search(text)
    return match and f"{match[1]}() is not for the index: its cost has no bound, or its answer changes with time"


def _issue(code, said, place):
    return Issue("error", code, f"This active SearchParameter cannot be used: {said}.", f"SearchParameter.{place}")
