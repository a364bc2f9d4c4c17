"""Bytes <-> resource: which format the client sends and wants, and the answer in it. (http.html#mime-type)"""

import base64
import re
import zlib
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client wants to receive; `raw` when it asked for no FHIR format at all (Binary may answer so)."""

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


def wanted(accept, query):
    """_format wins over Accept; NotAcceptable when neither names a format served. (http.html#2.21.0.6.1)"""
    pretty = query.get("_pretty") == "true"
    asked = query.get("_format")
    if asked is not None:
        name = media_type(asked.replace(" ", "+"))[0]
        if name not in NAMES:
            raise errors.NotAcceptable(asked)
        return Wanted(NAMES[name], pretty)
    choices = []
    for position, part in enumerate((accept or "*/*").split(",")):
        name, parameters = media_type(part)
        try:
            weight = float(parameters.get("q", 1))
        except ValueError:
            weight = 0.0
        if weight > 0 and name:
            choices.append((-weight, position, name, parameters))
    best = None
    for _, _, name, parameters in sorted(choices):
        if parameters.get("fhirversion", "4.0") not in VERSIONS:
            continue
        if name in NAMES:
            return Wanted(NAMES[name], pretty)
        if name in ("*/*", "application/*") and best is None:
            best = Wanted(JSON, pretty, raw=True)
    if best is None:
        best = Wanted(JSON, pretty, raw=True) if any("fhir" not in c[2] for c in choices) else None
        if best is None or all(c[2].startswith("text/html") for c in choices):
            raise errors.NotAcceptable(accept)
        return Wanted(JSON, pretty, raw=accept)
    return best


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
    return plain


def tree(data, content_type, path):
    """(tree, patch format) of a request body; a Binary may be any content. (binary.html#rest)"""
    name, parameters = media_type(content_type)
    reader = READERS.get(name)
    is_binary = re.match(r"Binary(/[A-Za-z0-9\-.]{1,64})?/?\Z", path) is not None
    if is_binary and name and reader not in ("json", "xml", "json-patch", "xml-patch"):
        return {"resourceType": "Binary", "contentType": content_type, "data": base64.b64encode(data).decode()}, None
    if is_binary and name in ("application/json", "text/json", "application/xml", "text/xml"):
        return {"resourceType": "Binary", "contentType": content_type, "data": base64.b64encode(data).decode()}, None
    if not data:
        return None, None
    if reader in (None, "form", "xml-patch"):
        raise errors.UnsupportedMediaType(
            f"Content-Type {content_type!r} is not supported here; send {JSON} or {XML}"
            + (", or application/json-patch+json for a patch." if reader == "xml-patch" else ".")
        )
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise errors.UnsupportedMediaType(f"The charset {parameters['charset']!r} is not supported; send UTF-8.")
    if parameters.get("fhirversion", "4.0") not in VERSIONS:
        raise errors.UnsupportedMediaType(f"FHIR version {parameters['fhirversion']!r} is not served; 4.0 is.")
    if reader == "json-patch":
        return fhir_json.parse(data, list), "json"
    if reader == "xml":
        return fhir_xml.parse(data), "fhirpath"
    return fhir_json.parse(data), "fhirpath"


def rendered(body, wanted):
    """Bytes of a body (stored bytes or a tree) in the format wanted."""
    if wanted.format == JSON:
        if isinstance(body, bytes | memoryview) and not wanted.pretty:
            return bytes(body)
        return (fhir_json.dump_pretty if wanted.pretty else fhir_json.dump)(plain(body))
    return fhir_xml.dump(plain(body))


def plain(body):
    """The tree of a body, whatever raw parts it was put together from."""
    return fhir_json.parse(bytes(body) if isinstance(body, bytes | memoryview) else fhir_json.dump(body))
