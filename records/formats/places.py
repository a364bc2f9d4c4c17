"""FHIRPath paths as places in a tree: not only which values, but where they stand. (fhirpatch.html, fhirpath N1)

Members, indexers, where, first, last, tail, single, skip, take, ofType, as, extension; a choice is named without its
type (Observation.value). The condition of where() may be any FHIRPath that the engine evaluates on one element.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from records import fhirpath
from records.definitions.structures import structure
from records.formats.slots import PRIMITIVE, RESOURCE, Slot, resources, slots

MAX_LENGTH = 2000  # characters of a path
MAX_NESTING = 10  # brackets in brackets

# What a condition may call: everything whose cost grows with the element only. Not: matches and replaceMatches (a
# regular expression of the client can run for hours), repeat, resolve, trace.
_ALLOWED = frozenset(
    """
    all allFalse allTrue anyFalse anyTrue as children combine contains convertsToBoolean
    convertsToInteger count distinct empty endsWith exclude exists extension first hasValue iif indexOf
    intersect is isDistinct last length lower not now ofType select single skip startsWith subsetOf
    substring supersetOf tail take timeOfDay toBoolean toChars toDate toDateTime toDecimal toInteger
    toQuantity toString toTime today trim union upper where
    """.split()  # noqa: SIM905 - a list would be a page long
)
_OPERATORS = frozenset("=<>!~+-*/|&@:{}")
# Words that may stand before a bracket and call nothing.
_WORDS = frozenset(
    ["and", "or", "xor", "implies", "is", "as", "in", "contains", "div", "mod"]
)  # may stand before a bracket

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*+')|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)|`(?P<quoted>[^`]*+)`|(?P<number>[0-9]++)"
    r"|(?P<comment>/[/*])|(?P<variable>[$%][A-Za-z]*+)|(?P<sign>[().,\[\]])|(?P<other>\S))"
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class BadPath(Exception):
    """The text is no path that names elements: the fault of the patch document."""


class NoPlace(Exception):
    """The path is well-formed and does not fit this resource."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a member, an index, or a function with its argument."""

    op: str  # member | index | where | first | ...
    argument: object = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one element stands: in `holder` under `slot.key`, at `index` when that is an array."""

    holder: dict | None  # None: the resource itself
    slot: Slot | None
    index: int | None
    type: str
    owner: "Place | None"
    root: dict

    @property
    def value(self):
        if self.holder is None:
            return self.root
        return _at(self.holder.get(self.slot.key), self.index)

    @property
    def companion(self):
        """id and extensions of a primitive."""
        return None if self.holder is None else _at(self.holder.get("_" + self.slot.key), self.index)

    @property
    def is_primitive(self):
        return self.slot is not None and self.slot.kind == PRIMITIVE

    @property
    def members(self):
        """The object that holds this element's own members; None for a primitive without any."""
        return self.companion if self.is_primitive else self.value


def _at(value, index):
    if index is None:
        return value
    return value[index] if isinstance(value, list) and index < len(value) else None


def root(resource):
    return Place(None, None, None, resource["resourceType"], None, resource)


def slots_of(type, name):
    """The slots an element name stands for: one, or those of a choice."""
    choices = structure(type).choices
    known = slots(type)
    if name in choices:
        return tuple(known[key] for key in choices[name])
    slot = known.get(name)
    if slot is None:
        raise NoPlace(f"{type} has no element {name!r}")
    if slot.choice:
        raise NoPlace(f"{type} has no element {name!r}; a choice is named without its type: {slot.choice!r}")
    return (slot,)


def is_type(type, name):
    """Whether a type is of that name or derived from it."""
    while type and type != name:
        type = structure(type).base
    return type == name


def find(resource, steps):
    """The places that the steps of a path lead to, in order."""
    places = [root(resource)]
    for i, step in enumerate(steps):
        if i == 0 and step.op == "member" and is_type(places[0].type, step.argument):
            continue  # "Patient" of "Patient.name": the resource itself
        places = _STEPS[step.op](places, step.argument)
    return places


def _member(places, name):
    return [child for place in places for child in _children(place, name)]


def _children(place, name):
    found = slots_of(place.type, name)
    holder = place.members
    if not isinstance(holder, dict):
        return
    for slot in found:
        values, companions = holder.get(slot.key), holder.get("_" + slot.key)
        if slot.many:
            for i in range(len(pairs(holder, slot))):
                yield Place(holder, slot, i, _type(slot, _at(values, i)), place, place.root)
        elif values is not None or companions is not None:
            yield Place(holder, slot, None, _type(slot, values), place, place.root)


def _type(slot, value):
    if slot.kind != RESOURCE:
        return slot.type
    name = value.get("resourceType") if isinstance(value, dict) else None
    if name not in resources():
        raise NoPlace(f"{slot.key} holds no resource of R4")
    return name


def pairs(node, slot):
    """The items of an array with their companions, which stand in a second array. (json.html#2.6.2.3)"""
    values, companions = node.get(slot.key) or [], node.get("_" + slot.key) or []
    if not isinstance(values, list) or not isinstance(companions, list):
        raise NoPlace(f"{slot.key!r} is not an array")
    return list(zip_longest(values, companions))


def _where(places, condition):
    return [place for place in places if _holds(place, condition)]


def _holds(place, condition):
    value, base = place.value, place.type
    if value is None:  # a primitive that has only extensions
        value, base = place.companion, "Element"
    variables = {"resource": place.root, "rootResource": place.root}
    try:
        found = fhirpath.evaluate(f"where({condition}).exists()", value, variables, base)
    except Exception as error:  # the engine raises whatever an odd condition makes its functions raise
        raise BadPath(f"the condition {condition[:200]!r} cannot be evaluated ({type(error).__name__})") from error
    return len(found) == 1 and found[0].value is True


def _single(places, _):
    if len(places) > 1:
        raise NoPlace(f"single() meets {len(places)} elements")
    return places


def _of_type(places, name):
    return [place for place in places if is_type(place.type, name)]


def _extension(places, url):
    found = _member(places, "extension")
    return [place for place in found if isinstance(place.value, dict) and place.value.get("url") == url]


_STEPS = {
    "member": _member,
    "index": lambda places, i: places[i : i + 1],
    "where": _where,
    "first": lambda places, _: places[:1],
    "last": lambda places, _: places[-1:],
    "tail": lambda places, _: places[1:],
    "single": _single,
    "skip": lambda places, n: places[n:],
    "take": lambda places, n: places[:n],
    "ofType": _of_type,
    "as": _of_type,
    "extension": _extension,
}


# -- text to steps


@lru_cache(1024)
def parse(text):
    """The steps of a path; BadPath says what is wrong with it."""
    if len(text) > MAX_LENGTH:
        raise BadPath(f"the path has {len(text)} characters; at most {MAX_LENGTH}")
    reader = _Reader(text)
    steps = reader.path()
    if reader.at < len(reader.tokens):
        raise BadPath(f"{reader.rest()!r} cannot follow in a path that names elements")
    return tuple(steps)


class _Reader:
    def __init__(self, text):
        self.text = text
        self.tokens = [(m.lastgroup, m.group(m.lastgroup), m.start(m.lastgroup), m.end()) for m in _all(text)]
        self.at = 0
        self.level = 0

    def rest(self):
        return self.text[self.tokens[self.at][2] :][:60] if self.at < len(self.tokens) else "the end"

    def next(self, *signs):
        """Take the next token if it is one of these signs or names."""
        if self.at < len(self.tokens) and self.tokens[self.at][1] in signs and self.tokens[self.at][0] != "string":
            self.at += 1
            return True
        return False

    def take(self, kind, what):
        if self.at < len(self.tokens) and self.tokens[self.at][0] == kind:
            self.at += 1
            return self.tokens[self.at - 1][1]
        raise BadPath(f"expected {what}, found {self.rest()!r}")

    def need(self, sign):
        if not self.next(sign):
            raise BadPath(f"expected {sign!r}, found {self.rest()!r}")

    def path(self):
        steps = self.start()
        while True:
            if self.next("."):
                steps.append(self.invocation())
            elif self.next("["):
                steps.append(Step("index", int(self.take("number", "an index")[:9])))
                self.need("]")
            else:
                return steps

    def start(self):
        if self.next("("):
            self.level += 1
            if self.level > MAX_NESTING:
                raise BadPath(f"brackets beyond {MAX_NESTING} levels")
            steps = self.path()
            if self.next("as"):
                steps.append(Step("ofType", self.type()))
            self.need(")")
            return steps
        if self.next("$this", "%resource", "%context"):
            return []
        return [self.invocation()]

    def invocation(self):
        quoted = self.at < len(self.tokens) and self.tokens[self.at][0] == "quoted"
        name = self.take("quoted" if quoted else "name", "the name of an element")
        if quoted or not self.next("("):
            return Step("member", name)
        if name not in _STEPS or name in ("member", "index"):
            known = ", ".join(sorted(set(_STEPS) - {"member", "index"}))
            raise BadPath(f"{name}() cannot be used in the path of a patch; known: {known}")
        step = Step(name, self.argument(name))
        self.need(")")
        return step

    def argument(self, name):
        match name:
            case "where":
                return self.condition()
            case "extension":
                return _unescaped(self.take("string", "a URL in single quotes"))
            case "ofType" | "as":
                return self.type()
            case "skip" | "take":
                return int(self.take("number", "a number")[:9])
        return None

    def type(self):
        name = self.take("name", "a type")
        if name == "FHIR" and self.next("."):
            name = self.take("name", "a type")
        if structure(name) is None:
            raise BadPath(f"{name!r} is not a type of FHIR R4")
        return name

    def condition(self):
        """The text up to the closing bracket of where()."""
        begin, depth = self.at, 0
        while self.at < len(self.tokens):
            kind, token, *_ = self.tokens[self.at]
            if kind == "comment" or (kind == "other" and token not in _OPERATORS):
                raise BadPath(f"{token!r} is not allowed in a condition")
            if token == ")" and kind == "sign":
                if depth == 0:
                    break
                depth -= 1
            if token == "(" and kind == "sign":
                depth += 1
                if depth > MAX_NESTING:
                    raise BadPath(f"brackets beyond {MAX_NESTING} levels")
                if self.at > begin:
                    self.allow(*self.tokens[self.at - 1][:2])
            self.at += 1
        if self.at in (begin, len(self.tokens)):
            raise BadPath("where() needs a condition" if self.at == begin else "expected ')', found 'the end'")
        return self.text[self.tokens[begin][2] - (self.tokens[begin][0] == "quoted") : self.tokens[self.at - 1][3]]

    def allow(self, kind, name):
        """Refuse a call that may cost more than the element is worth."""
        if kind in ("name", "quoted") and name not in _ALLOWED and (kind == "quoted" or name not in _WORDS):
            raise BadPath(f"{name}() cannot be used in the path of a patch")


def _all(text):
    at = 0
    while match := _TOKEN.match(text, at):
        yield match
        at = match.end()


def _unescaped(literal):
    def character(match):
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)

    return _ESCAPE.sub(character, literal[1:-1])
