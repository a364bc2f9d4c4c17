"""Sensitive codes label what carries them, on each write: accessctl/data/labelling-*.json, the newest version's file.

The version of the rules stays with the resource, as a tag. What a rule gives nobody takes away while the code is there:
the next write gives it again. Medications and Substances have them too, and what refers to one is labelled as it is:
that is the high-water mark of records/resources/labels.py.
"""

import json
from functools import cache, lru_cache

from records.resources.labels import labels

from .groups import PATIENTS
from .labels import SENSITIVITY
from .policy import DATA

RULES = "labelling-fr-2026-1.json"
MARK = "urn:fhirserver:labelling"  # system of the tag
CATALOGUE = ("Medication", "Substance")  # of no patient, but what a patient takes is known by them
SPARED = ("Patient", "Consent", "AuditEvent")  # identities and rights are no findings
INNER = frozenset(("meta", "text"))  # not of the content


@cache
def rules():
    """(version, system -> code -> labels, system -> [(beginning, label, exceptions)])."""
    data = json.loads((DATA / RULES).read_text())
    exact, below = {}, {}
    for rule in data["rules"]:
        for of in rule["of"]:
            for system in data["systems"][of["system"]]:
                for code in of.get("codes", ()):
                    exact.setdefault(system, {}).setdefault(code, []).append(rule["label"])
                begins = below.setdefault(system, [])
                begins += [(start, rule["label"], frozenset(of.get("but", ()))) for start in of.get("below", ())]
    return data["version"], exact, below


@cache
def known_systems():
    _, exact, below = rules()
    return exact.keys() | below.keys()


@lru_cache(20_000)
def of_code(system, code):
    """The labels that a code gives; kept, as the same codes come again and again."""
    _, exact, below = rules()
    plain = code.replace(".", "").upper()
    found = list(exact.get(system, {}).get(code, ()))
    found += [label for start, label, but in below.get(system, ()) if plain.startswith(start) and plain not in but]
    return tuple(dict.fromkeys(found))


@labels
def sensitive(resource, type):
    """The sensitivities of every coding in the resource, what it contains included."""
    if (type not in PATIENTS and type not in CATALOGUE) or type in SPARED:
        return
    systems, stack = known_systems(), [{k: v for k, v in resource.items() if k not in INNER}]
    while stack:
        node = stack.pop()
        if (system := node.get("system")).__class__ is str and system in systems and isinstance(node.get("code"), str):
            for label in of_code(system, node["code"][:40]):
                yield SENSITIVITY, label
        for key, value in node.items():
            kind = value.__class__
            if kind is dict:
                if key not in INNER:
                    stack.append(value)
            elif kind is list:
                stack += [each for each in value if each.__class__ is dict]


sensitive.mark = lambda: (MARK, rules()[0])
