"""quantity and number: exact values as intervals; a quantity also in base units. (search.html#quantity, #number)

A quantity has a row for its bare value, one in UCUM base units and one for each way its unit may be named; `key` says
which. So 100 mg/dL is found by `1|http://unitsofmeasure.org|g/L`.
"""

from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from django.db import models
from django.db.models import F

from records import keys
from records.sql import SQL, any_of

from .. import ucum
from ..ranges import PREFIXES, condition, indexed, prefixed
from .base import TYPES, IndexRow, Match, SearchType, invalid, search_type, split, unescape

LOWEST, HIGHEST = Decimal("-Infinity"), Decimal("Infinity")
LARGEST = 1000  # digits of a number that is looked for


class Numeric(models.Field):
    """A number of any precision: all its digits count."""

    def db_type(self, connection):
        return "numeric"


class Quantity(IndexRow):
    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    occurred = models.BigIntegerField()
    key = models.BigIntegerField()
    low = Numeric()
    high = Numeric()

    class Meta:
        db_table = "quantity"
        indexes = [
            models.Index(fields=["key", "low", "resource"], include=["high", "occurred"], name="quantity_low"),
            models.Index(
                fields=["key", "high"],
                include=["low", "resource", "occurred"],
                name="quantity_high",
                condition=models.Q(high__gt=F("low")),
            ),
        ]


@lru_cache(4096)
def unit_keys(type, code, system, unit_code, unit):
    """(key in base units or None, the Unit or None, keys of the names of the unit)."""
    known = None
    if system == ucum.SYSTEM and unit_code:
        with suppress(ucum.UnknownUnit):
            known = ucum.unit(unit_code)
    if known:  # its code is asked for in base units
        names = [unit] if unit and unit != unit_code else []
    else:
        names = sorted({name for name in (unit_code, unit) if name})
    named = [keys.key(type, code, "unit", name) for name in names]
    if system and unit_code and not known:
        named.append(keys.key(type, code, "unit", system, unit_code))
    return known and keys.key(type, code, "base", known.base), known, tuple(named)


def rows_of(param, low, high, system, code, unit):
    """(key, low, high) of a quantity, for each way to ask for it."""
    base, known, named = unit_keys(param.type, param.code, system, code, unit)
    yield param.key, low, high
    for key in named:
        yield key, low, high
    if known:
        yield base, *in_base(known, low, high)


def in_base(unit, *values):
    """Values in base units; an open end stays open."""
    return [unit.canonical(v) if v.is_finite() else v for v in values]


def limits_of(value, type):
    """(low, high, system, code, unit) of an element, or None. A comparator opens an end."""
    if type == "Range":
        low, high = value.get("low") or {}, value.get("high") or {}
        if "value" not in low and "value" not in high:
            return None
        unit = low if low.get("code") or low.get("unit") else high
        return (
            Decimal(low.get("value", LOWEST)),
            Decimal(high.get("value", HIGHEST)),
            unit.get("system"),
            unit.get("code"),
            unit.get("unit"),
        )
    if type == "Money":
        if "value" not in value:
            return None
        number = Decimal(value["value"])
        return number, number, "urn:iso:std:iso:4217", value.get("currency"), value.get("currency")
    if type == "SampledData":
        origin = value.get("origin", {})
        if "lowerLimit" not in value and "upperLimit" not in value:
            return None
        low, high = value.get("lowerLimit", LOWEST), value.get("upperLimit", HIGHEST)
        return Decimal(low), Decimal(high), origin.get("system"), origin.get("code"), origin.get("unit")
    if value.get("value") is None:
        return None
    number = Decimal(value["value"])
    low, high = number, number
    match value.get("comparator"):
        case "<" | "<=":
            low = LOWEST
        case ">" | ">=":
            high = HIGHEST
    return low, high, value.get("system"), value.get("code"), value.get("unit")


@search_type
class QuantityType(SearchType):
    kind = "quantity"
    table = "quantity"
    operators = tuple(PREFIXES)
    types = frozenset(("Quantity", "Age", "Duration", "Distance", "Count", "Money", "Range", "SampledData"))

    # write side

    def emitter(self, param, route):
        type, number = route.type, param.key
        if type not in self.types:
            return None

        def emit(value, rows):
            found = limits_of(value, type)
            if found:
                for key, low, high in rows_of(param, *found):
                    rows.quantity.add((number, key, low, high))

        return emit

    # read side

    def compared(self, operator, param, text):
        """The prefixes."""
        if operator not in PREFIXES:
            return SearchType.compared(self, operator, param, text)
        return self.match(param, (text if operator == "eq" else operator + text,))

    def match(self, param, texts):
        asked = [each for text in texts for each in self._one(param, text)]
        found = any_of(SQL("i.key = %s", (key,)) & between(*limits) for key, limits in asked)
        return Match("quantity", SQL("i.param = %s", (param.key,)) & found, ranges=of_keys(asked))

    def _one(self, param, text):
        """(key, (prefix, low, high)) of `value`, `value|system|code` or `value||code`."""
        parts = [unescape(p) for p in split(text, "|")]
        if len(parts) not in (1, 3) or not parts[0] or (parts[1:2] != [""] and parts[2:] == [""]):
            raise invalid(param, text, "expected [prefix]number, [prefix]number|system|code or [prefix]number||code")
        prefix, low, high = number(param, parts[0])
        return [(key, (prefix, a, b)) for key, a, b in self.asked(param, parts, low, high)]

    def asked(self, param, parts, low, high):
        """(key, low, high) of the rows a value with these parts stands for."""
        _, system, code = (*parts, "", "")[:3]
        if not code:
            yield param.key, low, high
            return
        if system in ("", ucum.SYSTEM):
            try:
                known = ucum.unit(code)
            except ucum.UnknownUnit:
                known = None
            if known:
                key = keys.key(param.type, param.code, "base", known.base)
                yield key, *sorted((known.canonical(low), known.canonical(high)))
            if system == "":
                yield keys.key(param.type, param.code, "unit", code), low, high
                return
            if known:
                return
        yield keys.key(param.type, param.code, "unit", system, code), low, high

    def sort(self, param, descending, alias, row="r", seen=None):
        """By the bare value."""
        least = "max" if descending else "min"
        join = SQL(
            f"LEFT JOIN LATERAL (SELECT {least}(i.low) AS low FROM quantity i"
            f" WHERE i.resource = {row}.pk AND i.param = %s AND i.key = i.param) {alias} ON TRUE",
            (param.key,),
        )
        return f"coalesce({alias}.low, '-Infinity')", "numeric", join

    def sort_among(self, param, descending, alias, row, criterion):
        """As `sort`, of rows that a token criterion finds: by the index of code and value where there is one, or None.

        Who has no value there is looked up: it may have one of another data type.
        """
        least = "max" if descending else "min"
        known = TYPES["composite"].lowest(param, criterion, least)
        if known is None:
            return None
        join = SQL(
            f"LEFT JOIN ({known.text}) {alias}_ ON {alias}_.resource = {row}.pk"
            f" LEFT JOIN LATERAL (SELECT {least}(i.low) AS low FROM quantity i WHERE {alias}_.resource IS NULL"
            f" AND i.resource = {row}.pk AND i.param = %s AND i.key = i.param) {alias} ON TRUE",
            (*known.params, param.key),
        )
        return f"coalesce({alias}_.low, {alias}.low, '-Infinity')", "numeric", join


@search_type
class NumberType(SearchType):
    kind = "number"
    table = "quantity"
    operators = tuple(PREFIXES)
    sort = QuantityType.sort
    compared = QuantityType.compared

    # write side

    def emitter(self, param, route):
        key = param.key
        if route.type == "Range":

            def emit_range(value, rows):
                found = limits_of(value, "Range")
                if found:
                    rows.quantity.add((key, key, *found[:2]))

            return emit_range
        if route.type not in ("decimal", "integer", "positiveInt", "unsignedInt"):
            return None

        def emit(value, rows):
            value = Decimal(value)
            rows.quantity.add((key, key, value, value))

        return emit

    # read side

    def match(self, param, texts):
        asked = [number(param, unescape(text)) for text in texts]
        found = any_of(between(*limits) for limits in asked)
        where = SQL("i.param = %s AND i.key = %s", (param.key, param.key)) & found
        return Match("quantity", where, ranges=of_keys((param.key, limits) for limits in asked))


def between(prefix, a, b):
    """The condition, with the bound on `low` that follows where it is also `high`, and serves the index."""
    wanted = condition(prefix, a, b)
    edge = {"gt": (">", b), "ge": (">=", a), "ap": (">=", a)}.get(prefix)
    return wanted & SQL(f"i.low {edge[0]} %s OR i.high > i.low", (edge[1],)) if edge else wanted


def of_keys(asked):
    """Ranges of the index by (key, low) that hold the rows of (key, (prefix, low, high))."""
    return tuple(SQL("i.key = %s", (key,)) & each for key, limits in asked for each in indexed(*limits))


def number(param, text):
    """(prefix, low, high): what the digits given leave open counts for eq, ne and ap only. (search.html#number)"""
    prefix, rest = prefixed(text)
    try:
        value = Decimal(rest)
    except InvalidOperation:
        value = None
    odd = "_" in rest or not rest.isascii()  # what Python takes for a number, and FHIR does not
    if odd or value is None or not value.is_finite() or len(rest) > LARGEST or abs(value.adjusted()) > LARGEST:
        raise invalid(param, text, "expected [prefix]number")
    if prefix == "ap":
        margin = abs(value) / 10
        return prefix, value - margin, value + margin
    if prefix in ("eq", "ne"):
        half = Decimal(5).scaleb(value.as_tuple().exponent - 1)
        return prefix, value - half, value + half
    return prefix, value, value
