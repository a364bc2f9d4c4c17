"""Which invariants a structure has, each with its function. (conformance-rules.html#constraints)

The base definitions' invariants are plain functions (rules.py, conformance_rules.py). Those of profiles go through
the FHIRPath engine (engine.py).
"""

from records.definitions.structures import Constraint, structure

from . import conformance_rules  # noqa: F401  registers its rules
from .rules import RULES

# Judged where the JSON shape is known (structure.py, narrative.py), so they have no function of their own.
ELSEWHERE = {"ele-1", "txt-1", "txt-2", "ref-1", "dom-3"}
# They look at %resource: judged from the resource, reported at the path.
HOSTED = {"sdf-8": ("StructureDefinition", ".snapshot"), "sdf-8a": ("StructureDefinition", ".differential")}


def rules(name: str) -> tuple:
    """(function, constraint, path below the node) of the invariants of a structure, those of its bases included."""
    found = []
    current = structure(name)
    while current:
        found += [
            (holds(current.name, c), c, "")
            for c in current.constraints
            if c.severity != "best-practice" and c.key not in ELSEWHERE and c.key not in HOSTED
        ]
        current = structure(current.base) if current.base else None
    for key, (host, path) in HOSTED.items():
        if host == name:
            part = structure(host + path)
            found += [(RULES[key], c, path) for c in part.constraints if c.key == key]
    return tuple(found)


def element_rules(element) -> tuple:
    """The same for one element: invariants at its path and of the profile of its type (SimpleQuantity)."""
    profile = structure(element.profile) if element.profile else None
    constraints = element.constraints + (profile.constraints if profile else ())
    return tuple((holds(element.path, c), c, "") for c in constraints if c.key not in ELSEWHERE)


def holds(name: str, constraint: Constraint):
    """The function of an invariant; inv-1 names three different ones."""
    return RULES.get(f"{constraint.key} {name}") or RULES[constraint.key]
