"""string: starts with the value, whatever case, accents, hyphens and apostrophes. (search.html#string)"""

from django.db import models
from django.db.models.functions import Left

from records.sql import SQL, any_of

from .base import IndexRow, Match, Not, Rows, SearchType, invalid, literal, modifier, search_type, unescape
from .folding import fold, without_particles
from .phonetic import sound

PREFIX = 100  # of a long text, what the index holds
LAST = "\U0010ffff"


class String(IndexRow):
    """`exact` is the element as written; null in the rows that only make a name easier to find."""

    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    top = models.BooleanField()
    folded = models.TextField(db_collation="C")
    exact = models.TextField(null=True, db_collation="C")

    class Meta:
        db_table = "string"
        indexes = [models.Index("param", Left("folded", PREFIX), "resource", name="string_folded")]


@search_type
class StringType(SearchType):
    kind = "string"
    table = "string"
    operators = ("co", "ew", "sw")
    sort_key = "coalesce({0}.folded, '')"
    sort_type = "text"

    # write side

    def emitter(self, param, route):
        if param.code == "phonetic":
            return self._sounds(param, route)
        make = {"HumanName": self._name, "Address": self._address}.get(route.type)
        if make:
            return make(param)
        number = param.key
        if route.type not in ("string", "markdown", "code", "uri", "id"):
            return None
        if param.code == "family":

            def family(value, rows):
                text(value, rows)
                for shorter in without_particles(fold(value)):
                    rows.string.add((number, shorter, None))

        def text(value, rows):
            rows.string.add((number, fold(value), value))

        return family if param.code == "family" else text

    def _name(self, param):
        """Each part, and the whole in both orders: people write "Marie Curie" and "CURIE Marie"."""
        number = param.key

        def emit(name, rows):
            given = [g for g in name.get("given", ()) if g]
            family = name.get("family")
            for part in (*given, *name.get("prefix", ()), *name.get("suffix", ()), name.get("text"), family):
                if part:
                    rows.string.add((number, fold(part), part))
            if family:
                folded = fold(family)
                for shorter in without_particles(folded):
                    rows.string.add((number, shorter, None))
                if given:
                    first = fold(" ".join(given))
                    rows.string.add((number, f"{first} {folded}", None))
                    rows.string.add((number, f"{folded} {first}", None))
                    if len(given) > 1:
                        rows.string.add((number, f"{fold(given[0])} {folded}", None))

        return emit

    def _sounds(self, param, route):
        """How each part of a name sounds, and the whole in both orders."""
        number = param.key
        if route.type == "string":
            return lambda value, rows: rows.string.add((number, sound(fold(value)), None))
        if route.type != "HumanName":
            return None
        written = self._name(param)

        def emit(name, rows):
            apart = Rows()
            written(name, apart)
            for _, folded, _ in apart.string:
                rows.string.add((number, sound(folded), None))

        return emit

    def _address(self, param):
        number = param.key
        single = ("city", "district", "state", "postalCode", "country", "text")

        def emit(address, rows):
            for part in (*(line for line in address.get("line", ()) if line), *(address.get(key) for key in single)):
                if part:
                    rows.string.add((number, fold(part), part))

        return emit

    # read side

    def compared(self, operator, param, text):
        """eq and ne compare the whole, whatever case and accents; co, sw and ew a part of it."""
        value = fold(self._value(param, text))
        head = SQL(f"left(i.folded, {PREFIX}) = %s AND i.folded = %s", (value[:PREFIX], value))
        match operator:
            case "eq":
                return self._rows(param, head)
            case "ne":
                return Not(self._rows(param, head))
            case "ew":
                return self._rows(param, SQL("i.folded LIKE %s", ("%" + literal(value),)))
            case "sw":
                return self.match(param, (text,))
            case "co":
                return self.contains(param, (text,))
        return super().compared(operator, param, text)

    def match(self, param, texts):
        return self._rows(param, any_of(self._starts(param, text) for text in texts))

    def _starts(self, param, text):
        folded = fold(self._value(param, text))
        if param.code == "phonetic":
            return SQL(f"left(i.folded, {PREFIX}) = %s", (sound(folded)[:PREFIX],))
        head = folded[:PREFIX]
        found = SQL(f"left(i.folded, {PREFIX}) >= %s AND left(i.folded, {PREFIX}) < %s", (head, head + LAST))
        return found & SQL("starts_with(i.folded, %s)", (folded,)) if len(folded) > PREFIX else found

    def _value(self, param, text):
        value = unescape(text)
        if not value.strip() or "\x00" in value:
            raise invalid(param, text, "expected a text")
        return value

    def _rows(self, param, where):
        return Match("string", SQL("i.param = %s", (param.key,)) & where)

    @modifier("exact")
    def exact(self, param, texts):
        """The whole text as written."""
        values = [self._value(param, text) for text in texts]
        heads = [fold(v)[:PREFIX] for v in values]
        return self._rows(param, SQL(f"left(i.folded, {PREFIX}) = ANY(%s) AND i.exact = ANY(%s)", (heads, values)))

    @modifier("contains")
    def contains(self, param, texts):
        """The value anywhere in the text."""
        values = [fold(self._value(param, text)) for text in texts]
        return self._rows(param, any_of(SQL("i.folded LIKE %s", (f"%{literal(v)}%",)) for v in values))
