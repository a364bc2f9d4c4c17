"""composite: several parameters of the same element at once, `code$gt5`. (search.html#composite)

One row for each group and each way to name its codes: `key` is the hash of all that is compared for equality; the
first thing that is ordered lies in [low, high], a quantity's base units in [unit_low, unit_high], a second ordered
thing in [low2, high2], a string in `folded`.
"""

from decimal import Decimal
from functools import cache
from itertools import product

from django.db import models

from records import keys
from records.fhirpath import plain
from records.fhirpath.times import INTERVALS
from records.sql import SQL, all_of, any_of

from .. import parameters
from ..ranges import condition, indexed
from . import date, quantity
from .base import TYPES, IndexRow, Match, SearchType, invalid, search_type, split, unescape
from .folding import fold
from .quantity import Numeric
from .reference import targets
from .string import LAST, PREFIX
from .token import SPECIAL, coded

RESOURCE = "%resource."
SWAPPED = {("DocumentReference", "relationship")}  # R4 gives `code` the definition of `target`, and back
EQUAL = ("token", "reference", "uri")
ORDERED = ("date", "number", "quantity")
PARTS = (*EQUAL, *ORDERED, "string")  # the kinds of parameters that a composite may have


class Composite(IndexRow):
    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    occurred = models.BigIntegerField()
    key = models.BigIntegerField()
    low = Numeric(null=True)
    high = Numeric(null=True)
    unit = models.BigIntegerField(null=True)
    unit_low = Numeric(null=True)
    unit_high = Numeric(null=True)
    low2 = Numeric(null=True)
    high2 = Numeric(null=True)
    folded = models.TextField(null=True, db_collation="C")

    class Meta:
        db_table = "composite"
        indexes = [
            models.Index(
                fields=["key", "low", "resource"],
                include=["high", "occurred", "unit", "unit_low", "unit_high"],
                name="composite_low",
            ),
            models.Index(
                fields=["key", "high"],
                include=["low", "resource", "occurred"],
                name="composite_high",
                condition=models.Q(high__gt=models.F("low")),
            ),
        ]


class Component:
    """One part of a composite: the parameter it is compared as, and where its values are in the group."""

    def __init__(self, param, definition, expression):
        self.param = parameters.by_url(param.type, definition)
        self.of_resource = expression.startswith(RESOURCE)
        self.expression = expression.removeprefix(RESOURCE)
        self.kind = self.param.kind

    def walker(self, type):
        """Function (item, found) that adds (value, data type, Route)."""
        routes = plain.routes(self.expression, type)
        if callable(routes):
            raise plain.InvalidExpression("it is true or false, and no element")
        return plain.walker(routes, lambda route: lambda item, found: found.append((item, route)))


@cache
def components(type, code, version):
    param = parameters.to_index(type)[code]
    definitions, expressions = zip(*param.components, strict=True)
    if (type, code) in SWAPPED:
        definitions = reversed(definitions)
    return tuple(Component(param, *given) for given in zip(definitions, expressions, strict=True))


def parts_of(param):
    return components(param.type, param.code, parameters.version())


@search_type
class CompositeType(SearchType):
    kind = "composite"
    table = "composite"

    # write side

    def emitter(self, param, route):
        """For items of a group: the resource itself, or a repeating element."""
        parts = [(part, part.walker(param.type if part.of_resource else route.type)) for part in parts_of(param)]

        def emit(group, rows):
            texts, spans, folded = [], [], [None]
            for part, walk in parts:
                found = []
                walk(rows.resource if part.of_resource else group, found)
                if part.kind in EQUAL:
                    texts.append({k for item, r in found for k in equal_to(part.param, item, r)})
                    if not texts[-1]:
                        return
                elif part.kind == "string":
                    folded = [fold(item) for item, r in found if r.type in ("string", "markdown")]
                    if not folded:
                        return
                else:
                    spans.append([s for item, r in found for s in spans_of(part, item, r.type)])
                    if not spans[-1]:
                        return
            for chosen in product(*texts):
                key = keys.key(param.type, param.code, *chosen)
                for first in spans[0] if spans else [(None,) * 5]:
                    for second in spans[1] if len(spans) > 1 else [(None,) * 5]:
                        for text in folded:
                            rows.composite.add((param.key, key, *first, *second[:2], text))

        return emit

    # read side

    def match(self, param, texts):
        asked = [self._one(param, text) for text in texts]
        found = any_of(key & all_of(any_of(ways) for ways in spans) for key, spans, _ in asked)
        ranges = tuple(key & all_of(chosen) for key, _, spans in asked for chosen in product(*spans))
        return Match("composite", SQL("i.param = %s", (param.key,)) & found, ranges=ranges)

    def implied(self, param, texts):
        """The token rows that whatever matches has as well, which are in clinical order; None when that is not sure."""
        if len(texts) != 1:
            return None
        for part, text in zip(parts_of(param), split(texts[0], "$"), strict=False):
            if part.kind == "token" and holds_all(part, param):
                return TYPES["token"].match(part.param, (text,))
        return None

    def lowest(self, param, criterion, least="min"):
        """(resource, low) of those that a token criterion finds and that have a value of a quantity parameter; or None.

        They stand together in the index, by code; the values of all codes stand in the order of resources.
        """
        for pair in parameters.to_index(param.type).values():
            if pair.kind == "composite" and holds_value(pair, criterion.param, param):
                chosen = dict.fromkeys(text for each in criterion.texts for text in asked_equal(criterion.param, each))
                found = [keys.key(pair.type, pair.code, text) for text in chosen]
                return SQL(f"SELECT resource, {least}(low) AS low FROM composite WHERE key = ANY(%s)"
                           " AND resource > 0 GROUP BY resource", (found,))  # fmt: skip
        return None

    def _one(self, param, text):
        """(condition on the key, the alternatives of each other part, the same as ranges of the index by key)."""
        parts = parts_of(param)
        given = split(text, "$")
        if len(given) != len(parts):
            names = "$".join(part.param.code for part in parts)
            raise invalid(param, text, f"expected {len(parts)} values between $: {names}")
        chosen, conditions, ranges, spans = [], [], [], 0
        for part, value in zip(parts, given, strict=True):
            if part.kind in EQUAL:
                chosen.append(asked_equal(part.param, value))
            elif part.kind == "string":
                head = fold(unescape(value))[:PREFIX]
                conditions.append([SQL("i.folded >= %s AND i.folded < %s", (head, head + LAST))])
                ranges.append(conditions[-1])
            else:
                conditions.append(list(in_span(part, value, spans)))
                ranges.append(list(in_span(part, value, spans, indexed)) if not spans else conditions[-1])
                spans += 1
        found = [keys.key(param.type, param.code, *names) for names in product(*chosen)]
        return SQL("i.key = ANY(%s)", (found,)), conditions, ranges


@cache
def holds_all(part, param):
    """Does the parameter of a part hold its values of every group?"""
    if part.of_resource or (param.type, param.code) in SWAPPED:
        return False
    known = {each.strip() for each in part.param.expression.split("|")}
    return {f"{group.strip()}.{part.expression}" for group in param.expression.split("|")} <= known


def holds_value(pair, code, value):
    """Is a composite the one of this token and this quantity parameter of the resource itself, which has one value?

    The parameter may be of several data types of that element, of which a resource has one.
    """
    parts = parts_of(pair) if pair.expression == pair.type and len(pair.components) == 2 else ()
    if [part.param for part in parts] != [code, value] or value.kind != "quantity" or value.expression is None:
        return False
    element, _, rest = parts[1].expression.partition(".as(")
    alternatives = (each.strip(" ()") for each in value.expression.split("|"))
    return bool(rest) and all(each.partition(" as ")[0] == f"{value.type}.{element}" for each in alternatives)


# what is compared for equality, as texts that go into the key


def equal_to(param, item, route):
    """The texts by which a code or reference of a group may be asked for."""
    match route.type:
        case "CodeableConcept":
            return [k for coding in item.get("coding", ()) for k in codes(coding.get("system"), coding.get("code"))]
        case "Coding":
            return codes(item.get("system"), item.get("code"))
        case "code" | "string" | "uri":
            return codes(TYPES["token"].system(route, item), item)
        case "boolean":
            return codes(SPECIAL, "true" if item else "false")
        case "Reference":
            return [str(t) for t in targets(item["reference"])] if "reference" in item else []
    return []


def codes(system, code):
    return [] if code is None else [str(k) for k in without_system_alone(coded("", "", system, code), system)]


def without_system_alone(found, system):
    return found[:2] + found[3:] if system else found


def asked_equal(param, text):
    kind = TYPES[param.kind]
    if param.kind == "reference":
        return [str(t) for t in kind.identities(param, text)]
    return [str(k) for k in kind.keys(_Bare, text)]


class _Bare:
    """The codes of a composite are hashed by themselves; the parameter is in the key of the row."""

    type = code = ""
    kind = "token"


# what is ordered


def spans_of(part, item, type):
    """(low, high, unit, low in base units, high in base units) of a value, for each way to name a unit not of UCUM."""
    if part.kind == "date":
        found = INTERVALS[type](item) if type in INTERVALS else None
        return [(*map(Decimal, found), None, None, None)] if found else []
    if part.kind == "number":
        return [(Decimal(item), Decimal(item), None, None, None)]
    found = quantity.limits_of(item, type) if type in TYPES["quantity"].types else None
    if not found:
        return []
    low, high, system, code, unit = found
    base, known, named = quantity.unit_keys("", "", system, code, unit)
    if known:
        return [(low, high, base, *quantity.in_base(known, low, high))]
    return [(low, high, unit, low, high) for unit in named or (None,)]


def in_span(part, text, n, ranged=None):
    """The alternatives that a value of the n-th ordered part may satisfy; as `ranged` says them of [low, high]."""
    low, high = ("i.low", "i.high") if n == 0 else ("i.low2", "i.high2")
    if part.kind == "date":
        limits = date.limits(part.param, text)
    elif part.kind == "number":
        limits = quantity.number(part.param, unescape(text))
    else:
        parts = [unescape(p) for p in split(text, "|")]
        if len(parts) not in (1, 3) or (parts[1:2] != [""] and parts[2:] == [""]):
            raise invalid(part.param, text, "expected number, number|system|code or number||code")
        prefix, *limits = quantity.number(part.param, parts[0])
        if len(parts) == 3 and parts[2]:
            for unit, a, b in TYPES["quantity"].asked(_Bare, parts, *limits):
                yield SQL("i.unit = %s", (unit,)) & condition(prefix, a, b, "i.unit_low", "i.unit_high")
            return
        limits = (prefix, *limits)
    if ranged:
        yield from ranged(*limits)
    else:
        yield condition(*limits, low, high) if n or part.kind == "date" else quantity.between(*limits)
