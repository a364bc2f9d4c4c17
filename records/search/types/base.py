"""What every search type has: an index table, rows from an element, a match from a text, modifiers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from django.db import models

from records.errors import InvalidValue, UnsupportedModifier
from records.sql import SQL

ESCAPE = re.compile(r"\\([\\|$,])")


class IndexRow(models.Model):
    """One value of one parameter of one resource; `patient` is the resource's, for distribution by patient."""

    resource = models.BigIntegerField()
    patient = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class Rows:
    """The index rows of one resource: a set for each table, so that nothing is there twice."""

    TABLES = ("token", "reference", "date", "string", "uri", "quantity", "composite", "fulltext", "position", "concept")
    __slots__ = (*TABLES, "inside", "kinds", "parts", "resource")

    def __init__(self, resource=None, inside=MappingProxyType({})):
        self.resource = resource
        self.inside = inside  # what a local reference ("#m1") stands for, by the key of its target
        self.parts, self.kinds = [], frozenset()  # of what it contains: see indexing.contained
        self.token, self.reference, self.date, self.string = set(), set(), set(), set()
        self.uri, self.quantity, self.composite, self.concept = set(), set(), set(), set()
        self.fulltext, self.position = set(), set()

    def tables(self):
        return {name: getattr(self, name) for name in self.TABLES}

    def __eq__(self, other):
        return isinstance(other, Rows) and self.tables() == other.tables()

    __hash__ = None


@dataclass(frozen=True)
class Match:
    """The index rows that satisfy a criterion: `where` over alias i of `table`.

    In the tables that carry `occurred` the same is said by `keys`: equalities on `columns`, the leading columns of
    (..., occurred, resource), so that one key is a range of the index in clinical order.
    """

    table: str
    where: SQL
    columns: tuple[str, ...] = ()
    keys: tuple[tuple[int, ...], ...] = ()
    unique: bool = False  # names a business identifier: few rows
    ranges: tuple[SQL, ...] = ()  # the same rows as ranges of an index that has `occurred` too, perhaps one row twice
    low: int | None = None  # bounds that the match puts on the resource's own `occurred`
    high: int | None = None
    floor: int | None = None  # or that the date ends at this moment or later, whenever it began
    through: Callable | None = None  # (access) -> `where`, of a match that passes over other resources to get there


@dataclass(frozen=True)
class Not:
    """No row matches: also true of a resource without the element. (search.html#modifiers)"""

    match: Match


@dataclass(frozen=True)
class Any:
    """At least one of several matches, perhaps of several tables."""

    matches: tuple


def modifier(name):
    """Marks the method of a search type that answers `parameter:name=...`."""

    def mark(method):
        method.modifier = name
        return method

    return mark


class SearchType:
    """Base: a subclass sets kind and table, and says rows and match."""

    kind = None
    table = None
    sort_key = None  # SQL of the order, over {0} rows
    sort_type = "bigint"
    modifiers: dict  # name -> method, gathered from @modifier
    ignored = frozenset()  # data types that an expression may yield and this kind cannot hold

    def __init_subclass__(cls):
        cls.modifiers = {
            m.modifier: name
            for base in reversed(cls.__mro__)
            for name, m in vars(base).items()
            if hasattr(m, "modifier")
        }

    def emitter(self, param, route):
        """Function (item, rows) for items of the route's data type; None for one the kind cannot hold."""
        raise NotImplementedError

    def match(self, param, texts):
        """What rows satisfy one of the texts."""
        raise NotImplementedError

    def implied(self, param, texts):
        """A match by rows in clinical order that is true wherever this one is, or None."""
        return None

    def modified(self, name, param, texts):
        """What rows satisfy one of the texts under a modifier."""
        if name not in self.modifiers:
            known = ", ".join(sorted([*self.modifiers, "missing"]))
            raise UnsupportedModifier(param.code, name, f"a {self.kind} takes {known}")
        return getattr(self, self.modifiers[name])(param, texts)

    compares: dict = {}  # operator of _filter -> the modifier that means it
    operators: tuple = ()  # of _filter that a type compares by itself

    def compared(self, operator, param, text):
        """What rows satisfy `param operator text` of _filter. (search_filter.html#ops)"""
        if operator == "eq":
            return self.match(param, (text,))
        if operator == "ne":
            return Not(self.match(param, (text,)))
        if operator not in self.compares:
            known = ", ".join(sorted({"eq", "ne", "pr", *self.compares, *self.operators}))
            raise UnsupportedModifier(param.code, operator, f"in _filter a {self.kind} takes {known}")
        return self.modified(self.compares[operator], param, (text,))

    def sort(self, param, descending, alias, row="r", seen=None):
        """(key, its SQL type, join) of an order of rows by the parameter: its least value, or its greatest to descend.

        A resource without the element counts as the smallest. `seen`: (types, alias) -> which rows of these the
        actor may see, for an order that depends on other rows.
        """
        rows = f"{alias}.resource = {row}.pk AND {alias}.param = %s"
        end = f"{alias}.top" if descending else f"{alias}.n = 0"
        join = SQL(f"LEFT JOIN {self.table} {alias} ON {rows} AND {end}", (param.key,))
        return self.sort_key.format(alias), self.sort_type, join

    def present(self, param):
        """Rows that show that the resource has the element at all."""
        return Match(self.table, SQL("i.param = %s", (param.key,)))


TYPES: dict[str, SearchType] = {}


def search_type(cls):
    """Registers a search type under its kind."""
    TYPES[cls.kind] = cls()
    return cls


def split(text, mark):
    """Parts between unescaped marks, escapes kept. (search.html#escaping)"""
    if mark not in text:
        return [text]
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def unescape(text):
    r"""The text meant: \, \| \$ \\ are the bare characters."""
    return ESCAPE.sub(r"\1", text) if "\\" in text else text


def literal(text):
    """A text as part of a LIKE pattern."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def invalid(param, text, expected):
    """The error of a value that the parameter cannot take."""
    return InvalidValue(param.code, text, expected)
