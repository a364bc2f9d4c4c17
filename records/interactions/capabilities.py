"""The CapabilityStatement, made from the registries that answer, it cannot promise more. (http.html#capabilities)"""

from functools import lru_cache

from django.conf import settings

from .. import __version__, operations
from ..formats.json import dump
from ..operations import definitions
from ..search import stored
from ..search.parameters import COLUMNS, parameters, version
from ..search.parse import INCLUDES, RESULTS
from ..search.types import TYPES
from .interaction import KEPT_ELSEWHERE, SEARCHED_BY, VERBS, Outcome, interaction
from .parse import COMPARTMENTS, SERVED

DATE = "2026-12-01"  # of the last change to what is stated here
CODES = ("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
SYSTEM = ("transaction", "batch", "search-system", "history-system")
ENFORCED = ["enforced"]
BESIDE = sorted(("_filter", "_has", "_list", "_type", *INCLUDES, *RESULTS))  # what no SearchParameter defines
KINDS = {"_count": "number", "_type": "token", "_list": "token", "_total": "token", "_summary": "token"}  # else special
ANY = "Provenance:target"  # of the references that may lead to any type, the one that is listed for each
INSTANTIATES = []  # canonicals of CapabilityStatements of guides, of whoever does what they say
SECURITY = []  # functions: base URL -> an extension of rest.security, of whoever gives tokens
REVERSE = "_revinclude takes every reference that may lead to a type, also those not listed that may lead to any."
COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"


@interaction("capabilities", "GET", "metadata")
def capabilities(interaction, access):
    """What this server does, for anybody."""
    stored.learn()
    return Outcome(200, statement(interaction.base, version()), "CapabilityStatement")


@lru_cache(64)
def statement(base, parameters_version):
    """The statement as bytes, for a base URL and a version of the stored search parameters."""
    known = {verb.code for verb in VERBS} | {"batch"}
    return dump(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": DATE,
            "publisher": "fhirserver",
            "kind": "instance",
            **({"instantiates": INSTANTIATES} if INSTANTIATES else {}),
            "software": {"name": "fhirserver", "version": __version__},
            "implementation": {"description": "FHIR R4 server for a shared medical record", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
            "patchFormat": ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
            "rest": [
                {
                    "mode": "server",
                    "documentation": f"{REVERSE} Beside its parameters each search knows {', '.join(BESIDE)}.",
                    "security": {
                        "cors": True,
                        "service": [
                            {
                                "coding": [
                                    {
                                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                        "code": "OAuth",
                                    }
                                ],
                                "text": "Bearer token with SMART scopes",
                            },
                            {
                                "coding": [
                                    {
                                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                        "code": "SMART-on-FHIR",
                                    }
                                ],
                                "text": "SMART App Launch 2.2",
                            },
                        ],
                        **({"extension": found} if (found := [say(base) for say in SECURITY]) else {}),
                    },
                    "resource": [of_type(type, known, base) for type in sorted(SERVED)],
                    "interaction": [{"code": code} for code in SYSTEM if code in known],
                    "searchParam": of_all(),
                    "operation": listed(None, base),
                }
                | ({"compartment": [COMPARTMENT + name.lower() for name in COMPARTMENTS]} if COMPARTMENTS else {})
            ],
        }
    )


def of_type(type, known, base):
    """One resource type: interactions, conditions, search parameters, operations."""
    if type in KEPT_ELSEWHERE:
        return kept_elsewhere(type, base)
    found = {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in CODES if code in known],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "referencePolicy": ["literal", "logical", "local", *ENFORCED[: settings.FHIRSERVER_REFERENTIAL_INTEGRITY]],
        "searchParam": [
            {"name": p.code, "definition": p.url, "type": p.kind}
            for p in sorted(parameters(type).values(), key=lambda p: p.code)
            if answered(p)
        ],
    }
    found["searchInclude"], found["searchRevInclude"] = includes(type)
    if own := listed(type, base):
        found["operation"] = own
    return found


def of_all():
    """What every type is searched by, and what no SearchParameter of a type defines."""
    types = [type for type in sorted(SERVED) if type not in KEPT_ELSEWHERE]
    known = [p for p in parameters(types[0]).values() if all(p.code in parameters(t) for t in types) and answered(p)]
    return [{"name": p.code, "definition": p.url, "type": p.kind} for p in sorted(known, key=lambda p: p.code)] + [
        {"name": code, "type": KINDS.get(code, "special")} for code in BESIDE
    ]


def includes(type):
    """(_include, _revinclude) of a type: an empty list would say that there is none."""
    own = [f"{type}:{p.code}" for p in references(type)]
    found = [f"{source}:{p.code}" for source in sorted(SERVED - KEPT_ELSEWHERE.keys()) for p in references(source)
             if (p.targets and len(p.targets) < len(SERVED) // 2 and type in p.targets)]  # fmt: skip
    return ["*", f"{type}:*", *own], ["*", *sorted({*found, ANY})]


def references(type):
    return sorted((p for p in parameters(type).values() if p.kind == "reference"), key=lambda p: p.code)


def kept_elsewhere(type, base):
    """A type that is not kept as a resource: no versions, no conditions, and what it is searched by."""
    found = {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in CODES if code in KEPT_ELSEWHERE[type]],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [
            {"name": p.code, "definition": p.url, "type": p.kind}
            for p in sorted(parameters(type).values(), key=lambda p: p.code)
            if p.code in SEARCHED_BY.get(type, ())
        ],
    }
    if own := listed(type, base):
        found["operation"] = own
    return found


def answered(parameter):
    """Can one search by it? (R4 also defines parameters without an expression)"""
    return parameter.code in COLUMNS or (parameter.indexed and parameter.kind in TYPES)


def listed(type, base):
    """Operations of a type, or of the system (None)."""
    found = {
        o.name: definitions.canonical(o, type, base)
        for o in operations.OPERATIONS
        if (type is None and o.level == "system")
        or (type is not None and o.level != "system" and operations.fits(o, type))
    }
    return [{"name": name, "definition": found[name]} for name in sorted(found)]
