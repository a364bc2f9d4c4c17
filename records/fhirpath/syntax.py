"""The part of FHIRPath that search parameters are written in: text to a small tree. (search.html, fhirpath N1)

Members, unions, literals, function calls, indexers, `is`, `as`, `=`, `!=`, `and`, `or`. Anything else raises
NotSimple: the general engine takes over.
"""

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>`[^`]+`)"
    r"|(?P<this>\$this)|(?P<variable>%[a-z]+)|(?P<op>!=|[().,|=\[\]]))"
)
ESCAPE = re.compile(r"\\(.)")
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class NotSimple(Exception):
    """The expression needs the general engine."""


@dataclass(frozen=True, slots=True)
class This:
    """$this: the item the expression starts from."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: object


@dataclass(frozen=True, slots=True)
class Member:
    of: object  # None: the first name of a path
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    of: object
    name: str
    arguments: tuple


@dataclass(frozen=True, slots=True)
class Item:
    of: object
    index: int


@dataclass(frozen=True, slots=True)
class Typed:
    """`of is name` or `of as name`."""

    of: object
    op: str
    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    op: str  # | = != and or
    left: object
    right: object


def parse(text):
    """The tree of an expression, or NotSimple."""
    reader = _Reader(_tokens(text))
    tree = _binary(reader, 0)
    if reader.peek() is not None:
        raise NotSimple(text)
    return tree


def _tokens(text):
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise NotSimple(text)
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


class _Reader:
    def __init__(self, tokens):
        self.tokens, self.at = tokens, 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self):
        token = self.peek()
        if token is None:
            raise NotSimple("the expression ends too soon")
        self.at += 1
        return token

    def take(self, *texts):
        token = self.peek()
        if token and token[0] in ("op", "name") and token[1] in texts:
            self.at += 1
            return token[1]
        return None

    def expect(self, text):
        if not self.take(text):
            raise NotSimple(f"{text!r} expected")


# from the loosest to the tightest; `is` and `as` bind looser than `|` in the grammar but tighter than `=`
LEVELS = (("or",), ("and",), ("=", "!="), ("|",))


def _binary(reader, level):
    if level == len(LEVELS):
        return _typed(reader)
    left = _binary(reader, level + 1)
    while op := reader.take(*LEVELS[level]):
        left = Binary(op, left, _binary(reader, level + 1))
    return left


def _typed(reader):
    of = _path(reader)
    while op := reader.take("is", "as"):
        of = Typed(of, op, _type(reader))
    return of


def _type(reader):
    name = reader.next()[1].strip("`")
    while reader.take("."):
        name = reader.next()[1].strip("`")  # FHIR.Patient, System.String
    return name


def _path(reader):
    kind, text = reader.next()
    if text == "(" and kind == "op":
        of = _binary(reader, 0)
        reader.expect(")")
    elif kind == "string":
        of = Literal(ESCAPE.sub(lambda m: ESCAPED.get(m[1], m[1]), text[1:-1]))
    elif kind == "number" and "." not in text:
        of = Literal(int(text))
    elif kind == "name" and text in ("true", "false"):
        of = Literal(text == "true")
    elif kind == "this":
        of = This()
    elif kind in ("name", "quoted"):
        of = _step(reader, None, text)
    else:
        raise NotSimple(text)
    while True:
        if reader.take("."):
            kind, text = reader.next()
            if kind not in ("name", "quoted"):
                raise NotSimple(text)
            of = _step(reader, of, text)
        elif reader.take("["):
            kind, text = reader.next()
            if kind != "number" or "." in text:
                raise NotSimple(text)
            reader.expect("]")
            of = Item(of, int(text))
        else:
            return of


def _step(reader, of, text):
    name = text.strip("`")
    if not reader.take("("):
        return Member(of, name)
    arguments = []
    if not reader.take(")"):
        if name in ("as", "is", "ofType"):
            arguments.append(_type(reader))
        else:
            arguments.append(_binary(reader, 0))
            while reader.take(","):
                arguments.append(_binary(reader, 0))
        reader.expect(")")
    return Call(of, name, tuple(arguments))
