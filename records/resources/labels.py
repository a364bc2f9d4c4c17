"""Security labels given on write: rules registered by `@labels`, called by the store. (security-labels.html)

What is made of other resources is labelled as high as they are: the high-water mark over `PARTS`.
"""

from ..database import as_system, execute
from ..keys import identity
from .references import local

RULES = []
BITS = {}  # (system, code) -> bit of Resource.labels
RISING = []  # masks of the bits that rise from parts to what is made of them
# type -> where it names or holds its parts
PARTS = {
    "Bundle": lambda r: [e.get("resource") for e in r.get("entry") or ()],
    "Composition": lambda r: [i for s in sections(r) for i in s.get("entry") or ()],
    "DocumentReference": lambda r: [
        *({"reference": (c.get("attachment") or {}).get("url")} for c in r.get("content") or ()),
        *((r.get("context") or {}).get("related") or ()),
    ],
    "List": lambda r: [e.get("item") for e in r.get("entry") or ()],
}


def labels(function):
    """Register (resource, type) -> iterable of (system, code) that the resource must carry in meta.security.

    `function.mark`, if there, is () -> (system, code) of a tag that says by which rules.
    """
    RULES.append(function)
    return function


def known(system, code):
    """Give a label a bit of the row, so that SQL can ask for it; the order of calls is the order of bits."""
    return BITS.setdefault((system, code), 1 << len(BITS))


def rises(bits):
    """These labels rise from parts to what is made of them."""
    RISING.append(bits)


def given(resource, type):
    """(labels, tags) that the rules give."""
    wanted, marks = {}, []
    for rule in RULES:
        found = dict.fromkeys(rule(resource, type))
        if found and (mark := getattr(rule, "mark", None)):
            marks.append(mark())
        wanted |= found
    return wanted, marks


def labelled(resource, type, above=0):
    """The resource with every label that the rules give, and those of its parts, in its meta.security."""
    wanted, marks = given(resource, type)
    if above & ~bits(resource):
        wanted |= dict.fromkeys((c["system"], c["code"]) for c in codings(above))
    if not wanted:
        return resource
    meta = dict(resource.get("meta") or {})
    meta["security"] = added(meta.get("security"), wanted)
    if marks:
        systems = {system for system, _ in marks}
        meta["tag"] = added([t for t in meta.get("tag") or () if t.get("system") not in systems], marks)
    return {**resource, "meta": meta}


def added(codings, wanted):
    """The codings with those that they lack."""
    found = list(codings or ())
    present = {(c.get("system"), c.get("code")) for c in found}
    return found + [{"system": system, "code": code} for system, code in wanted if (system, code) not in present]


def bits(resource):
    """The row's bit set, from meta.security."""
    total = 0
    for coding in (resource.get("meta") or {}).get("security") or ():
        total |= BITS.get((coding.get("system"), coding.get("code")), 0)
    return total


def codings(bits):
    """A coding for each bit."""
    first = {}
    for (system, code), bit in BITS.items():
        if bits & bit:
            first.setdefault(bit, {"system": system, "code": code})
    return list(first.values())


# -- the high-water mark -----------------------------------------------------------------------------------------------


def above(writes):
    """position -> labels of the parts, of the writes whose type has parts; one question to the database for all."""
    found = {n: parts(w) for n, w in enumerate(writes) if w.type in PARTS and w.resource is not None}
    if not any(named or inner for named, inner in found.values()):
        return {}
    mask = sum(RISING)
    here = {(w.type, w.id): n for n, w in enumerate(writes) if w.resource is not None and w.id is not None}
    own = {n: own_bits(writes[n].resource, writes[n].type) for n in {*here.values(), *found}}
    elsewhere = {part for named, _ in found.values() for part in named} - here.keys()
    kept = stored(elsewhere)
    risen, more = {n: inner for n, (_, inner) in found.items()}, True
    while more:  # a part may be made of parts itself
        more = False
        for n, (named, _) in found.items():
            total = risen[n]
            for part in named:
                at = here.get(part)
                total |= (own[at] | risen.get(at, 0) if at is not None else kept.get(part, 0)) & mask
            more = more or total != risen[n]
            risen[n] = total
    return {n: total for n, total in risen.items() if total & ~own[n]}


def parts(write):
    """({(type, id)} of the parts that are named, labels of those that are inside)."""
    named, inner = set(), 0
    for part in PARTS[write.type](write.resource):
        if not isinstance(part, dict):
            continue
        if "resourceType" in part:
            inner |= own_bits(part, part["resourceType"]) & sum(RISING)
        elif isinstance(part.get("reference"), str) and (found := local(part["reference"], write.base)):
            named.add(found[:2])
    return named, inner


def own_bits(resource, type):
    """The labels that it has, and those that the rules give it."""
    total = bits(resource)
    for label in given(resource, type)[0]:
        total |= BITS.get(label, 0)
    return total


@as_system()
def stored(parts):
    """(type, id) -> labels of rows, whoever writes: a label is told to nobody by being copied upwards."""
    if not parts:
        return {}
    keys = {identity(*part): part for part in parts}
    rows = execute("SELECT identity, labels FROM resource WHERE identity = ANY(%s) AND NOT deleted", (list(keys),))
    return {keys[key]: labels for key, labels in rows}


def sections(resource):
    """All sections, those inside others too."""
    found, stack = [], list(resource.get("section") or ())
    while stack:
        section = stack.pop()
        found.append(section)
        stack += section.get("section") or ()
    return found
