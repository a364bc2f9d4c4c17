"""Security labels given on write: rules registered by `@labels`, called by the store. (security-labels.html)

What is made of other resources is labelled as high as they are: the high-water mark over `PARTS`. A part that is
labelled higher later raises the rows of what is made of it, known by the table `part`; their next version says so too.
"""

from ..access import Everything
from ..database import Ahead, as_system, execute, insert
from ..definitions.structures import type_number
from ..keys import identity, key
from ..sql import TRUE
from .references import local

EVERYTHING = Everything()
RULES = []
BITS = {}  # (system, code) -> bit of Resource.labels
RISING = []  # masks of the bits that rise from parts to what is made of them


def medicine(resource):
    return [resource.get("medicationReference")]


# type -> where it names or holds its parts
PARTS = {
    "AdverseEvent": lambda r: [e.get("instance") for e in r.get("suspectEntity") or ()],
    "Bundle": lambda r: [e.get("resource") for e in r.get("entry") or ()],
    "Composition": lambda r: [i for s in sections(r) for i in s.get("entry") or ()],
    "DocumentReference": lambda r: [
        *({"reference": (c.get("attachment") or {}).get("url")} for c in r.get("content") or ()),
        *((r.get("context") or {}).get("related") or ()),
    ],
    "List": lambda r: [e.get("item") for e in r.get("entry") or ()],
    "Medication": lambda r: [i.get("itemReference") for i in r.get("ingredient") or ()],
    "MedicationAdministration": medicine,
    "MedicationDispense": medicine,
    "MedicationRequest": medicine,
    "MedicationStatement": medicine,
    "Substance": lambda r: [i.get("substanceReference") for i in r.get("ingredient") or ()],
    "SupplyDelivery": lambda r: [(r.get("suppliedItem") or {}).get("itemReference")],
    "SupplyRequest": lambda r: [r.get("itemReference")],
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


def above(writes, access):
    """(position -> labels of the parts, position -> {(type, id)} of the parts), of the writes whose type has parts.

    One question to the database for all. What a person neither sees nor made is no part of what the person
    writes: else a label would tell what there is under an id.
    """
    found = {
        n: parts(w.resource, w.type, w.base) for n, w in enumerate(writes) if w.type in PARTS and w.resource is not None
    }
    names = {n: named for n, (named, _) in found.items()}
    if not any(named or inner for named, inner in found.values()):
        return {}, names
    mask = sum(RISING)
    here = {(w.type, w.id): n for n, w in enumerate(writes) if w.resource is not None and w.id is not None}
    own = {n: own_bits(writes[n].resource, writes[n].type) for n in {*here.values(), *found}}
    wholes = [writes[n].current.pk for n in names if writes[n].current is not None]
    kept = stored({part for named in names.values() for part in named} - here.keys(), access, wholes)
    names = {n: {part for part in named if part in here or part in kept} for n, named in names.items()}
    risen, more = {n: inner for n, (_, inner) in found.items()}, True
    while more:  # a part may be made of parts itself
        more = False
        for n, named in names.items():
            total = risen[n]
            for part in named:
                at = here.get(part)
                total |= (own[at] | risen.get(at, 0) if at is not None else kept.get(part, 0)) & mask
            more = more or total != risen[n]
            risen[n] = total
    return risen, names


def parts(resource, type, base=""):
    """({(type, id)} of the parts that are named, labels of those that are inside)."""
    named, inner = set(), 0
    for part in PARTS[type](resource):
        if not isinstance(part, dict):
            continue
        if "resourceType" in part:
            inner |= own_bits(part, part["resourceType"]) & sum(RISING)
        elif isinstance(part.get("reference"), str) and (found := local(part["reference"], base)):
            named.add(found[:2])
    return named, inner


def of_parts(resource, type):
    """The labels that its parts have now."""
    if type not in PARTS:
        return 0
    named, total = parts(resource, type)
    for bits in stored(named, EVERYTHING, ()).values():
        total |= bits & sum(RISING)
    return total


def own_bits(resource, type):
    """The labels that it has, and those that the rules give it."""
    total = bits(resource)
    for label in given(resource, type)[0]:
        total |= BITS.get(label, 0)
    return total


@as_system()
def stored(parts, access, wholes):
    """(type, id) -> labels, of rows that the access knows, or that are parts of these wholes (pks) already.

    Who knows everything of a type knows those too that are not there, or not yet, without a label. Nobody raises
    one of them until the transaction ends, or makes one: who does so then finds what is made of it.
    """
    keys = {identity(*part): part for part in parts}
    if not keys:
        return {}
    hold(keys)
    asked = {type: access.known(type) for type in sorted({type for type, _ in parts})}
    narrow = {type: p for type, p in asked.items() if p != TRUE}
    known, params, before = "TRUE", (), set()
    if narrow:
        if wholes:
            before = {part for (part,) in execute("SELECT part FROM part WHERE whole = ANY(%s)", (wholes,))}
        arms = " ".join(f"WHEN {type_number(type)} THEN ({p.text})" for type, p in narrow.items())
        known = f"r.identity = ANY(%s) OR CASE r.type {arms} ELSE TRUE END"
        params = (list(before), *sum((p.params for p in narrow.values()), ()))
    rows = execute(
        f"SELECT r.identity, r.labels FROM resource r WHERE r.identity = ANY(%s) AND NOT r.deleted AND ({known})",
        (list(keys), *params),
    )
    free = {part: 0 for key, part in keys.items() if part[0] not in narrow or key in before}
    return free | {keys[key]: labels for key, labels in rows}


MOST_HELD = 400  # parts of one transaction; who has more holds the lock that all share
ALL = key("parts")


def hold(keys, raising=False):
    """Until the transaction ends these parts have the labels that they have now, or get those of who raises them.

    The locks are in memory, as a row that is not there yet has none. What is asked next sees what was waited for.
    """
    if len(keys) > MOST_HELD:
        Ahead("SELECT pg_advisory_xact_lock(%s)", (ALL,))
        return
    Ahead("SELECT pg_advisory_xact_lock_shared(%s)", (ALL,))
    mode = "" if raising else "_shared"
    Ahead(f"SELECT pg_advisory_xact_lock{mode}(k) FROM unnest(%s::bigint[]) AS k", (sorted(keys),))


def keep_parts(gone, made):
    """Which parts what is made of some has: (identity of the part, pk of the whole)."""
    if gone:
        execute("DELETE FROM part WHERE whole = ANY(%s)", (gone,))
    insert("part", ("part", "whole"), ("int8", "int8"), made)


@as_system()
def raise_wholes(raised):
    """The rows of what is made of these (identity -> labels), and of what is made of those, get their labels."""
    mask = sum(RISING)
    while raised := {key: labels & mask for key, labels in raised.items() if labels & mask}:
        hold(raised, raising=True)
        raised = dict(
            execute(
                "UPDATE resource w SET labels = w.labels | n.labels FROM (SELECT p.whole, bit_or(g.labels) AS labels"
                " FROM unnest(%s::int8[], %s::int8[]) AS g(part, labels) JOIN part p ON p.part = g.part"
                " GROUP BY p.whole) n WHERE w.pk = n.whole AND n.labels & ~w.labels <> 0"
                " RETURNING w.identity, w.labels",
                (list(raised), list(raised.values())),
            )
        )


def sections(resource):
    """All sections, those inside others too."""
    found, stack = [], list(resource.get("section") or ())
    while stack:
        section = stack.pop()
        found.append(section)
        stack += section.get("section") or ()
    return found
