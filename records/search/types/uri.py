"""uri: compared letter by letter. (search.html#uri)"""

from django.db import models
from django.db.models.functions import Left

from records import keys
from records.sql import SQL

from .base import IndexRow, Match, SearchType, invalid, literal, modifier, search_type, unescape

CANONICAL = keys.key("#canonical")  # param of the reference rows by which a resource is found under its own URL
PREFIX = 200  # of a long URL, what the index holds


class Uri(IndexRow):
    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    value = models.TextField(db_collation="C")

    class Meta:
        db_table = "uri"
        indexes = [models.Index("param", Left("value", PREFIX), "resource", name="uri_value")]


@search_type
class UriType(SearchType):
    kind = "uri"
    table = "uri"
    compares = {"ss": "above", "sb": "below", "sw": "below"}

    # write side

    def emitter(self, param, route):
        number = param.key
        if route.type not in ("uri", "url", "canonical", "oid", "uuid"):
            return None
        if param.code != "url":
            return lambda value, rows: rows.uri.add((number, value))

        def emit(value, rows):
            rows.uri.add((number, value))
            rows.reference.add((CANONICAL, keys.key(value)))

        return emit

    # read side

    def sort(self, param, descending, alias, row="r", seen=None):
        least = "max" if descending else "min"
        join = SQL(
            f"LEFT JOIN LATERAL (SELECT {least}(i.value) AS value FROM uri i"
            f" WHERE i.resource = {row}.pk AND i.param = %s) {alias} ON TRUE",
            (param.key,),
        )
        return f"coalesce({alias}.value, '')", "text", join

    def match(self, param, texts):
        """Equal; a canonical with a version is also found without it."""
        values = [self._value(param, text) for text in texts]
        heads = [v[:PREFIX] for v in values]
        exact = SQL(f"left(i.value, {PREFIX}) = ANY(%s) AND i.value = ANY(%s)", (heads, values))
        if not param.code.startswith("_profile"):
            return self._rows(param, exact)
        versions = [literal(v) + "|%" for v in values if "|" not in v]
        return self._rows(param, exact | SQL("i.value LIKE ANY(%s)", (versions,)))

    def _value(self, param, text):
        value = unescape(text)
        if not value:
            raise invalid(param, text, "expected a URI")
        return value

    def _rows(self, param, where):
        return Match("uri", SQL("i.param = %s", (param.key,)) & where)

    @modifier("below")
    def below(self, param, texts):
        """URLs that start with the value."""
        patterns = [literal(self._value(param, text)) + "%" for text in texts]
        heads = [p[:PREFIX] if len(p) > PREFIX else p for p in patterns]
        return self._rows(
            param, SQL(f"left(i.value, {PREFIX}) LIKE ANY(%s) AND i.value LIKE ANY(%s)", (heads, patterns))
        )

    @modifier("above")
    def above(self, param, texts):
        """URLs that the value starts with."""
        values = [self._value(param, text) for text in texts]
        heads = sorted({v[:n] for v in values for n in range(1, min(len(v), PREFIX) + 1)})
        starts = "EXISTS (SELECT 1 FROM unnest(%s::text[]) v WHERE starts_with(v, i.value))"
        return self._rows(param, SQL(f"left(i.value, {PREFIX}) = ANY(%s) AND {starts}", (heads, values)))
