"""Observation: a subject where the site asks for one, and UCUM units that are units."""

import re

from django.conf import settings

from ...errors import Issue
from . import before_write

UCUM = "http://unitsofmeasure.org"
# The characters a UCUM code is made of; annotations in braces hold any printable text. (UCUM 2.1)
CODE = re.compile(r"(?:[!-z|~]|\{[ -z|~]*\})+\Z")
VALUES = ("valueQuantity", "valueRange", "valueRatio")


@before_write("Observation")
def subject(resource):
    """Without subject it belongs to no patient; FHIRSERVER_REQUIRE_SUBJECT refuses that."""
    if settings.FHIRSERVER_REQUIRE_SUBJECT and not (resource.get("subject") or {}).get("reference"):
        yield Issue("error", "required", "A subject is required on this server.", "Observation.subject")


@before_write("Observation")
def units(resource):
    """A code of UCUM is written in UCUM's characters, brackets closed."""
    places = [(resource, "Observation")]
    places += [(c, f"Observation.component[{n}]") for n, c in enumerate(resource.get("component") or ())]
    for node, place in places:
        quantity = node.get("valueQuantity")
        if isinstance(quantity, dict) and quantity.get("system") == UCUM:
            code = quantity.get("code")
            if isinstance(code, str) and not well_formed(code):
                yield Issue(
                    "error", "business-rule", f"{code!r} is no UCUM code (no spaces; brackets and braces closed).",
                    f"{place}.value.code",
                )  # fmt: skip


def well_formed(code):
    return bool(CODE.match(code)) and all(code.count(a) == code.count(b) for a, b in ("[]", "{}", "()"))
