"""What Django gives, as what `parse` takes: headers, body within its bound, and the base URL that the client used."""

import ipaddress
import re
from functools import cache
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost

from records import errors
from records.interactions.parse import Request, pairs

from . import formats

HEADERS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_EXIST", "HTTP_PREFER",
           "HTTP_ACCEPT_LANGUAGE", "HTTP_X_PROVENANCE")  # fmt: skip
HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]+")
PREFIX = re.compile(r"(?:/[A-Za-z0-9._~\-]+)*")
FORWARDED = re.compile(r'(?:^|[;,\s])(host|proto)="?([^";,\s]+)"?', re.I)


def read_request(request, path, data):
    """The Request, its body (bytes) parsed."""
    meta = request.META
    headers = {name[5:].lower().replace("_", "-"): text(meta, name) for name in HEADERS if name in meta}
    form, tree, patch_format = (), None, None
    if request.method in ("POST", "PUT", "PATCH"):
        content_type = meta.get("CONTENT_TYPE", "")
        if path.endswith("_search"):
            form = form_pairs(data, content_type)
        elif data or content_type or request.method == "PATCH":
            tree, patch_format = formats.tree(data, content_type, path, request.method, security_context(meta))
    return Request(
        request.method,
        quote(path, safe="/$*"),  # WSGI decodes the path; whoever decodes it again must find the same
        text(meta, "QUERY_STRING"),
        headers,
        tree,
        base(request),
        form,
        None,
        patch_format,
    )


def text(meta, name):
    """A value of the environment, which WSGI gives as Latin-1 whatever the bytes are. (PEP 3333)"""
    value = meta.get(name, "")
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError as error:
        place = "query" if name == "QUERY_STRING" else f"header {name[5:].replace('_', '-').title()}"
        raise errors.BadRequest(f"The {place} is not UTF-8.") from error


def security_context(meta):
    """X-Security-Context, whose rules shall guard the content; never dropped because it could not be read."""
    if "HTTP_X_SECURITY_CONTEXT" not in meta:
        return None
    found = text(meta, "HTTP_X_SECURITY_CONTEXT").strip()
    if not found:  # so granian hands on what is not ASCII
        raise errors.BadRequest("X-Security-Context is empty; expected a reference such as Patient/1.")
    return found


def form_pairs(data, content_type):
    """Search parameters sent as a form. (http.html#search)"""
    if data and formats.media_type(content_type)[0] != "application/x-www-form-urlencoded":
        raise errors.UnsupportedMediaType(
            f"A _search takes application/x-www-form-urlencoded; Content-Type is {content_type!r}."
        )
    try:
        return pairs(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise errors.BadRequest("The form is not percent-encoded ASCII.") from error


def body(request):
    """The bytes sent, at most FHIRSERVER_MAX_BODY of them, before and after unpacking; none for GET and DELETE."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return b""
    limit = settings.FHIRSERVER_MAX_BODY
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise errors.BadRequest("Content-Length is not a number.") from error
    if announced > limit:
        raise errors.TooLarge(f"The body has {announced} bytes; at most {limit} are accepted.")
    # Django takes a body without Content-Length for an empty one; the server in front has undone the chunks.
    chunked = not request.META.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" in request.META
    data = (request.META["wsgi.input"] if chunked else request).read(limit + 1)
    if len(data) > limit:
        raise errors.TooLarge(f"The body is larger than {limit} bytes.")
    if len(data) < announced:
        raise errors.BadRequest("The body is shorter than its Content-Length.")
    return formats.inflated(data, request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower(), limit)


@cache
def trusted():
    return tuple(ipaddress.ip_network(n, strict=False) for n in settings.FHIRSERVER_TRUSTED_PROXIES)


def from_proxy(request):
    """Does the request come from a proxy that we believe?"""
    return bool(trusted()) and believed(request.META.get("REMOTE_ADDR", ""))


def believed(address):
    """Is it the address of such a proxy?"""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in trusted())


def in_clear(request):
    """Did it come to a proxy that we believe without TLS, from another machine? (SMART: TLS 1.2 on every exchange)

    To this server itself nobody else comes so: see what `up` refuses.
    """
    if not from_proxy(request):
        return False
    parts = urlsplit(base(request))
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


def base(request):
    """Base URL for links and Location: the configured one, or the host that the client used."""
    if settings.FHIRSERVER_BASE_URL:
        return settings.FHIRSERVER_BASE_URL.rstrip("/")
    meta = request.META
    if from_proxy(request):
        forwarded = {k.lower(): v for k, v in FORWARDED.findall(meta.get("HTTP_FORWARDED", "").split(",")[0])}
        host = forwarded.get("host") or meta.get("HTTP_X_FORWARDED_HOST", "").split(",")[0].strip()
        scheme = forwarded.get("proto") or meta.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip()
        prefix = meta.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        prefix = prefix if PREFIX.fullmatch(prefix) else ""
        if HOST.fullmatch(host) and scheme in ("", "http", "https"):
            return f"{scheme or request.scheme}://{host}{prefix}/fhir"
    try:
        return f"{request.scheme}://{request.get_host()}/fhir"
    except DisallowedHost as error:
        raise errors.BadRequest("The Host header names no host that this server answers for.") from error
