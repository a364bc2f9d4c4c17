"""What a check by the definitions leaves open, as information issues: codes of value sets that are not at hand."""

from records.definitions import valuesets
from records.definitions.structures import PRIMITIVES, structure

from .findings import Finding


def unchecked(resource: dict) -> list[Finding]:
    """One information issue for each such value set in use, at its first element."""
    first: dict[str, str] = {}
    for url, path in open_bindings(resource, resource["resourceType"], ""):
        first.setdefault(url, path)
    return [
        Finding("informational", f"codes of {url} cannot be enumerated here and are not checked", "information", path)
        for url, path in first.items()
    ]


def open_bindings(value: dict, type: str, path: str):
    """(value set, path) of the required bindings in use that cannot be enumerated."""
    for key, given in value.items():
        element = structure(type).elements.get(key)
        if element is None or given is None:
            continue
        if element.binding and element.binding[0] == "required" and valuesets.codes(element.binding[1]) is None:
            yield element.binding[1], f"{path}.{key}"
        if element.type in PRIMITIVES:
            continue
        for index, one in enumerate(given if element.many else [given]):
            own = one.get("resourceType") if element.type == "Resource" else element.type
            yield from open_bindings(one, own, f"{path}.{key}[{index}]" if element.many else f"{path}.{key}")
