"""reference: to another resource, by Type/id, id, URL or canonical. (search.html#reference)"""

import re

from django.conf import settings
from django.db import models

from records import keys
from records.access import Everything
from records.definitions.structures import RESOURCE_TYPES, is_resource_type, structure
from records.errors import UnsupportedModifier
from records.fhirpath.references import literal
from records.sql import SQL

from .base import TYPES, IndexRow, Match, SearchType, invalid, modifier, search_type, unescape
from .token import rows_with, uncached

NOWHERE = keys.key("#")  # of a reference by identifier only, or to nothing inside: it is not missing
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Reference(IndexRow):
    """`target` is keys.identity of the resource pointed at, so that a chain is a join; else the key of the URL."""

    pk = models.CompositePrimaryKey("param", "target", "occurred", "resource")
    param = models.BigIntegerField()
    target = models.BigIntegerField()
    occurred = models.BigIntegerField()

    class Meta:
        db_table = "reference"
        indexes = [models.Index(fields=["resource", "param"], name="reference_resource")]


def local(text):
    """A reference below our own base URL (the setting FHIRSERVER_BASE_URL) without it; any other as it is."""
    base = getattr(settings, "FHIRSERVER_BASE_URL", "")
    return text[len(base) + 1 :] if base and text.startswith(base + "/") else text


def targets(text):
    """Keys a reference is found by: the resource, and the version when it names one; a URL as it is."""
    text = local(text)
    found = literal(text)
    if found is None or found.base or not is_resource_type(found.type):
        url, _, version = text.partition("|")
        return (keys.key(url), keys.key(text)) if version else (keys.key(text),)
    target = keys.identity(found.type, found.id)
    return (target, keys.key(text)) if found.version else (target,)


@search_type
class ReferenceType(SearchType):
    kind = "reference"
    table = "reference"
    operators = ("re",)

    def compared(self, operator, param, text):
        """re is eq: what is referred to."""
        return super().compared("eq" if operator == "re" else operator, param, text)

    # write side

    def emitter(self, param, route):
        make = {
            "Reference": self._reference,
            "canonical": self._url,
            "uri": self._url,
            "url": self._url,
            "Resource": self._resource,
            "Attachment": self._attachment,
        }.get(route.type)
        return make and make(param)

    def _reference(self, param):
        number = param.key
        type, code = param.type, param.code + ":identifier"
        key_of_code = keys.key(type, code)

        def emit(reference, rows):
            text = reference.get("reference")
            if text is None or text.startswith("#"):
                rows.reference.add((number, rows.inside.get(text, NOWHERE)))
            else:
                for target in targets(text):
                    rows.reference.add((number, target))
            identifier = reference.get("identifier")
            if identifier and (value := identifier.get("value")) is not None:
                for key in uncached(type, code, identifier.get("system"), value):
                    rows.token.add((key, key_of_code))

        return emit

    def _url(self, param):
        number = param.key

        def emit(text, rows):
            for target in (rows.inside[text],) if text in rows.inside else targets(text):
                rows.reference.add((number, target))

        return emit

    def _resource(self, param):
        """Bundle.entry[0].resource: the entry itself, by its own identity."""
        number = param.key

        def emit(resource, rows):
            if "id" in resource:
                rows.reference.add((number, keys.identity(resource["resourceType"], resource["id"])))

        return emit

    def _attachment(self, param):
        url = self._url(param)

        def emit(attachment, rows):
            if "url" in attachment:
                url(attachment["url"], rows)

        return emit

    # read side

    def sort(self, param, descending, alias, row="r", seen=None):
        """By the id of the resource referred to; one that the actor may not see is none. (attack A15)"""
        least = "max" if descending else "min"
        visible = seen(param.targets or RESOURCE_TYPES, "t")
        join = SQL(
            f"LEFT JOIN LATERAL (SELECT {least}(t.id) AS id FROM reference i JOIN resource t ON t.identity = i.target"
            f" WHERE i.resource = {row}.pk AND i.param = %s AND NOT t.deleted AND ({visible.text})) {alias} ON TRUE",
            (param.key, *visible.params),
        )
        return f"coalesce({alias}.id, '')", "text", join

    def match(self, param, texts):
        return self._to(param, [t for text in texts for t in self.identities(param, text)])

    def identities(self, param, text, types=None):
        """The targets a value may mean: an id alone is of any type the parameter allows."""
        text = local(unescape(text))
        if not text:
            raise invalid(param, text, "expected Type/id, id or URL")
        if ID.fullmatch(text):
            allowed = types or param.targets or RESOURCE_TYPES
            found = [keys.identity(type, text) for type in allowed if is_resource_type(type)]
            return [*found, keys.key(text)] if not types and _by_url(param.targets) else found
        found = literal(text)
        if found and not found.base and not is_resource_type(found.type):
            raise invalid(param, text, f"{found.type} is not a resource type")
        if found and found.version and not found.base:
            return [keys.key(text)]
        if not found and "/" not in text and ":" not in text:
            raise invalid(param, text, "expected Type/id, id or URL")
        return [keys.key(text)] if "|" in text else [targets(text)[0]]

    def typed(self, param, type, texts):
        """`subject:Patient=1`: only references to that type. (search.html#reference)"""
        found = []
        for text in texts:
            if "/" in text and (parts := literal(unescape(text))) and parts.type != type:
                continue
            found += self.identities(param, text, (type,))
        return self._to(param, found)

    def _to(self, param, found):
        found = tuple(dict.fromkeys(found))
        if len(found) == 1:
            where = SQL("i.param = %s AND i.target = %s", (param.key, *found))
        else:
            where = SQL("i.param = %s AND i.target = ANY(%s)", (param.key, list(found)))
        return Match("reference", where, ("param", "target"), tuple((param.key, t) for t in found))

    @modifier("below")
    def below(self, param, texts):
        """To one of these, or to what is below it in the hierarchy of the parameter: `partof:below`."""
        join = "JOIN resource t ON t.pk = b.resource"
        return self._hierarchy("below", param, texts, "b.target = c.target", "t.identity", join)

    @modifier("above")
    def above(self, param, texts):
        """To one of these, or to what is above it."""
        return self._hierarchy(
            "above", param, texts, "t.identity = c.target AND b.resource = t.pk", "b.target", "JOIN resource t ON TRUE"
        )

    def _hierarchy(self, modifier, param, texts, on, reached, join):
        if param.type not in param.targets:
            raise UnsupportedModifier(param.code, modifier, f"it does not refer to another {param.type}")
        found = list(dict.fromkeys(t for text in texts for t in self.identities(param, text, (param.type,))))

        def through(access):
            """A step leads over resources that the actor may see, and over no other. (attack A13)"""
            seen = access.resources("search", param.type, "t")
            closure = (
                "WITH RECURSIVE c(target) AS (SELECT unnest(%s::bigint[])"
                f" UNION SELECT {reached} FROM c, reference b {join} WHERE b.param = %s AND {on} AND NOT t.deleted"
                f" AND ({seen.text})) SELECT target FROM c"
            )
            where = f"i.param = %s AND i.target = ANY(ARRAY({closure}))"
            return SQL(where, (param.key, found, param.key, *seen.params))

        return Match("reference", through(Everything()), through=through)

    @modifier("identifier")
    def identifier(self, param, texts):
        """By Reference.identifier, whatever the resource it stands for. (search.html#identifier)"""
        tokens = TYPES["token"]
        return rows_with((k for text in texts for k in tokens.keys(_Named(param), text)), unique=True)


def _by_url(types):
    """May one of these types, of any when there are none, be referred to by its canonical URL?"""
    return not types or any("url" in structure(type).elements for type in types)


class _Named:
    """A parameter under the code of its identifiers."""

    def __init__(self, param):
        self.type, self.code, self.kind = param.type, param.code + ":identifier", param.kind
