"""What an expression yields."""

from typing import Any, NamedTuple


class Value(NamedTuple):
    """One item of a FHIRPath collection and its FHIR data type: ("final", "code")."""

    value: Any
    type: str
