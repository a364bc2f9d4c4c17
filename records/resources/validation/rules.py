"""The invariants of R4 as plain functions: node -> does it hold? (conformance-rules.html#constraints)

One entry for each key of the base definitions; a test holds each against its own FHIRPath expression, evaluated by
fhirpathpy. An invariant whose comparison cannot be decided (dates of unlike precision, unlike units) holds.
A rule may stumble over a node of the wrong shape; who calls it knows that such a node has been reported.
"""

import re
from decimal import Decimal

from .comparison import at_most
from .references import target

UCUM = "http://unitsofmeasure.org"
RULES = {}


def rule(*keys):
    """Register a function (or what a maker below returns) under the keys of the definitions."""

    def register(holds):
        for key in keys:
            RULES[key] = holds
        return holds

    return register


# --- makers: most invariants say which children may, must or must not stand together


def child(name):
    """Does the child exist, by value or by extension? "value[x]" stands for each of its types."""
    if not name.endswith("[x]"):
        extended = "_" + name
        return lambda v: name in v or extended in v
    stem, length = name[:-3], len(name) - 3

    def exists(v):
        for key in v:
            plain = key[1:] if key[0] == "_" else key
            if plain.startswith(stem) and plain[length : length + 1].isupper():
                return True
        return False

    return exists


def count(v, *names):
    """How many elements the named children are, all arrays counted through."""
    total = 0
    for name in names:
        given = v.get(name, v.get("_" + name))
        total += len(given) if isinstance(given, list) else given is not None
    return total


def any_of(*names):
    children = tuple(map(child, names))
    return lambda v: any(exists(v) for exists in children)


def none_of(*names):
    some = any_of(*names)
    return lambda v: not some(v)


def not_both(one, other):
    first, second = child(one), child(other)
    return lambda v: not (first(v) and second(v))


def both_or_none(one, other):
    first, second = child(one), child(other)
    return lambda v: first(v) == second(v)


def one_of_two(one, other):
    first, second = child(one), child(other)
    return lambda v: first(v) != second(v)


def needs(one, other):
    """When `one` exists, so does `other`."""
    first, second = child(one), child(other)
    return lambda v: second(v) or not first(v)


def when(name, values, holds):
    """When the child has one of the values, the rule holds."""
    return lambda v: v.get(name) not in values or holds(v)


def unless(name, values, holds):
    """The rule holds, or the child has one of the values."""
    return lambda v: v.get(name) in values or holds(v)


def listed(v, *names):
    """The nodes at the end of a path of children, arrays flattened."""
    nodes = [v]
    for name in names:
        below = []
        for node in nodes:
            found = node.get(name)
            if isinstance(found, list):
                below += [n for n in found if n is not None]
            elif found is not None:
                below.append(found)
        nodes = below
    return nodes


def distinct(values) -> bool:
    values = list(values)
    return len(set(values)) == len(values)


def coded(v, name, system, *codes) -> bool:
    """Some coding of the concept has that system and one of the codes."""
    return any(c.get("system") == system and c.get("code") in codes for c in listed(v, name, "coding"))


def matching(name, pattern):
    """The child's text matches as a whole, where it is given."""
    matches = re.compile(pattern).fullmatch
    return lambda v: name not in v or bool(matches(v[name]))


# --- data types


@rule("ext-1")
def extension(v):
    valued = False
    for key in v:
        if key[:5] == "value" or key[:6] == "_value":
            valued = True
    return ("extension" in v) != valued


@rule("qty-3")
def quantity(v):
    return "code" not in v or "system" in v or "_system" in v


@rule("per-1")
def period(v):
    return at_most(v.get("start"), v.get("end"))


@rule("rng-2")
def range_(v):
    low, high = v.get("low"), v.get("high")
    if not low or not high or "value" not in low or "value" not in high:
        return True
    alike = all(low.get(k) == high.get(k) for k in ("system", "code", "unit"))
    return not alike or low["value"] <= high["value"]


@rule("rat-1")
def ratio(v):
    numerator = "numerator" in v
    return numerator == ("denominator" in v) and (numerator or "extension" in v)


def unit(*systems):
    """A code wherever there is a value, of one of the systems where one is named."""
    value, code = child("value"), child("code")
    return lambda v: (code(v) or not value(v)) and v.get("system") in (None, *systems)


RULES |= {
    "sqty-1": none_of("comparator"),
    "mqty-1": unit("urn:iso:std:iso:4217"),
    "dis-1": unit(UCUM),
    "att-1": needs("data", "contentType"),
    "cpt-2": needs("value", "system"),
    "exp-1": any_of("expression", "reference"),
    "drq-1": one_of_two("path", "searchParam"),
    "drq-2": one_of_two("path", "searchParam"),
    "trd-1": not_both("data", "timing[x]"),
    "trd-2": needs("condition", "data"),
    "tim-1": needs("duration", "durationUnit"),
    "tim-2": needs("period", "periodUnit"),
    "tim-4": lambda v: v.get("duration", 0) >= 0,
    "tim-5": lambda v: v.get("period", 0) >= 0,
    "tim-6": needs("periodMax", "period"),
    "tim-7": needs("durationMax", "duration"),
    "tim-8": needs("countMax", "count"),
    "tim-9": lambda v: "offset" not in v or (bool(v.get("when")) and not {"C", "CM", "CD", "CV"} & set(v["when"])),
    "tim-10": not_both("timeOfDay", "when"),
}


@rule("age-1")
def age(v):
    return RULES["dis-1"](v) and v.get("value", 1) > 0


@rule("cnt-3")
def count_(v):
    value = v.get("value", 0)
    whole = not isinstance(value, Decimal) or "." not in getattr(value, "text", str(value))
    return RULES["dis-1"](v) and v.get("code", "1") == "1" and whole


@rule("drt-1")
def duration(v):
    return not child("code")(v) or (v.get("system") == UCUM and child("value")(v))


@rule("trd-3")
def trigger(v):
    type = v.get("type", "")
    return (
        (type != "named-event" or "name" in v)
        and (type != "periodic" or child("timing[x]")(v))
        and (not type.startswith("data-") or "data" in v)
    )


# --- resources


RULES |= {
    "app-1": any_of("type", "actor"),
    "app-2": both_or_none("start", "end"),
    "app-3": unless("status", ("proposed", "cancelled", "waitlist"), lambda v: child("start")(v) and child("end")(v)),
    "app-4": unless("status", ("no-show", "cancelled"), none_of("cancelationReason")),
    "apr-1": any_of("participantType", "actor"),
    "sev-1": not_both("name", "query"),
    "ces-1": one_of_two("category", "productOrService"),
    "cmp-1": any_of("text", "entry", "section"),
    "cmp-2": not_both("emptyReason", "entry"),
    "con-1": any_of("summary", "assessment"),
    "con-2": any_of("code", "detail"),
    "cpl-3": not_both("detail", "reference"),
    "fhs-1": not_both("age[x]", "born[x]"),
    "fhs-2": needs("estimatedAge", "age[x]"),
    "gol-1": needs("detail[x]", "measure"),
    "grp-1": unless("actual", (True,), none_of("member")),
    "imm-1": any_of("documentType", "reference"),
    "imr-1": any_of("vaccineCode", "targetDisease"),
    "inv-1 Parameters.parameter": lambda v: (
        (count(v, "part", "resource") > 0 or child("value[x]")(v))
        and (
            not (child("value[x]")(v) or "resource" in v) if "part" in v else child("value[x]")(v) != ("resource" in v)
        )
    ),
    "inv-1 Task": lambda v: at_most(v.get("authoredOn"), v.get("lastModified")),
    "ipn-1": any_of("identifier", "name"),
    "lnk-1": lambda v: count(v, "item") > 1,
    "lst-1": not_both("emptyReason", "entry"),
    "lst-2": unless("mode", ("changes",), lambda v: not any(child("deleted")(e) for e in listed(v, "entry"))),
    "lst-3": unless("mode", ("working",), lambda v: not any(child("date")(e) for e in listed(v, "entry"))),
    "mad-1": any_of("dose", "rate[x]"),
    "mdd-1": lambda v: at_most(v.get("whenPrepared"), v.get("whenHandedOver")),
    "mrp-1": when("type", ("data-collection",), none_of("group")),
    "mrp-2": lambda v: all(one_of_two("value", "component")(s) for s in listed(v, "group", "stratifier", "stratum")),
    "msq-3": lambda v: v.get("coordinateSystem") in (0, 1),
    "msq-5": both_or_none("chromosome", "genomeBuild"),
    "msq-6": lambda v: count(v, "genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString") == 1,
    "nor-1": any_of("oralDiet", "supplement", "enteralFormula"),
    "obs-3": any_of("low", "high", "text"),
    "org-1": any_of("identifier", "name"),
    "org-2": lambda v: v.get("use") != "home",
    "org-3": lambda v: v.get("use") != "home",
    "pat-1": any_of("name", "telecom", "address", "organization"),
    "ppc-1": any_of("policy", "policyRule"),
    "prr-1": needs("orderDetail", "code"),
    "qrs-1": not_both("answer", "item"),
    "ras-2": lambda v: v.get("probabilityDecimal", 0) <= 100,
    "rqg-1": one_of_two("resource", "action"),
}

for key, code in {"ppc-2": "patient-privacy", "ppc-3": "research", "ppc-4": "adr", "ppc-5": "treatment"}.items():
    # The published expressions name the system 'something'.
    RULES[key] = lambda v, code=code: "patient" in v or not coded(v, "scope", "something", code)


@rule("ras-1")
def probability_range(v):
    """Of probability[x]: a decimal has no bounds."""
    bounds = [v.get("low"), v.get("high")] if isinstance(v, dict) else []
    return all(b.get("code") == "%" and b.get("system") == UCUM for b in bounds if b is not None)


VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


@rule("ait-1")
def allergy_clinical_status(v):
    return "clinicalStatus" in v or coded(v, "verificationStatus", VERIFICATION, "entered-in-error")


@rule("ait-2")
def allergy_entered_in_error(v):
    return "clinicalStatus" not in v or not coded(v, "verificationStatus", VERIFICATION, "entered-in-error")


@rule("con-4")
def condition_abated(v):
    ended = ("resolved", "remission", "inactive")
    return not child("abatement[x]")(v) or coded(v, "clinicalStatus", CONDITION_CLINICAL, *ended)


@rule("con-5")
def condition_entered_in_error(v):
    return "clinicalStatus" not in v or not coded(v, "verificationStatus", CONDITION_VERIFICATION, "entered-in-error")


@rule("ctm-1")
def on_behalf_of(v):
    reference = v.get("member", {}).get("reference")
    return "onBehalfOf" not in v or reference is None or target(reference)[0] in (None, "Practitioner")


VALUED = child("value[x]")


@rule("obs-6")
def observation_absent(v):
    return "dataAbsentReason" not in v or not VALUED(v)


@rule("obs-7")
def observation_component_code(v):
    if "component" not in v or not VALUED(v):
        return True
    # Codings are equal when all they say is equal. (fhirpath.html#equals)
    own = [frozen(c) for c in listed(v, "code", "coding")]
    return not any(frozen(c) in own for c in listed(v, "component", "code", "coding"))


def frozen(value):
    """A tree as a hashable value, the order of keys apart."""
    if isinstance(value, dict):
        return frozenset((k, frozen(x)) for k, x in value.items())
    return tuple(map(frozen, value)) if isinstance(value, list) else value


# --- Bundle

REQUESTS = ("batch", "transaction", "history")
RESPONSES = ("batch-response", "transaction-response", "history")


def first_is(type):
    return lambda v: [r.get("resourceType") for e in v.get("entry", ())[:1] for r in [e.get("resource", {})]] == [type]


RULES |= {
    "bdl-1": unless("type", ("searchset", "history"), none_of("total")),
    "bdl-2": unless("type", ("searchset",), lambda v: not listed(v, "entry", "search")),
    "bdl-3": lambda v: all(("request" in e) == (v.get("type") in REQUESTS) for e in v.get("entry", ())),
    "bdl-4": lambda v: all(("response" in e) == (v.get("type") in RESPONSES) for e in v.get("entry", ())),
    "bdl-5": any_of("resource", "request", "response"),
    "bdl-8": lambda v: "/_history/" not in v.get("fullUrl", ""),
    "bdl-9": when("type", ("document",), lambda v: {"system", "value"} <= v.get("identifier", {}).keys()),
    "bdl-10": when("type", ("document",), lambda v: "timestamp" in v),
    "bdl-11": when("type", ("document",), first_is("Composition")),
    "bdl-12": when("type", ("message",), first_is("MessageHeader")),
}


@rule("bdl-7")
def full_urls(v):
    entries = [e for e in v.get("entry", ()) if "fullUrl" in e]
    version = lambda e: e.get("resource", {}).get("meta", {}).get("versionId")  # noqa: E731
    return v.get("type") == "history" or distinct((e["fullUrl"], version(e)) for e in entries)


# --- DomainResource: dom-3 and ref-1 are seen where the fragments arrive (structure.py)


@rule("dom-2")
def contained_flat(v):
    return not any("contained" in c for c in v.get("contained", ()))


@rule("dom-4")
def contained_without_version(v):
    return "contained" not in v or not any(
        {"versionId", "lastUpdated"} & m.keys() for m in listed(v, "contained", "meta")
    )


@rule("dom-5")
def contained_without_labels(v):
    return "contained" not in v or not listed(v, "contained", "meta", "security")
