"""Does a Reference point at a type that its element allows? (references.html#Reference)

Judged is what the text itself tells: `Patient/1`, `https://host/fhir/Patient/1`, `Patient?identifier=x` (conditional,
in a transaction) and Reference.type. A urn: and a fragment `#x` name no type.
"""

import re
from functools import lru_cache

from records.definitions.structures import is_resource_type

from .findings import Finding, excerpt

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
RESTFUL = re.compile(r"https?://\S*/([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?").fullmatch
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match


@lru_cache(4096)
def target(reference: str) -> tuple[str | None, bool]:
    """(type the text names or None, is the text well-formed)."""
    if SCHEME(reference):
        match = RESTFUL(reference)
        return (match[1] if match and is_resource_type(match[1]) else None), True
    if reference.startswith("#"):
        return None, True
    path, question, criteria = reference.partition("?")
    if question:
        return path, is_resource_type(path) and bool(criteria)
    type, _, rest = path.partition("/")
    id, versioned, version = rest.partition("/_history/")
    return type, is_resource_type(type) and bool(ID(id)) and (not versioned or bool(ID(version)))


def targets(allowed: tuple[str, ...]):
    """A checker of a well-typed Reference object: its literal reference and type are among `allowed` (empty: any)."""
    known = frozenset(allowed)
    sentence = " or ".join(allowed)

    def check(value, parent, depth):
        found = None
        reference = value.get("reference")
        if reference.__class__ is str and reference:
            type, formed = target(reference) if len(reference) < 256 else target.__wrapped__(reference)
            if not formed:
                text = f"{excerpt(reference)} is no literal reference; expected Type/id, a URL, urn: or #id"
                found = [Finding("value", text, path=".reference")]
            elif type and known and type not in known:
                text = f"a reference to {type} is not allowed here; expected {sentence}"
                found = [Finding("value", text, path=".reference")]
            elif reference[0] == "#" and known:
                text = f"{excerpt(reference)} is of a type not allowed here; expected {sentence}"
                found = [Finding("value", text, path=".reference", local=reference[1:], allowed=known)]
        type = value.get("type")
        # Reference.type is a URI: relative ones are names of FHIR types. (references-definitions.html#Reference.type)
        if type.__class__ is str and known and type not in known and is_resource_type(type):
            text = f"a reference of type {type} is not allowed here; expected {sentence}"
            found = [*(found or ()), Finding("value", text, path=".type")]
        return found

    return check
