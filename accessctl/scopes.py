"""SMART scopes as sets of letters by level and type. (SMART App Launch 2.2, scopes-and-launch-context)

"patient/Observation.rs user/*.cruds system/Patient.c"; version 1 (.read .write .*) is read as .rs .cud .cruds.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from records.definitions.structures import RESOURCE_TYPES

SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(c?r?u?d?s?|read|write|\*)\Z")
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
LETTERS = {
    "create": "c", "read": "r", "vread": "r", "history-instance": "r", "update": "u", "patch": "u", "delete": "d",
    "search-type": "s", "search-system": "s", "search": "s", "history-type": "s", "history-system": "s",
}  # fmt: skip


class InvalidScope(ValueError):
    """A scope that is not understood is refused, never guessed."""


@dataclass(frozen=True, slots=True)
class Scope:
    level: str
    type: str  # or *
    letters: frozenset

    def covers(self, type, letter):
        return letter in self.letters and self.type in ("*", type)


def parse(text):
    """The Scopes of a space separated list; InvalidScope names the first that is none."""
    found = []
    for word in text.split():
        match = SCOPE.match(word)
        letters = VERSION_1.get(match[3], match[3]) if match else ""
        if not letters or (match[2] != "*" and match[2] not in RESOURCE_TYPES):
            raise InvalidScope(f"{word!r} is not a scope like system/*.cruds or patient/Observation.rs")
        found.append(Scope(match[1], match[2], frozenset(letters)))
    return tuple(found)


parsed = lru_cache(1024)(parse)
