"""Bytes <-> resource: which format the client sends and wants, and the answer in it. (http.html#mime-type)"""

import base64
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from records import errors
from records.formats import json as fhir_json
from records.formats import xml as fhir_xml

JSON, XML = "application/fhir+json", "application/fhir+xml"
READERS = {
    JSON: "json", "application/json": "json", "text/json": "json",
    XML: "xml", "application/xml": "xml", "text/xml": "xml",
    "application/json-patch+json": "json-patch", "application/xml-patch+xml": "xml-patch",
    "application/x-www-form-urlencoded": "form",
}  # fmt: skip
NAMES = {
    "json": JSON, "application/json": JSON, "text/json": JSON, JSON: JSON,
    "xml": XML, "application/xml": XML, "text/xml": XML, XML: XML,
}  # fmt: skip
VERSIONS = ("4.0", "4.0.1")
BINARY = re.compile(r"Binary(?:/[A-Za-z0-9\-.]{1,64})?/?\Z")
NDJSON = re.compile(
    r"\$export-file/?\Z"
)  # what is sent is no resource, whatever Accept names; an error is as it prefers
ONE_BINARY = re.compile(r"Binary/[A-Za-z0-9\-.]{1,64}(?:/_history/[0-9]+)?/?\Z")
PATCHES = {"json": "fhirpath", "xml": "fhirpath", "json-patch": "json"}  # reader -> format of the patch


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client wants to receive; `raw` when it asks for a Binary in no format of FHIR: its content."""

    format: str = JSON
    pretty: bool = False
    raw: bool = False


def media_type(header):
    """("application/fhir+json", {"charset": "utf-8"}) of a header value."""
    name, *parameters = header.split(";")
    found = {}
    for part in parameters:
        key, _, value = part.strip().partition("=")
        found[key.lower()] = value.strip('"')
    return name.strip().lower(), found


def wanted(accept, query="", path=""):
    """_format wins over Accept; NotAcceptable when neither names a format served. (http.html#2.21.0.6.1)"""
    asked = {}
    if "_format" in query or "_pretty" in query:
        asked = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
    pretty = asked.get("_pretty") == "true"
    if "_format" in asked:
        name = media_type(asked["_format"].replace(" ", "+"))[0]
        if name not in NAMES:
            raise errors.NotAcceptable(asked["_format"])
        return Wanted(NAMES[name], pretty)
    format, named = negotiated((accept or "*/*").strip())
    raw = not named and ONE_BINARY.match(path) is not None
    if format is None and not raw and not NDJSON.match(path):
        raise errors.NotAcceptable(accept)
    return Wanted(format or JSON, pretty, raw)


@lru_cache(64)
def takes_gzip(header):
    """Does Accept-Encoding allow gzip? (RFC 9110 12.5.3)"""
    codings = {name: weight_of(parameters) for name, parameters in map(media_type, header.split(","))}
    return codings.get("gzip", codings.get("*", 0.0)) > 0


def weight_of(parameters):
    """q of a choice; what is no number is not wanted."""
    try:
        return float(parameters.get("q", 1))
    except ValueError:
        return 0.0


@lru_cache(256)
def negotiated(accept):
    """(the format that an Accept header prefers or None, did it name it). (RFC 9110 12.5.1)"""
    offers = []
    for format in (JSON, XML):
        ranges = [found for position, part in enumerate(accept.split(",")) if (found := covers(part, format, position))]
        specificity, weight, position = max(ranges, default=(0, 0.0, 0))
        if weight > 0:
            offers.append(((weight, specificity, position), format))
    if not offers:
        return None, False
    (_, specificity, _), format = max(offers, key=lambda offer: offer[0])
    return format, specificity == 2


def covers(part, format, position):
    """(specificity, weight, -position) of one range of Accept, or None when it does not cover the format."""
    name, parameters = media_type(part)
    if parameters.get("fhirversion", "4.0") not in VERSIONS:
        return None
    specificity = 2 if NAMES.get(name) == format else {"application/*": 1, "*/*": 0}.get(name)
    if specificity is None:
        return None
    return specificity, weight_of(parameters), -position


def inflated(data, encoding, limit):
    """The body without its Content-Encoding, never more than `limit` bytes of it."""
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise errors.UnsupportedMediaType(f"Content-Encoding {encoding!r} is not supported; use gzip or none.")
    engine = zlib.decompressobj(wbits=31)
    try:
        plain = engine.decompress(data, limit + 1)
    except zlib.error as error:
        raise errors.BadRequest("The body is not valid gzip.") from error
    if len(plain) > limit:
        raise errors.TooLarge(f"The body is larger than {limit} bytes when unpacked.")
    if not engine.eof:
        raise errors.BadRequest("The gzip body is cut short.")
    if engine.unused_data:
        raise errors.BadRequest("The body goes on after the end of its gzip.")
    return plain


def tree(data, content_type, path, method="POST", context=None):
    """(tree, patch format) of a request body; a Binary may be any content. (binary.html#rest)"""
    name, parameters = media_type(content_type)
    reader = READERS.get(name)
    if method != "PATCH" and name and BINARY.match(path) and name not in (JSON, XML):
        return binary(data, content_type, path, context), None
    allowed = ("json", "xml", "json-patch") if method == "PATCH" else ("json", "xml")
    if reader not in allowed and (data or name):
        raise errors.UnsupportedMediaType(
            f"Content-Type {content_type!r} is not supported here; send {JSON} or {XML}"
            + (", or application/json-patch+json." if method == "PATCH" else ".")
        )
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise errors.UnsupportedMediaType(f"The charset {parameters['charset']!r} is not supported; send UTF-8.")
    if parameters.get("fhirversion", "4.0") not in VERSIONS:
        raise errors.UnsupportedMediaType(f"FHIR version {parameters['fhirversion']!r} is not served; 4.0 is.")
    if not data:
        if method == "PATCH":
            raise errors.InvalidStructure("The body is empty; a patch is expected.")
        return None, None
    if reader == "json" and method == "PATCH" and data.lstrip()[:1] == b"[":
        raise errors.UnsupportedMediaType(
            f"The body is an array, as a JSON Patch is: send it as application/json-patch+json; {JSON} is for"
            " a FHIRPath Patch, a Parameters resource."
        )
    if reader == "json-patch":
        return fhir_json.parse(data, list), "json"
    return (fhir_xml if reader == "xml" else fhir_json).parse(data), PATCHES[reader]


def binary(data, content_type, path, context):
    """Content as a Binary; X-Security-Context names the resource whose rules guard it. (binary.html#rest)"""
    found = {"resourceType": "Binary"}
    _, slash, id = path.strip("/").partition("/")
    if slash:
        found["id"] = id
    found["contentType"] = content_type
    if context:
        found["securityContext"] = {"reference": context}
    return found | {"data": base64.b64encode(data).decode()}


def rendered(body, wanted):
    """Bytes of a body (stored bytes or a tree) in the format wanted."""
    if wanted.format == JSON:
        if isinstance(body, bytes | memoryview) and not wanted.pretty:
            return bytes(body)
        return (fhir_json.dump_pretty if wanted.pretty else fhir_json.dump)(plain(body))
    return (fhir_xml.dump_pretty if wanted.pretty else fhir_xml.dump)(plain(body))


def plain(body):
    """The tree of a body, whatever raw parts it was put together from."""
    return fhir_json.parse(bytes(body) if isinstance(body, bytes | memoryview) else fhir_json.dump(body))
