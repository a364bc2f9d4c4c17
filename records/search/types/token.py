"""token: a code, identifier or flag, perhaps with its system. (search.html#token)

A row holds the hash of a whole answer: of (parameter, code), of (parameter, system, code), of (parameter, system).
With the clinical date in the key, "newest 50 with this code" is a walk along the primary key.
"""

import re
from functools import lru_cache

from django.db import models

from records import keys
from records.definitions import valuesets
from records.errors import UnsupportedModifier
from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.sql import FALSE, SQL

from .base import IndexRow, Match, Not, SearchType, invalid, modifier, search_type, split, unescape
from .folding import fold

# Code systems whose codes mean the same in any case (CodeSystem.caseSensitive = false).
CASELESS = frozenset(("http://loinc.org", "http://snomed.info/sct"))
SPECIAL = "http://hl7.org/fhir/special-values"  # the system of true and false
LETTERED = re.compile(r"(?i)(?:l[aglp]|mthu)\d+(?:-\d)?")  # the codes of LOINC that have letters
CONTACTS = frozenset(("phone", "email", "telecom"))  # the parameters whose values are ContactPoints
VALUES = frozenset(("Identifier", "ContactPoint", "string", "uri", "canonical", "id"))
PHONE = frozenset("0123456789 +-.()/")


class Token(IndexRow):
    pk = models.CompositePrimaryKey("key", "occurred", "resource")
    key = models.BigIntegerField()
    occurred = models.BigIntegerField()
    param = models.BigIntegerField()

    class Meta:
        db_table = "token"
        indexes = [models.Index(fields=["resource", "param"], name="token_resource")]


class Concept(models.Model):
    """Texts by which a token is known: one row per distinct text, not per resource. For :text and sorting."""

    pk = models.CompositePrimaryKey("param", "key", "folded")
    param = models.BigIntegerField()
    key = models.BigIntegerField()  # of token rows
    code = models.TextField(null=True)
    folded = models.TextField(db_collation="C")

    class Meta:
        db_table = "concept"


@lru_cache(16384)
def coded(type, code, system, value):
    """Keys of a coded value: without system, with it, and the system alone."""
    plain, caseless = keys.key(type, code, "c", value), ()
    if system in CASELESS:
        value, given = value.lower(), value
        if LETTERED.fullmatch(given):
            caseless = (keys.key(type, code, "ci", value),)
    if not system:
        return (keys.key(type, code, "sc", "", value), plain)
    return (keys.key(type, code, "sc", system, value), plain, keys.key(type, code, "s", system), *caseless)


uncached = coded.__wrapped__


def order_key(type, code):
    """The parameter of the string rows by which values that are no codes are sorted."""
    return keys.key(type, code, "order")


def has_values(param):
    """Is the parameter one of identifiers, contacts or texts, of which no two need be alike?"""
    return bool(data_types(param) & VALUES)


def identifies(param):
    """May it have values that are Identifiers?"""
    found = data_types(param)
    return not found or "Identifier" in found


def data_types(param):
    """What its expression yields; empty when only the data can say."""
    try:
        routes = plain.routes(param.expression, param.type)
    except NotSimple:
        return frozenset()
    return frozenset(("boolean",)) if callable(routes) else frozenset(route.type for route in routes)


implied = lru_cache(4096)(valuesets.system_of)


@lru_cache(4096)
def known_as(type, code, text):
    """A text folded, and the key of the token rows that are known by it."""
    folded = fold(text)
    return folded, keys.key(type, code, "t", folded)


def contact(value):
    """A telephone number as its digits, a mail address in lower case: "+33 1.23" is "+33123"."""
    if "@" in value:
        return value.lower()
    if PHONE.issuperset(value):
        return "".join(c for c in value if c.isdigit() or c == "+")
    return value


@search_type
class TokenType(SearchType):
    kind = "token"
    table = "token"
    compares = {"ss": "above", "sb": "below", "in": "in", "ni": "not-in", "co": "text"}
    ignored = frozenset()

    # write side

    def emitter(self, param, route):
        make = getattr(self, f"_{route.type}", None)
        return make(param, route) if make else None

    def _Coding(self, param, route):
        type, code, number = param.type, param.code, param.key

        def emit(coding, rows):
            value = coding.get("code")
            if value is None:
                if system := coding.get("system"):
                    rows.token.add((keys.key(type, code, "s", system), number))
                return
            found = coded(type, code, coding.get("system"), value)
            for key in found:
                rows.token.add((key, number))
            rows.concept.add((number, found[0], value, ""))
            if display := coding.get("display"):
                self._known_as(rows, param, display)

        return emit

    def _known_as(self, rows, param, text):
        """A row for a text by which a token is known, for :text."""
        folded, key = known_as(param.type, param.code, text)
        rows.token.add((key, param.key))
        rows.concept.add((param.key, key, None, folded))

    def _CodeableConcept(self, param, route):
        coding = self._Coding(param, route)

        def emit(concept, rows):
            for one in concept.get("coding", ()):
                coding(one, rows)
            if text := concept.get("text"):
                self._known_as(rows, param, text)

        return emit

    def _Identifier(self, param, route):
        type, code, number = param.type, param.code, param.key
        ordered = order_key(type, code)

        def emit(identifier, rows):
            value, system = identifier.get("value"), identifier.get("system")
            if value is not None:
                rows.string.add((ordered, fold(value), None))
                for key in uncached(type, code, system, value):
                    rows.token.add((key, number))
                for coding in identifier.get("type", {}).get("coding", ()):
                    key = keys.key(type, code, "type", coding.get("system", ""), coding.get("code", ""), value)
                    rows.token.add((key, number))
            elif system:
                rows.token.add((keys.key(type, code, "s", system), number))
            if text := identifier.get("type", {}).get("text"):
                self._known_as(rows, param, text)

        return emit

    def _ContactPoint(self, param, route):
        type, code, number = param.type, param.code, param.key

        ordered = order_key(type, code)

        def emit(point, rows):
            if value := point.get("value"):
                rows.string.add((ordered, fold(value), None))
                for key in uncached(type, code, None, contact(value)):
                    rows.token.add((key, number))

        return emit

    def _code(self, param, route):
        type, code, number = param.type, param.code, param.key

        def emit(value, rows):
            found = coded(type, code, self.system(route, value), value)
            for key in found:
                rows.token.add((key, number))
            rows.concept.add((number, found[0], value, ""))

        return emit

    def system(self, route, value):
        """The code system that the binding of a `code` implies. (search.html#token)"""
        return implied(route.binding[1], value) if route.binding and route.binding[0] == "required" else None

    def _boolean(self, param, route):
        type, code, number = param.type, param.code, param.key

        def emit(value, rows):
            text = "true" if value else "false"
            found = coded(type, code, SPECIAL, text)
            for key in found:
                rows.token.add((key, number))
            rows.concept.add((number, found[0], text, ""))

        return emit

    def _text(self, param, route):
        type, code, number = param.type, param.code, param.key

        ordered = order_key(type, code)

        def emit(value, rows):
            rows.string.add((ordered, fold(str(value)), None))
            for key in uncached(type, code, None, str(value)):
                rows.token.add((key, number))

        return emit

    _string = _uri = _canonical = _id = _url = _oid = _uuid = _integer = _positiveInt = _unsignedInt = _text

    # read side

    def keys(self, param, text):
        """The keys any of which a row must have to match `code`, `system|code`, `|code` or `system|`."""
        type, code = param.type, param.code
        parts = [unescape(p) for p in split(text, "|")]
        if code in CONTACTS and parts[-1]:
            value = parts[-1]
            parts[-1] = contact("+" + value[1:] if value[0] == " " else value)  # a + that was not escaped in the URL
        if len(parts) == 1 and parts[0]:
            value = parts[0]
            found = [keys.key(type, code, "c", value)]
            if LETTERED.fullmatch(value):
                found.append(keys.key(type, code, "ci", value.lower()))
            return found
        if len(parts) == 2 and any(parts):
            system, value = parts
            if not value:
                return [keys.key(type, code, "s", system)]
            return [keys.key(type, code, "sc", system, value.lower() if system in CASELESS else value)]
        raise invalid(param, text, "expected code, system|code, |code or system|")

    def sort(self, param, descending, alias, row="r", seen=None):
        """By code, or by the value of an identifier, contact or text."""
        least = "max" if descending else "min"
        if has_values(param):
            join = SQL(
                f"LEFT JOIN LATERAL (SELECT {least}(i.folded) AS code FROM string i"
                f" WHERE i.resource = {row}.pk AND i.param = %s) {alias} ON TRUE",
                (order_key(param.type, param.code),),
            )
            return f"coalesce({alias}.code, '')", "text", join
        join = SQL(
            f"LEFT JOIN LATERAL (SELECT {least}(c.code) AS code FROM token t JOIN concept c ON c.param = t.param"
            f" AND c.key = t.key WHERE t.resource = {row}.pk AND t.param = %s) {alias} ON TRUE",
            (param.key,),
        )
        return f"coalesce({alias}.code, '')", "text", join

    def match(self, param, texts):
        return rows_with(k for text in texts for k in self.keys(param, text))

    @modifier("not")
    def not_(self, param, texts):
        return Not(self.match(param, texts))

    @modifier("text")
    def text(self, param, texts):
        """The text, or a word in it, starts with the value, whatever case and accents."""
        return self._by_text(param, texts)

    @modifier("code-text")
    def code_text(self, param, texts):
        """As :text. (R5's name for it on code)"""
        return self._by_text(param, texts)

    def _by_text(self, param, texts):
        patterns = []
        for text in texts:
            folded = fold(unescape(text)).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            patterns += [folded + "%", "% " + folded + "%"]
        where = SQL(
            "i.key = ANY(ARRAY(SELECT key FROM concept WHERE param = %s AND folded LIKE ANY(%s)))",
            (param.key, patterns),
        )
        return Match("token", where)

    @modifier("of-type")
    def of_type(self, param, texts):
        """`system|code|value`: an identifier of that type with that value. (search.html#of-type)"""
        if not identifies(param):
            raise UnsupportedModifier(param.code, "of-type", "it is for parameters of an Identifier")
        found = []
        for text in texts:
            parts = [unescape(p) for p in split(text, "|")]
            if len(parts) != 3 or not parts[1] or not parts[2]:
                raise invalid(param, text, "expected system|code|value, of the type and of the identifier")
            found.append(keys.key(param.type, param.code, "type", *parts))
        return rows_with(found, unique=True)

    @modifier("in")
    def in_(self, param, texts):
        """A code of the value set. (search.html#token)"""
        from ..terminology import CannotExpand, expansion

        found = []
        for text in texts:
            try:
                codes = expansion(unescape(text))
            except CannotExpand as fault:
                raise invalid(param, text, str(fault)) from None
            found += [k for system, code in codes.pairs for k in self._exactly(param, system, code)]
            found += [keys.key(param.type, param.code, "s", system) for system in codes.systems]
        return rows_with(found) if found else Match("token", FALSE)

    @modifier("not-in")
    def not_in(self, param, texts):
        """No code of the value set."""
        return Not(self.in_(param, texts))

    @modifier("below")
    def below(self, param, texts):
        """A code that the value subsumes, or the value itself."""
        from ..terminology import below

        return self._subsumed(param, texts, below)

    @modifier("above")
    def above(self, param, texts):
        """A code that subsumes the value, or the value itself."""
        from ..terminology import above

        return self._subsumed(param, texts, above)

    def _subsumed(self, param, texts, closure):
        from ..terminology import CannotExpand

        found = []
        for text in texts:
            parts = [unescape(p) for p in split(text, "|")]
            if len(parts) != 2 or not all(parts):
                raise invalid(param, text, "expected system|code")
            try:
                codes = closure(*parts)
            except CannotExpand as fault:  # the code alone would be taken for all that it subsumes
                raise invalid(param, text, str(fault)) from None
            found += [k for code in codes for k in self._exactly(param, parts[0], code)]
        return rows_with(found)

    def _exactly(self, param, system, code):
        return [keys.key(param.type, param.code, "sc", system or "", code.lower() if system in CASELESS else code)]


def rows_with(found, unique=False):
    """Token rows with one of the keys."""
    found = tuple(dict.fromkeys(found))
    where = SQL("i.key = %s", found) if len(found) == 1 else SQL("i.key = ANY(%s)", (list(found),))
    return Match("token", where, ("key",), tuple((k,) for k in found), unique)
