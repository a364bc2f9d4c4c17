"""(method, URL, headers, body) -> Interaction: for an HTTP request and for a Bundle entry alike. (http.html#general)"""

import re
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from .. import errors, operations
from ..definitions.structures import RESOURCE_TYPES
from .interaction import KEPT_ELSEWHERE, VERBS, Conditions, Interaction

ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}\Z")  # not . and .., which no URL can name (RFC 3986 5.2.4)
SERVED = frozenset(RESOURCE_TYPES) - {"Parameters"}  # Parameters has no endpoint (parameters.html)
OF_THE_FORMAT = frozenset(("_format", "_pretty"))
MOST_PARAMETERS = 1000


class Request(NamedTuple):
    """What a client or a Bundle entry asks, body already a tree."""

    method: str
    path: str  # below the base, still percent-encoded
    query: str
    headers: dict  # lower-case names
    body: object
    base: str
    form: tuple = ()  # pairs of a form body
    full_url: str | None = None
    patch_format: str | None = None


def parse(request):
    """The Interaction; an error says which part of the URL is not known or not allowed."""
    method = "GET" if request.method == "HEAD" else request.method
    segments = segments_of(request.path)
    prefer = preferences(request.headers.get("prefer", ""))
    common = {
        "method": method,
        "parameters": pairs(request.query) + request.form,
        "body": request.body,
        "conditions": conditions(request.headers),
        "base": request.base,
        "url": request.path.strip("/") + (f"?{request.query}" if request.query else ""),
        "prefer_return": prefer.get("return"),
        "strict": prefer.get("handling") == "strict",
        "lenient": prefer.get("handling") == "lenient",
        "asynchronous": "respond-async" in prefer,
        "full_url": request.full_url,
        "patch_format": request.patch_format,
        "language": request.headers.get("accept-language", ""),
        "provenance": request.headers.get("x-provenance"),
    }
    if segments and segments[-1].startswith("$"):
        return an_operation(request.method, segments, common)
    return a_verb(method, segments, common)


def segments_of(path):
    """The path between its slashes, decoded once."""
    try:
        segments = tuple(unquote(s, errors="strict") for s in path.strip("/").split("/"))
    except UnicodeDecodeError as error:
        raise errors.BadRequest("The URL is not UTF-8.") from error
    return () if segments == ("",) else segments


def pairs(query):
    """(name, value) of a query string, without the parameters of the format."""
    try:
        found = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeDecodeError as error:
        raise errors.BadRequest("The query is not UTF-8.") from error
    except ValueError as error:
        raise errors.TooCostly(f"The query has more than {MOST_PARAMETERS} parameters.") from error
    for name, value in found:
        if "\x00" in name or "\x00" in value:
            raise errors.BadRequest("The query holds a NUL character.")
    return tuple((n, v) for n, v in found if n not in OF_THE_FORMAT)


def conditions(headers):
    """The conditional headers; a date that is none is no condition. (RFC 9110 13.1.3)"""
    for name in ("if-match", "if-none-match", "if-none-exist"):
        if not headers.get(name, "-").strip():  # a web server may hand on as empty what is not ASCII
            raise errors.BadRequest(f"The condition {name} is empty; expected ASCII, other characters percent-encoded.")
    since = None
    if "if-modified-since" in headers:
        try:
            since = parsedate_to_datetime(headers["if-modified-since"])
        except (ValueError, TypeError):
            since = None
        if since is not None and since.tzinfo is None:
            since = None
    return Conditions(headers.get("if-match"), headers.get("if-none-match"), since, headers.get("if-none-exist"))


def preferences(header):
    """Prefer as a dict: return, handling, respond-async, which has no value. (RFC 7240)"""
    found = {}
    for part in re.split(r"[,;]", header):
        name, _, value = part.strip().partition("=")
        found[name.strip().lower()] = value.strip().strip('"')
    return found


def require_type(name):
    if name not in SERVED:
        raise unknown_type(name)
    return name


def unknown_type(name):
    """The refusal of what is no type, with the type that was probably meant: names are told apart by case."""
    from difflib import get_close_matches

    types = {type.lower(): type for type in sorted(SERVED)}
    near = get_close_matches(name.lower()[:64], types, 1)
    return errors.UnknownType(name, f"; did you mean {types[near[0]]!r}?" if near else ".")


def require_id(text):
    if not (isinstance(text, str) and ID.match(text)):
        raise errors.InvalidId(text)
    return text


def an_operation(method, segments, common):
    """[type/[id/[_history/version/]]]$name."""
    *before, last = segments
    type = require_type(before[0]) if before else None
    id = require_id(before[1]) if len(before) > 1 else None
    version = before[3] if len(before) == 4 and before[2] == "_history" else None
    if len(before) > 2 and version is None:
        raise errors.UnknownURL(quote("/".join(segments)))
    level = ("system", "type", "instance", None, "version")[len(before)]
    operation = operations.find(last[1:], level, type)
    if operation is None:
        known = ", ".join("$" + n for n in operations.names(level, type)) or "none"
        raise errors.UnknownOperation(last, known)
    methods = {"HEAD": not operation.affects_state, "GET": operation.by_get, "POST": True,
               "DELETE": operation.on_delete is not None}  # fmt: skip
    if not methods.get(method):
        allowed = ", ".join(name for name in methods if methods[name] and name != "HEAD")
        raise errors.MethodNotAllowed(method, allowed, headers={"Allow": allowed})
    name = operation.on_delete if method == "DELETE" else operation.name
    return Interaction("operation", level, type, id, version, name, **common)


def a_verb(method, segments, common):
    """One of the registered verbs, or a compartment search."""
    allowed = set()
    for verb in VERBS:
        bound = match(verb.pattern, segments)
        if bound is None:
            continue
        if verb.code not in KEPT_ELSEWHERE.get(bound.get("type"), (verb.code,)):
            continue
        if verb.method != method:
            allowed.add(verb.method)
            continue
        if "type" in bound:
            require_type(bound["type"])
        if "id" in bound:
            require_id(bound["id"])
        return Interaction(verb.code, verb.level, bound.get("type"), bound.get("id"), bound.get("version"), **common)
    if len(segments) in (3, 4) and method in ("GET", "POST") and (found := compartment(method, segments, common)):
        return found
    if segments and segments[0] not in SERVED and segments[0] not in WORDS:
        raise unknown_type(segments[0])
    if allowed:
        names = ", ".join(sorted(allowed))
        raise errors.MethodNotAllowed(method, names, headers={"Allow": names})
    raise errors.UnknownURL(quote("/".join(segments)))


WORDS = ("metadata", "_history", "_search")  # what may stand where a type stands
COMPARTMENTS = ("Patient", "Encounter", "Practitioner", "RelatedPerson", "Device")  # CompartmentDefinitions by name


def compartment(method, segments, common):
    """Patient/1/Observation, Patient/1/*, and the same with _search. (compartmentdefinition.html)"""
    holder, id, type, *rest = segments
    if rest not in ([], ["_search"]) or (method == "POST") != bool(rest):
        return None
    if holder not in COMPARTMENTS or type.startswith("_"):
        return None
    where = (holder, require_id(id))
    if type == "*":
        return Interaction("search-system", "system", compartment=where, **common)
    return Interaction("search-type", "type", require_type(type), compartment=where, **common)


def match(pattern, segments):
    """What {names} of the pattern are bound to, or None when the URL has another shape."""
    if len(pattern) != len(segments):
        return None
    bound = {}
    for want, have in zip(pattern, segments, strict=True):
        if want[0] == "{":
            if have[:1] in ("_", "$", ""):
                return None
            bound[want[1:-1]] = have
        elif want != have:
            return None
    if "type" in bound and bound["type"] == "metadata" and len(segments) == 1:
        return None
    return bound
