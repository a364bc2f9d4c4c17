"""date: date, dateTime, instant, Period and Timing, as intervals. (search.html#date)"""

import time
from dataclasses import replace

from django.db import models
from django.db.models import F

from records.fhirpath.times import DAY, INTERVALS, MAX, MIN, SECOND, interval
from records.sql import SQL, any_of

from ..ranges import PREFIXES, condition, prefixed
from .base import IndexRow, Match, SearchType, invalid, search_type, unescape


class Date(IndexRow):
    """`n` counts the values of one parameter of a resource from the earliest; `top` is the last of them."""

    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    top = models.BooleanField()
    low = models.BigIntegerField()
    high = models.BigIntegerField()

    class Meta:
        db_table = "date"
        indexes = [
            # With n, the first dates of many resources, to sort by, are read off the index alone.
            models.Index(fields=["param", "low", "resource", "n"], name="date_low"),
            # Intervals longer than a day are rare: what is shorter is found by its low end alone.
            models.Index(fields=["param", "high"], name="date_high", condition=models.Q(high__gte=F("low") + DAY)),
        ]


@search_type
class DateType(SearchType):
    kind = "date"
    table = "date"
    operators = (*PREFIXES, "po")
    sort_key = f"coalesce({{0}}.low, {MIN - 1})"
    ignored = frozenset(("string", "Age", "Range"))  # Procedure.performed, say, in words

    # write side

    def emitter(self, param, route):
        number, limits_of = param.key, INTERVALS.get(route.type)
        if limits_of is None:
            return None

        def emit(value, rows):
            limits = limits_of(value)
            if limits:
                rows.date.add((number, *limits))

        return emit

    # read side

    def compared(self, operator, param, text):
        """The prefixes; po: the two overlap."""
        if operator == "po":
            _, low, high = limits(param, text)
            return Match("date", SQL("i.param = %s", (param.key,)) & between("ap", low, high))
        return self.match(param, (text if operator == "eq" else operator + text,)) if operator in PREFIXES else (
            super().compared(operator, param, text)
        )  # fmt: skip

    def match(self, param, texts):
        parts = [limits(param, text) for text in texts]
        where = any_of(between(*part) for part in parts)
        match = Match("date", SQL("i.param = %s", (param.key,)) & where)
        if not param.is_occurred:
            return match
        lows, highs, floors = zip(*(occurred(*part) for part in parts), strict=True)
        if any(f is not None for f in floors):  # of several values the widest counts
            floors = [low if floor is None else floor for low, floor in zip(lows, floors, strict=True)]
            lows = [None]
        return replace(match, low=least(lows), high=greatest(highs), floor=least(floors))


def least(bounds):
    return None if None in bounds else min(bounds)


def greatest(bounds):
    return None if None in bounds else max(bounds)


def limits(param, text):
    """(prefix, low, high) of a value."""
    prefix, rest = prefixed(unescape(text))
    try:
        low, high = interval(rest.replace(" ", "+"))  # a + that was not escaped in the URL
    except ValueError as fault:
        raise invalid(param, text, str(fault)) from None
    if prefix == "ap":  # a tenth of the time between then and now
        margin = abs(int(time.time() * SECOND) - low) // 10
        low, high = max(MIN, low - margin), min(MAX, high + margin)
    return prefix, low, high


def between(prefix, a, b):
    """The condition, with the bound on `low` that follows for intervals of at most a day and serves the index."""
    wanted = condition(prefix, a, b)
    edge = {"gt": b, "ge": a, "ap": a}.get(prefix)
    if edge is None:
        return wanted
    return wanted & SQL("i.low >= %s OR i.high >= i.low + %s", (edge - DAY, DAY))


def occurred(prefix, a, b):
    """(lowest, highest) start of a date that satisfies the prefix, and the moment it must last to."""
    match prefix:
        case "eq":
            return a, b, None
        case "lt" | "eb":
            return None, a - 1, None
        case "le":
            return None, b, None
        case "sa":
            return b + 1, None, None
        case "ge":
            return None, None, a
        case "gt":
            return None, None, b
        case "ap":
            return None, b, a
    return None, None, None
