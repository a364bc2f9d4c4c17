"""Resource types, data types and their elements, by name. (structuredefinition.html)

structure("Patient").elements["birthDate"].type       == "date"
structure("Patient.contact").elements["name"].type    == "HumanName"
structure("Observation").elements["valueQuantity"]    choice "value"; one key each of its types, in order
"""

from dataclasses import dataclass
from functools import cache

from .lines import definition, lines


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant. (elementdefinition-definitions.html#ElementDefinition.constraint)"""

    key: str
    severity: str  # error | warning | best-practice
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON key of a structure; a choice has one Element for each of its types."""

    key: str  # "valueQuantity"
    name: str  # FHIRPath's name: "value"
    path: str  # "Observation.value[x]"
    min: int
    max: int | None  # None: any number
    type: str  # a name for structure(): "HumanName", "string", "Patient.contact"
    targets: tuple[str, ...]  # of Reference and canonical; empty: any
    binding: tuple[str, str] | None  # (strength, URL of the value set without version)
    choice: str | None  # "value" when a part of value[x]
    profile: str | None  # "SimpleQuantity"
    is_attribute: bool  # an XML attribute: id of an element, url of an Extension
    summary: bool
    modifier: bool
    constraints: tuple[Constraint, ...]  # of the path; those of the type stand at the type

    @property
    def many(self) -> bool:
        """An array in JSON."""
        return self.max != 1


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource type, a data type, a primitive, or the backbone at a path; inherited elements included."""

    name: str
    kind: str  # resource | complex-type | primitive-type | backbone
    base: str | None
    abstract: bool
    elements: dict[str, Element]  # JSON key -> Element, in the order of XML
    choices: dict[str, tuple[str, ...]]  # "value" -> its keys
    constraints: tuple[Constraint, ...]  # own ones; those of `base` stand there


def _primitives() -> dict[str, str]:
    found = {name: definition("structures", name) for name in lines("structures") if name[0].islower()}
    # xhtml has no regex: the narrative's own rules judge it.
    return {name: d["regex"] or r"[\s\S]*" for name, d in found.items()}


ABSTRACT = ("Resource", "DomainResource")
PRIMITIVES: dict[str, str] = _primitives()


def _is_resource(line: bytes) -> bool:
    return b'"kind":"resource"' in line[:200]


RESOURCE_TYPES: tuple[str, ...] = tuple(
    sorted(name for name, line in lines("structures").items() if _is_resource(line) and name not in ABSTRACT)
)
_NUMBERS = {name: number for number, name in enumerate(RESOURCE_TYPES, 1)}


def type_number(name: str) -> int:
    """The number that stands for a resource type in the tables: position + 1 of the sorted names."""
    return _NUMBERS[name]


def type_name(number: int) -> str:
    return RESOURCE_TYPES[number - 1]


def is_resource_type(name) -> bool:
    """A concrete resource type of R4."""
    return isinstance(name, str) and name in _NUMBERS


@cache
def structure(name: str) -> Structure | None:
    """The structure of that name, or None."""
    return _tree(name.partition(".")[0]).get(name)


@cache
def _tree(name: str) -> dict[str, Structure]:
    """A structure and the backbones inside it."""
    given = definition("structures", name)
    if given is None:
        return {}
    rows = given["elements"]
    root = rows[0]["path"]  # "Quantity" of SimpleQuantity
    parents = {row["path"].rpartition(".")[0] for row in rows}
    parents.discard("")
    return {
        (name if path == root else path): Structure(
            name=name if path == root else path,
            kind=given["kind"] if path == root else "backbone",
            base=given["base"] if path == root else row["types"][0]["code"],
            abstract=given["abstract"] and path == root,
            elements=(elements := _elements(path, rows, parents)),
            choices=_choices(elements),
            constraints=_constraints(row),
        )
        for row in rows
        if (path := row["path"]) in parents or path == root
    }


def _constraints(row: dict) -> tuple[Constraint, ...]:
    return tuple(Constraint(**c) for c in row.get("constraints", ()))


def _elements(path: str, rows: list, parents: set) -> dict[str, Element]:
    return {e.key: e for row in rows if row["path"].rpartition(".")[0] == path for e in _expand(row, parents)}


def _expand(row: dict, parents: set):
    """The Elements of one row: one, or one for each type of a choice."""
    path = row["path"]
    name = path.rpartition(".")[2]
    if name.endswith("[x]"):
        name = name[:-3]
        for coding in row["types"]:
            code = coding["code"]
            yield _element(row, name + code[0].upper() + code[1:], name, code, coding, name)
    elif "content" in row:
        yield _element(row, name, name, row["content"], {}, None)
    else:
        coding = row["types"][0]
        yield _element(row, name, name, path if path in parents else coding["code"], coding, None)


def _element(row: dict, key: str, name: str, type: str, coding: dict, choice: str | None) -> Element:
    targets = tuple(coding.get("targets", ()))
    return Element(
        key=key,
        name=name,
        path=row["path"],
        min=row["min"],
        max=None if row["max"] == "*" else int(row["max"]),
        type=type,
        targets=() if "Resource" in targets else targets,
        binding=tuple(row["binding"]) if "binding" in row else None,
        choice=choice,
        profile=coding.get("profile", (None,))[0],
        is_attribute=row.get("attribute", False),
        summary=row.get("summary", False),
        modifier=row.get("modifier", False),
        # The invariants of a backbone stand at its own structure too; here only where the value is a data type.
        constraints=() if type == row["path"] else _constraints(row),
    )


def _choices(elements: dict[str, Element]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for e in elements.values():
        if e.choice:
            found.setdefault(e.choice, []).append(e.key)
    return {name: tuple(keys) for name, keys in found.items()}
