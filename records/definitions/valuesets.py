"""Codes of the value sets of the specification. (valueset.html)

None means "cannot be enumerated here": SNOMED CT, LOINC, UCUM, BCP 13 and the like.
"""

from functools import cache

from .lines import definition


@cache
def _expansion(url: str) -> dict | None:
    """The expansion that the build derived; an external or unknown value set has none."""
    for file in ("valuesets-required", "valuesets-other"):
        found = definition(file, url)
        if found:
            return found
    return None


def pairs(url: str) -> frozenset[tuple[str, str]] | None:
    """The (system, code) pairs of a value set."""
    found = _expansion(url.partition("|")[0])
    if not found or found["codes"] is None:
        return None
    return frozenset((system, code) for system, codes in found["codes"].items() for code in codes)


def codes(url: str) -> frozenset[str] | None:
    """The codes alone, for an element of type `code`, whose binding implies the system."""
    found = pairs(url)
    return None if found is None else frozenset(code for _, code in found)


def systems(url: str) -> tuple[str, ...]:
    """The code systems a value set draws from, also when their codes cannot be enumerated."""
    found = _expansion(url.partition("|")[0])
    if not found:
        return ()
    return tuple(found["codes"] if found["codes"] is not None else found["systems"])


def binding_system(url: str) -> str | None:
    """The system that a `code` element bound to this value set implies, when there is one."""
    found = systems(url)
    return found[0] if len(found) == 1 else None


def system_of(url: str, code: str) -> str | None:
    """The system of one code of an enumerable value set; of a single system when it is not enumerable."""
    found = _expansion(url.partition("|")[0])
    if found and found["codes"] is not None:
        return next((system for system, codes in found["codes"].items() if code in codes), None)
    return binding_system(url)
