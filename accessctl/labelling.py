"""Sensitive codes label what carries them, on each write: accessctl/data/labelling-*.json, the newest version's file.

The version of the rules stays with the resource, as a tag. What a rule gives nobody takes away while the code is there:
the next write gives it again. Medications that are only referred to are not looked into.
"""

import json
from functools import cache, lru_cache

from records.resources.labels import labels

from .groups import PATIENTS
from .labels import SENSITIVITY
from .policy import DATA

RULES = "labelling-fr-2026-1.json"
MARK = "urn:fhirserver:labelling"  # system of the tag
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
    if type not in PATIENTS or type in SPARED:
        return
    _, exact, below = rules()
    stack = [v for k, v in resource.items() if k not in INNER]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            code, system = node.get("code"), node.get("system")
            if isinstance(code, str) and isinstance(system, str) and (system in exact or system in below):
                for label in of_code(system, code[:40]):
                    yield SENSITIVITY, label
            stack += [v for k, v in node.items() if k not in INNER and isinstance(v, dict | list)]


sensitive.mark = lambda: (MARK, rules()[0])
