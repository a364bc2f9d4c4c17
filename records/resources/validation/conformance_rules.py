"""The invariants of conformance, terminology and testing resources, as plain functions. (see rules.py)"""

import re

from .rules import (
    RULES,
    any_of,
    child,
    count,
    distinct,
    listed,
    matching,
    needs,
    none_of,
    not_both,
    one_of_two,
    rule,
    unless,
    when,
)

NAME = r"[A-Z][A-Za-z0-9_]{0,254}"
NAMED = [
    "adf",
    "cpb",
    "cid",
    "csd",
    "cpd",
    "cmd",
    "ees",
    "evd",
    "evi",
    "evv",
    "esc",
    "gdf",
    "ig",
    "lib",
    "mea",
    "msd",
    "nsd",
    "opd",
    "pdf",
    "que",
    "rsd",
    "red",
    "rvs",
    "spd",
    "sdf",
    "smp",
    "tcp",
    "tst",
    "vsd",
]
RULES |= {f"{prefix}-0": matching("name", NAME) for prefix in NAMED}


STATEMENT = {
    "description": any_of("description", "software", "implementation"),
    "instance": when("kind", ("instance",), any_of("implementation")),
    "capability": when("kind", ("capability",), lambda v: "implementation" not in v and "software" in v),
    "requirements": when("kind", ("requirements",), none_of("implementation", "software")),
}
RULES |= dict(zip(("cpb-2", "cpb-14", "cpb-15", "cpb-16"), STATEMENT.values(), strict=True))
RULES |= dict(zip(("tcp-2", "tcp-3", "tcp-4", "tcp-5"), STATEMENT.values(), strict=True))

RULES |= {
    # CapabilityStatement, TerminologyCapabilities
    "cpb-1": any_of("rest", "messaging", "document"),
    "cpb-3": unless("kind", ("instance",), lambda v: not listed(v, "messaging", "endpoint")),
    "cpb-7": lambda v: distinct((d.get("profile"), d.get("mode")) for d in listed(v, "document")),
    "cpb-9": lambda v: distinct(listed(v, "resource", "type")),
    "cpb-12": lambda v: distinct(listed(v, "searchParam", "name")),
    "tcp-1": lambda v: count(v, "version") <= 1 or all(child("code")(x) for x in listed(v, "version")),
    # CodeSystem, ConceptMap, ValueSet, NamingSystem
    "csd-1": lambda v: distinct(c["code"] for c in tree(v, "concept") if "code" in c),
    "cmd-1": lambda v: child("comment")(v) or v.get("equivalence") not in ("narrower", "inexact"),
    "cmd-2": when("mode", ("fixed",), child("code")),
    "cmd-3": when("mode", ("other-map",), child("url")),
    "vsd-1": any_of("valueSet", "system"),
    "vsd-2": lambda v: child("system")(v) or not any_of("concept", "filter")(v),
    "vsd-3": not_both("concept", "filter"),
    "vsd-6": any_of("code", "display"),
    "vsd-9": lambda v: child("code")(v) or v.get("abstract") is True,
    "vsd-10": needs("code", "system"),
    "nsd-1": when("kind", ("root",), lambda v: "uuid" not in listed(v, "uniqueId", "type")),
    "nsd-2": lambda v: distinct(u.get("type") for u in listed(v, "uniqueId") if u.get("preferred") is True),
    # ImplementationGuide, Measure, MessageDefinition, OperationDefinition, SearchParameter, StructureMap
    "ig-1": lambda v: set(listed(v, "resource", "groupingId")) <= set(listed(v, "grouping", "id")),
    "ig-2": lambda v: set(listed(v, "definition", "resource", "fhirVersion")) <= set(listed(v, "fhirVersion")),
    "mea-1": lambda v: all(
        any_of("code", "description", "criteria")(s) != child("component")(s) for s in listed(v, "group", "stratifier")
    ),
    "md-1": lambda v: v.get("max", "*") == "*" or whole(v["max"]) > 0,
    "opd-1": any_of("type", "part"),
    "opd-2": unless("type", ("string",), none_of("searchType")),
    "opd-3": unless("type", ("Reference", "canonical"), none_of("targetProfile")),
    "spd-1": needs("xpath", "xpathUsage"),
    "spd-2": unless("type", ("reference",), none_of("chain")),
    "smp-1": needs("element", "context"),
    "smp-2": needs("context", "contextType"),
    # Questionnaire
    "que-1": lambda v: (v.get("type") != "group" or "item" in v) and (v.get("type") != "display" or "item" not in v),
    "que-2": lambda v: distinct(i["linkId"] for i in tree(v, "item") if "linkId" in i),
    "que-3": when("type", ("display",), none_of("code")),
    "que-4": not_both("answerOption", "answerValueSet"),
    "que-5": unless(
        "type",
        ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"),
        none_of("answerValueSet", "answerOption"),
    ),
    "que-6": when("type", ("display",), none_of("required", "repeats")),
    "que-7": when("operator", ("exists",), child("answerBoolean")),
    "que-8": when("type", ("group", "display"), none_of("initial")),
    "que-9": when("type", ("display",), none_of("readOnly")),
    "que-10": unless(
        "type", ("boolean", "decimal", "integer", "string", "text", "url", "open-choice"), none_of("maxLength")
    ),
    "que-11": not_both("answerOption", "initial"),
    "que-12": lambda v: count(v, "enableWhen") <= 2 or child("enableBehavior")(v),
    "que-13": lambda v: v.get("repeats") is True or count(v, "initial") <= 1,
}


def tree(v, name):
    """All nodes under a child that nests in itself, top down."""
    nodes = listed(v, name)
    for node in nodes:
        nodes += listed(node, name)
    return nodes


def whole(text) -> int:
    """toInteger(): what is no number counts as less than any."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else -1


# --- StructureDefinition and ElementDefinition

CORE = "http://hl7.org/fhir/StructureDefinition"
SYSTEM_TYPE = r"^http://hl7\.org/fhirpath/System\.[A-Z][A-Za-z]+$"


def paths(v, part):
    return [e.get("path", "") for e in listed(v, part, "element")]


def types(v, part):
    return listed(v, part, "element", "type", "code")


def first(v, part):
    """The first element of a part, as an array of none or one."""
    return listed(v, part, "element")[:1]


def within(paths, root) -> bool:
    return all(p.startswith(root + ".") for p in paths[1:])


def all_with(v, part, name):
    return all(child(name)(e) for e in listed(v, part, "element"))


def roots(v):
    """The elements of both parts whose path has no dot."""
    return [
        e for part in ("snapshot", "differential") for e in listed(v, part, "element") if "." not in e.get("path", ".")
    ]


@rule("sdf-8")
def snapshot_paths(v):
    found = paths(v, "snapshot")
    if not found:
        return True
    return (v.get("kind") == "logical" or found[0] == v.get("type")) and within(found, found[0])


@rule("sdf-8a")
def differential_paths(v):
    found = paths(v, "differential")
    if not found:
        return True
    start = v.get("kind") == "logical" or found[0].startswith(v.get("type", ""))
    return start and within(found, found[0].partition(".")[0])


@rule("sdf-19")
def core_types(v):
    if not v.get("url", "").startswith(CORE):
        return True
    fits = lambda pattern, codes: all(re.search(pattern, c) or re.search(SYSTEM_TYPE, c) for c in codes)  # noqa: E731
    return fits("^[a-zA-Z0-9]+$", types(v, "differential")) and fits(r"^[a-zA-Z0-9\.]+$", types(v, "snapshot"))


def defaulted(v, part):
    return any(child("defaultValue[x]")(e) for e in listed(v, part, "element"))


RULES |= {
    "sdf-1": unless("derivation", ("constraint",), lambda v: distinct(paths(v, "snapshot"))),
    "sdf-2": any_of("name", "uri"),
    "sdf-3": lambda v: all({"definition", "min", "max"} <= e.keys() for e in listed(v, "element")),
    "sdf-4": unless("abstract", (True,), child("baseDefinition")),
    "sdf-5": lambda v: v.get("type") != "Extension" or v.get("derivation") == "specialization" or "context" in v,
    "sdf-6": any_of("snapshot", "differential"),
    "sdf-8b": lambda v: all(child("base")(e) for e in listed(v, "element")),
    "sdf-9": lambda v: none_of("label", "code", "requirements")({k: 1 for e in roots(v) for k in e}),
    "sdf-10": lambda v: "binding" not in v or any_of("valueSet", "description")(v["binding"]),
    "sdf-11": unless(
        "kind", ("logical",), lambda v: "snapshot" not in v or paths(v, "snapshot")[:1] == [v.get("type")]
    ),
    "sdf-14": lambda v: all_with(v, "snapshot", "id") and all_with(v, "differential", "id"),
    "sdf-15": unless("kind", ("logical",), lambda v: not any(child("type")(e) for e in first(v, "snapshot"))),
    "sdf-15a": unless(
        "kind",
        ("logical",),
        lambda v: not any("." not in e.get("path", ".") and child("type")(e) for e in first(v, "differential")),
    ),
    "sdf-16": lambda v: all_with(v, "snapshot", "id") and distinct(listed(v, "snapshot", "element", "id")),
    "sdf-17": lambda v: all_with(v, "differential", "id") and distinct(listed(v, "differential", "element", "id")),
    "sdf-18": unless("type", ("Extension",), none_of("contextInvariant")),
    "sdf-20": lambda v: not any("slicing" in e for e in listed(v, "element") if "." not in e.get("path", ".")),
    "sdf-21": unless("derivation", ("specialization",), lambda v: not defaulted(v, "differential")),
    "sdf-22": lambda v: (
        not v.get("url", "").startswith(CORE) or not (defaulted(v, "snapshot") or defaulted(v, "differential"))
    ),
    "sdf-23": lambda v: not any(child("sliceName")(e) for e in roots(v)),
}

ELEMENT_NAME = r"""[^\s.,:;'"/|?!@#$%&*()\[\]{}]{1,64}"""
EXCLUSIVE = any_of(
    *(
        [
            "type",
            "defaultValue[x]",
            "fixed[x]",
            "pattern[x]",
            "example",
            "minValue[x]",
            "maxValue[x]",
            "maxLength",
            "binding",
        ]
    )
)

RULES |= {
    "eld-1": any_of("discriminator", "description"),
    "eld-2": lambda v: "min" not in v or v.get("max", "*") == "*" or v["min"] <= whole(v["max"]),
    "eld-3": lambda v: v == "*" or whole(v) >= 0,
    "eld-4": unless("code", ("Reference", "canonical"), none_of("aggregation")),
    "eld-5": lambda v: not child("contentReference")(v) or not EXCLUSIVE(v),
    "eld-6": lambda v: not child("fixed[x]")(v) or count(v, "type") <= 1,
    "eld-7": lambda v: not child("pattern[x]")(v) or count(v, "type") <= 1,
    "eld-8": not_both("pattern[x]", "fixed[x]"),
    # As published it asks whether select() of a truth value yields anything: it always does.
    "eld-11": lambda v: True,
    "eld-12": lambda v: v.get("valueSet", "http:").startswith(("http:", "https", "urn:")),
    "eld-13": lambda v: distinct(listed(v, "type", "code")),
    "eld-14": lambda v: distinct(listed(v, "constraint", "key")),
    "eld-15": not_both("defaultValue[x]", "meaningWhenMissing"),
    "eld-16": matching("sliceName", r"[a-zA-Z0-9/\-_\[\]@]+"),
    "eld-17": unless("code", ("Reference", "canonical"), none_of("targetProfile")),
    "eld-18": when("isModifier", (True,), child("isModifierReason")),
    "eld-19": matching("path", rf"{ELEMENT_NAME}(\.{ELEMENT_NAME}(\[x\])?(:[^\s.]+)?)*"),
    "eld-20": matching("path", r"[A-Za-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*(\[x])?)*"),
    "eld-21": child("expression"),
    "eld-22": needs("sliceIsConstraining", "sliceName"),
}

# --- TestScript and TestReport

ASSERTED = [
    "contentType",
    "expression",
    "headerField",
    "minimumId",
    "navigationLinks",
    "path",
    "requestMethod",
    "resource",
    "responseCode",
    "response",
    "validateProfileId",
]
SYSTEM_WIDE = ("capabilities", "search", "transaction", "history")


def operation(v):
    return (
        child("sourceId")(v)
        or count(v, "targetId", "url", "params") == 1
        or v.get("type", {}).get("code") in SYSTEM_WIDE
    )


def assertion(v):
    return "extension" in v or count(v, *ASSERTED) <= 1


def compared(v):
    return child("compareToSourceId")(v) == any_of("compareToSourceExpression", "compareToSourcePath")(v)


def directed(v):
    direction = v.get("direction", "response")
    return direction == "response" or (direction == "request" and none_of("response", "responseCode")(v))


RULES |= {
    "inv-1 TestReport.setup.action": one_of_two("operation", "assert"),
    "inv-2": one_of_two("operation", "assert"),
    "tst-1": one_of_two("operation", "assert"),
    "tst-2": one_of_two("operation", "assert"),
    "tst-3": lambda v: not all(child(n)(v) for n in ("expression", "headerField", "path")),
    "tst-4": lambda v: any(any_of("required", "validated")(c) for c in listed(v, "capability")),
    "tst-5": assertion,
    "tst-6": assertion,
    "tst-7": operation,
    "tst-8": operation,
    "tst-9": operation,
    "tst-10": compared,
    "tst-11": compared,
    "tst-12": directed,
    "tst-13": directed,
}
