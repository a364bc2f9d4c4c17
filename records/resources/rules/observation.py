"""Observation: a subject where the site asks for one, and UCUM units that are units."""

import re

from django.conf import settings

from ...errors import Issue
from . import before_write

UCUM = "http://unitsofmeasure.org"
# The characters a UCUM code is made of; annotations in braces hold any printable text. (UCUM 2.1)
CODE = re.compile(r"(?:[!-z|~]|\{[ -z|~]*\})+\Z")
PARTS = {"valueRange": ("low", "high"), "valueRatio": ("numerator", "denominator")}


@before_write("Observation")
def subject(resource):
    """Without subject it belongs to no patient; FHIRSERVER_REQUIRE_SUBJECT refuses that."""
    if settings.FHIRSERVER_REQUIRE_SUBJECT and not (resource.get("subject") or {}).get("reference"):
        yield Issue("error", "business-rule", "A subject is required on this server.", "Observation.subject")


@before_write("Observation")
def units(resource):
    """A code of UCUM is written in UCUM's characters, brackets closed."""
    places = [(resource, "Observation")]
    places += [(c, f"Observation.component[{n}]") for n, c in enumerate(resource.get("component") or ())]
    for node, place in places:
        for quantity, where in quantities(node, f"{place}.value"):
            code = quantity.get("code")
            if quantity.get("system") == UCUM and isinstance(code, str) and not well_formed(code):
                yield Issue(
                    "error", "business-rule", f"{code!r} is no UCUM code (no spaces; brackets and braces closed).",
                    f"{where}.code",
                )  # fmt: skip


def quantities(node, place):
    """Each Quantity of a value, with its place."""
    found = [(node.get("valueQuantity"), place)]
    for key, parts in PARTS.items():
        value = node.get(key)
        found += [(value.get(part), f"{place}.{part}") for part in parts] if isinstance(value, dict) else ()
    return [(quantity, where) for quantity, where in found if isinstance(quantity, dict)]


def well_formed(code):
    return bool(CODE.match(code)) and all(code.count(a) == code.count(b) for a, b in ("[]", "{}", "()"))
