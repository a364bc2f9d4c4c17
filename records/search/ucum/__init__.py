"""UCUM: a unit as a factor over base units, so that mg/dL and g/L compare. (unitsofmeasure.org, search.html#quantity)

units.json is the official essence table: [takes prefixes, value, unit] of each atom; base, arbitrary and special units
have no definition here and stand for themselves. The three temperature scales are below.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from pathlib import Path

SYSTEM = "http://unitsofmeasure.org"
LONGEST = 128
TOKEN = re.compile(r"\{[^{}]*\}|[./()]|(?:\[[^\[\]]*\]|[^\[\]{}()./])+")
EXPONENT = re.compile(r"(.*?[^0-9+\-])([+-]?\d{1,2})")
SCALES = {  # kelvin = value * factor + offset
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("273.15") - 32 * Fraction(5, 9)),
    "[degRe]": (Fraction(5, 4), Fraction("273.15")),
}


class UnknownUnit(ValueError):
    """Not a UCUM unit."""


@dataclass(frozen=True)
class Unit:
    """value * factor + offset is the value in `base`, a product of base units such as "g.m-3"."""

    base: str
    factor: Fraction
    offset: Fraction = Fraction(0)

    def canonical(self, value):
        """A Decimal in this unit as a Decimal in base units."""
        upper, lower = value.as_integer_ratio()
        upper, lower = upper * self.factor.numerator, lower * self.factor.denominator
        if self.offset:
            upper = upper * self.offset.denominator + self.offset.numerator * lower
            lower *= self.offset.denominator
        return Decimal(upper) / Decimal(lower)


@lru_cache(2048)
def unit(code):
    """The Unit of a UCUM code; UnknownUnit when it is none."""
    if not code or len(code) > LONGEST or not code.isascii() or any(c.isspace() for c in code):
        raise UnknownUnit(code)
    if code in SCALES:
        return Unit("K", *SCALES[code])
    factor, powers = _Reader(code).whole()
    return Unit(".".join(f"{b}{p if p != 1 else ''}" for b, p in sorted(powers.items()) if p) or "1", factor)


@cache
def _table():
    found = json.loads((Path(__file__).parent / "units.json").read_text())
    return found["prefixes"], found["units"]


class _Reader:
    """A recursive descent over the grammar of UCUM (section 2.3)."""

    def __init__(self, code):
        self.code, self.at = code, 0
        self.tokens = TOKEN.findall(code)
        if "".join(self.tokens) != code:
            raise UnknownUnit(code)

    def whole(self):
        found = self.term()
        if self.at != len(self.tokens):
            raise UnknownUnit(self.code)
        return found

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self):
        token = self.peek()
        if token is None:
            raise UnknownUnit(self.code)
        self.at += 1
        return token

    def term(self):
        sign = -1 if self.peek() == "/" and self.next() else 1
        factor, powers = _power(self.component(), sign)
        while self.peek() in (".", "/"):
            sign = 1 if self.next() == "." else -1
            factor, powers = _times((factor, powers), _power(self.component(), sign))
        return factor, powers

    def component(self):
        token = self.next()
        if token == "(":
            found = self.term()
            if self.next() != ")":
                raise UnknownUnit(self.code)
            return found
        if token in "./)":
            raise UnknownUnit(self.code)
        if token.startswith("{"):
            return Fraction(1), {}
        found = _simple(token)
        if (after := self.peek()) and after.startswith("{"):
            self.next()
        return found


def _simple(text):
    """An atom with prefix and exponent, or a whole number."""
    if text.isdigit() and len(text) < 20 and int(text):  # nothing is measured in zeros, nor divided by them
        return Fraction(int(text)), {}
    found = _atom(text)
    if found is None and (match := EXPONENT.fullmatch(text)):
        found = _atom(match[1])
        found = found and _power(found, int(match[2]))
    if found is None:
        raise UnknownUnit(text)
    return found


@lru_cache(1024)
def _atom(text):
    prefixes, units = _table()
    if text in units:
        _, value, of = units[text]
        if of is None:
            return Fraction(1), {text: 1}
        return _times((Fraction(value), {}), _Reader(of).whole())
    for length in (2, 1):
        prefix, rest = text[:length], text[length:]
        if prefix in prefixes and rest in units and units[rest][0]:
            return _times((Fraction(prefixes[prefix]), {}), _atom(rest))
    return None


def _times(a, b):
    powers = dict(a[1])
    for base, power in b[1].items():
        powers[base] = powers.get(base, 0) + power
    return a[0] * b[0], powers


def _power(found, exponent):
    factor, powers = found
    return factor**exponent, {base: power * exponent for base, power in powers.items()}
