"""The five CompartmentDefinitions. (compartmentdefinition.html)"""

from functools import cache

from .lines import definition, lines


def compartments() -> tuple[str, ...]:
    """Their codes: Patient, Encounter, Practitioner, RelatedPerson, Device."""
    return tuple(lines("compartments"))


@cache
def compartment(code: str) -> dict[str, tuple[str, ...]]:
    """Type -> the search parameters by which a resource of it belongs to the compartment; other types are not in."""
    return {type: tuple(parameters) for type, parameters in (definition("compartments", code) or {}).items()}
