"""SMART scopes as sets of letters by level and type. (SMART App Launch 2.2, scopes-and-launch-context)

"patient/Observation.rs user/*.cruds system/Patient.c patient/Observation.rs?category=laboratory"; version 1
(.read .write .*) is read as .rs .cud .cruds.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from records.definitions.structures import RESOURCE_TYPES
from records.errors import FHIRError
from records.search.parse import criterion
from records.search.query import Criterion

SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(c?r?u?d?s?|read|write|\*)(?:\?([!-~]+))?\Z")
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9\-]*\Z")
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
LETTERS = {
    "create": "c", "read": "r", "vread": "r", "history-instance": "r", "update": "u", "patch": "u", "delete": "d",
    "search-type": "s", "search-system": "s", "search": "s", "history-type": "s", "history-system": "s",
}  # fmt: skip
# What a token may also be asked for; of resources these words say nothing.
CONTEXT = frozenset(
    ("openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access")
)
MOST_PARAMS = 10  # conditions of one scope
SAFE = "|:/,._-~"  # what stays as it is in a condition


class InvalidScope(ValueError):
    """A scope that is not understood is refused, never guessed."""


@dataclass(frozen=True, slots=True)
class Scope:
    level: str
    type: str  # or *
    letters: frozenset
    params: tuple = ()  # (name, value) that a row must satisfy

    def covers(self, type, letter):
        return letter in self.letters and self.type in ("*", type)

    def __str__(self):
        letters = "".join(letter for letter in "cruds" if letter in self.letters)
        query = "&".join(f"{name}={quote(value, safe=SAFE)}" for name, value in self.params)
        return f"{self.level}/{self.type}.{letters}" + (f"?{query}" if query else "")


def parse(text):
    """The Scopes of a space separated list; InvalidScope names the first that is none."""
    return tuple(resource_scope(word) for word in text.split() if word not in CONTEXT)


def resource_scope(word):
    """The Scope that a word says."""
    match = SCOPE.match(word)
    letters = VERSION_1.get(match[3], match[3]) if match else ""
    if not letters or (match[2] != "*" and match[2] not in RESOURCE_TYPES):
        raise InvalidScope(f"{word!r} is not a scope like system/*.cruds or patient/Observation.rs")
    params = conditions(word, match[2], match[4]) if match[4] is not None else ()
    return Scope(match[1], match[2], frozenset(letters), params)


def conditions(word, type, query):
    """(name, value) of each condition of a granular scope, or InvalidScope.

    Modifiers (:in, :not), chains, _has, _filter and all that search knows beside plain criteria are refused: a right
    depends on the row itself, and on no other row.
    """
    if type == "*":
        raise InvalidScope(f"{word!r}: conditions are for one resource type")
    try:
        found = tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=MOST_PARAMS))
    except ValueError as error:
        raise InvalidScope(f"{word!r}: {error}") from error
    for name, value in found:
        if not value or not PLAIN.match(name):
            raise InvalidScope(f"{word!r}: {name!r} is not a plain search parameter with a value")
        try:
            tree = criterion(type, name, value)
        except FHIRError as error:
            raise InvalidScope(f"{word!r}: {error.issues[0].diagnostics}") from error
        if not isinstance(tree, Criterion):
            raise InvalidScope(f"{word!r}: {name!r} is not a plain search parameter")
    return tuple(sorted(found))


def granted(asked, allowed):
    """The words of `asked` (a text) as far as `allowed` (a text) goes, in the order asked; narrowed where it is less.

    A word stays as it was asked when all of it is allowed, so that version 1 is answered with version 1.
    """
    bounds, known = parse(allowed), set(allowed.split())
    found = []
    for word in dict.fromkeys(asked.split()):
        if word in CONTEXT:
            found += [word] if word in known else []
            continue
        scope = resource_scope(word)
        narrowed = [narrow for bound in bounds if (narrow := both(scope, bound))]
        if any(narrow == scope for narrow in narrowed):
            found.append(word)
        else:
            found += [str(n) for n in narrowed if not any(n != m and both(n, m) == n for m in narrowed)]
    return list(dict.fromkeys(found))


def both(one, other):
    """What two scopes of a level both cover, as a Scope; None when that is nothing."""
    letters = one.letters & other.letters
    if one.level != other.level or not letters or not (one.type == other.type or "*" in (one.type, other.type)):
        return None
    type = other.type if one.type == "*" else one.type
    return Scope(one.level, type, letters, tuple(sorted({*one.params, *other.params})))


parsed = lru_cache(1024)(parse)
