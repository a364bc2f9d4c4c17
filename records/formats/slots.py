"""How the elements of a structure stand in XML: order, attributes, kinds; shared by reader and writer. (xml.html)"""

from dataclasses import dataclass
from functools import cache

from records.definitions.structures import PRIMITIVES, RESOURCE_TYPES, structure

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"

PRIMITIVE, COMPLEX, RESOURCE, NARRATIVE = "primitive", "complex", "resource", "narrative"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one JSON key in the XML of its structure."""

    key: str
    rank: int  # position in the sequence; the types of a choice share one
    kind: str  # PRIMITIVE, COMPLEX, RESOURCE (one resource inside) or NARRATIVE (xhtml)
    type: str
    many: bool
    choice: str | None
    attribute: bool


@cache
def slots(name: str) -> dict[str, Slot]:
    """JSON key -> Slot of a structure, in the order of its StructureDefinition."""
    found: dict[str, Slot] = {}
    ranks: dict[str, int] = {}
    for key, element in structure(name).elements.items():
        rank = ranks.setdefault(element.choice or key, len(ranks))
        found[key] = Slot(
            key=key,
            rank=rank,
            kind=_kind(element.type),
            type=element.type,
            many=element.many,
            choice=element.choice,
            attribute=element.is_attribute,
        )
    return found


def _kind(name: str) -> str:
    if name == "Resource":
        return RESOURCE
    if name == "xhtml":
        return NARRATIVE
    return PRIMITIVE if name in PRIMITIVES else COMPLEX


@cache
def resources() -> dict[str, Slot]:
    """Resource type -> Slot: what may stand where one resource stands."""
    return {name: Slot(name, 0, COMPLEX, name, False, None, False) for name in RESOURCE_TYPES}
