"""The parts of a literal reference. (references.html#literal)"""

import re
from typing import NamedTuple

RESTFUL = re.compile(
    r"(?:(?P<base>https?://[^?#]+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


class Literal(NamedTuple):
    """Type/id of a RESTful reference, with its base when absolute and its version when versioned."""

    base: str | None
    type: str
    id: str
    version: str | None


class Local(str):
    """A reference to a contained resource ("#m1") that knows what type it has."""

    __slots__ = ("type",)

    def __new__(cls, text, type):
        made = super().__new__(cls, text)
        made.type = type
        return made


def literal(text):
    """Literal of a relative or absolute RESTful reference; None for urn:, #contained, canonical or another URL."""
    match = RESTFUL.fullmatch(text)
    return Literal(*match.groups()) if match else None


def type_of(reference):
    """Type a Reference says it points at, or None: from its text, else its `type`. (references.html#Reference)"""
    text = reference.get("reference")
    if text is not None:
        match = RESTFUL.fullmatch(text)
        if match:
            return match["type"]
        if isinstance(text, Local):
            return text.type
    return reference.get("type")
