"""_filter: an expression of comparisons, and, or, not, parentheses and chains. (search_filter.html)

and binds closer than or; a comparison means what the parameter of that name would with the prefix or modifier:
`birthdate ge 2000`, `name co "pet"`, `subject.gender eq male`, `code in http://x`, `subject[gender eq male].name eq x`.
"""

import json
import re

from records.errors import InvalidValue, TooCostly, UnknownParameter, UnsupportedModifier

from .query import All, Chain, Either, Matched, Negated
from .ranges import PREFIXES
from .types import TYPES, Not

TOKENS = re.compile(r'\s*(\(|\)|"(?:[^"\\]|\\.)*"|[^\s()"]+)')
ESCAPED = re.compile(r"(\\[\\|$,])|[\\$,]")  # what a value escapes itself; what is a letter here and a mark in a search
BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|\[|\]')
OPERATORS = "eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re".split()  # noqa: SIM905
DEEPEST = 50
MOST = 2000  # words and parentheses of an expression


def parse(type, text, steps):
    """The tree of an expression on a type; what is wrong in it is an error even when handling is lenient."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = TOKENS.match(text, at)
        if not found:
            raise wrong(text, f"at character {at + 1}")
        tokens.append(found[1])
        at = found.end()
        if len(tokens) > MOST:
            raise TooCostly(f"An expression of _filter has at most {MOST} words.")
    reader = Reader(text, tokens, steps)
    try:
        tree = reader.either(type, 0)
    except (UnknownParameter, UnsupportedModifier) as fault:
        raise wrong(text, fault.issues[0].diagnostics) from fault
    if reader.tokens:
        raise wrong(text, f"at {reader.tokens[0]!r}")
    return tree


def wrong(text, why):
    return InvalidValue("_filter", text, why)


class Reader:
    """Recursive descent over the tokens that are left."""

    def __init__(self, text, tokens, steps):
        self.text, self.tokens, self.steps = text, tokens, steps

    def take(self, what):
        if not self.tokens:
            raise wrong(self.text, f"{what} is missing at the end")
        return self.tokens.pop(0)

    def next_is(self, word):
        return bool(self.tokens) and self.tokens[0] == word

    def either(self, type, depth):
        nodes = [self.both(type, depth)]
        while self.next_is("or"):
            self.take("or")
            nodes.append(self.both(type, depth))
        return nodes[0] if len(nodes) == 1 else Either(tuple(nodes))

    def both(self, type, depth):
        nodes = [self.one(type, depth)]
        while self.next_is("and"):
            self.take("and")
            nodes.append(self.one(type, depth))
        return nodes[0] if len(nodes) == 1 else All(tuple(nodes))

    def one(self, type, depth):
        if depth > DEEPEST:
            raise wrong(self.text, f"it nests deeper than {DEEPEST}")
        first = self.take("a comparison")
        if first == "not" and self.next_is("("):
            return Negated(self.one(type, depth + 1))
        if first == "(":
            inner = self.either(type, depth + 1)
            if self.take(")") != ")":
                raise wrong(self.text, "a ) is missing")
            return inner
        path, open = first, opened(first)
        while open > 0:  # a filter on what a reference leads to
            part = self.take("]")
            path, open = f"{path} {part}", open + opened(part)
        operator = self.take("an operator")
        if operator not in OPERATORS:
            raise wrong(self.text, f"{operator!r} is no operator; known: {', '.join(OPERATORS)}")
        return self.comparison(type, path, operator, value_of(self.take("a value"), self.text), self.steps)

    def comparison(self, type, path, operator, value, steps):
        from .parse import _known, _reference, told

        head, bracket, inner, rest = parted(path, self.text)
        if not rest and not bracket:
            return compared(_known(type, head), operator, value)
        param, only = _reference(type, head)
        arms, fault = [], None
        for target in (only,) if only else param.targets:
            try:
                there = steps.further(head)
                node = self.comparison(target, rest, operator, value, there)
                if bracket:
                    node = All((parse(target, inner, there), node))
                arms.append((target, node))
                steps.taken(head)
            except (UnknownParameter, UnsupportedModifier, InvalidValue) as error:
                fault = told(fault, error)
        if not arms:
            raise fault or wrong(self.text, f"{head}: name a type, as in subject:Patient.name")
        return Chain(param, tuple(arms))


def opened(token):
    """How many brackets a token leaves open; those in a string are letters."""
    return 0 if token.startswith('"') else token.count("[") - token.count("]")


def parted(path, text):
    """(name, has a bracket, what is in it, what follows) of `name`, `name.rest` and `name[...].rest`."""
    head = re.match(r"[\w:-]*", path)[0]
    rest, inner, open = path[len(head) :], None, 0
    if rest.startswith("["):
        for found in BRACKETS.finditer(rest):
            open += opened(found[0])
            if open == 0:
                break
        inner, rest = rest[1 : found.start()], rest[found.end() :]
    if not head or open or (rest and not re.match(r"\..", rest)) or (inner is not None and not rest):
        raise wrong(text, f"{path!r} is no path of search parameters")
    return head, inner is not None, inner, rest[1:]


def value_of(token, text):
    if token in ("(", ")"):
        raise wrong(text, f"a value is missing before {token!r}")
    if not token.startswith('"'):
        return token
    try:
        return json.loads(token)
    except ValueError as fault:
        raise wrong(text, f"{token} is no string") from fault


def compared(param, operator, value):
    """`name operator value` as a criterion."""
    from .parse import criterion

    if operator == "pr":
        if value not in ("true", "false"):
            raise InvalidValue(f"{param.code} pr", value, "expected true or false")
        return criterion(param.type, f"{param.code}:missing", "false" if value == "true" else "true")
    if param.code == "_id":
        if operator not in ("eq", "ne"):
            raise UnsupportedModifier("_id", operator, "in _filter it takes eq, ne, pr")
        found = criterion(param.type, "_id", value)
        return Negated(found) if operator == "ne" else found
    if param.code == "_lastUpdated":
        if operator not in PREFIXES:
            known = ", ".join(sorted((*PREFIXES, "pr")))
            raise UnsupportedModifier("_lastUpdated", operator, f"in _filter it takes {known}")
        return criterion(param.type, param.code, operator + value)
    if param.family not in TYPES or not param.indexed:
        raise UnknownParameter(param.type, param.code, "it is not supported here")
    escaped = ESCAPED.sub(lambda m: m[0] if m[1] or (m[0], param.kind) == ("$", "composite") else "\\" + m[0], value)
    match = TYPES[param.family].compared(operator, param, escaped)
    return Negated(Matched(match.match)) if isinstance(match, Not) else Matched(match)
