"""Batch and transaction: a Bundle becomes Interactions, the same ones that single requests are. (http.html#transaction)

A transaction is carried out as a set: deletes, creates, updates and patches in one course (writing.py), reads after
them, whatever the order of the entries. A batch is split here and executed entry by entry by the endpoint.
"""

import base64
import re
from dataclasses import replace

from django.conf import settings
from msgspec import Raw

from .. import errors
from ..formats import json
from ..operations import find
from ..resources.located import located
from ..resources.store import instant
from .conditions import etag
from .delete import single, to_delete
from .interaction import KEPT_ELSEWHERE, Interaction, Outcome, interaction, prepared, run
from .parse import Request, parse
from .writing import carry_out

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
WRITES = ("delete", "create", "update", "patch")
SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]*:|//)")


@interaction("transaction", "POST", "")
def transaction(interaction, access):
    """All entries happen, or none; the answer has an entry for each, in their order."""
    asked = entries(interaction)
    for n, each in enumerate(asked):
        if each.type in KEPT_ELSEWHERE and each.code in WRITES:
            raise errors.BadRequest(f"{each.type} is sent alone or in a batch.", expression=place(n))
        if each.code not in WRITES and each.method != "GET":
            raise errors.BadRequest(
                f"{each.code} cannot be part of a transaction; send it in a batch.", expression=place(n)
            )
        try:
            access.check(each)
        except errors.FHIRError as error:
            raise located(error, place(n)) from error
    outcomes = [None] * len(asked)
    writes, deleted = expanded(asked, access)
    results = iter(carry_out([i for _, i in writes], access, [place(n, "resource") for n, _ in writes]))
    for n, _ in writes:
        result = next(results)
        if outcomes[n] is None:
            outcomes[n] = result
        else:
            outcomes[n].touched += result.touched
    for n in deleted:
        outcomes[n] = outcomes[n] or Outcome(204)
        outcomes[n].id = outcomes[n].version = None
    for n, each in enumerate(asked):
        if each.code not in WRITES:
            try:
                outcomes[n] = run(prepared(each), access)
            except errors.FHIRError as error:
                raise located(error, place(n)) from error
    return answer("transaction-response", asked, outcomes)


def expanded(asked, access):
    """Writing entries with their position, deletes by criteria unfolded; and the positions of those."""
    writes, unfolded = [], []
    for code in WRITES:
        for n, each in enumerate(asked):
            if each.code != code:
                continue
            if code == "delete" and each.id is None:
                try:
                    rows = to_delete(each, access)
                except errors.FHIRError as error:
                    raise located(error, place(n)) from error
                writes += [(n, single(each, row)) for row in rows]
                unfolded.append(n)
            else:
                writes.append((n, each))
    return writes, unfolded


def place(n, below=""):
    return f"Bundle.entry[{n}]" + (f".{below}" if below else "")


def size(interaction):
    """How many entries the Bundle has, as far as it is one; 0 for everything else."""
    return len(asked_of(interaction))


def only_reads(interaction):
    """Is it a Bundle that writes nothing? Then all its answers are to be of one moment. (fault F20)"""
    requests = [e.get("request") if isinstance(e, dict) else None for e in asked_of(interaction)]
    return bool(requests) and all(isinstance(r, dict) and r.get("method") == "GET" for r in requests)


def asked_of(interaction):
    """The entries of a Bundle that nobody has looked at yet."""
    body = interaction.body if interaction.code == "transaction" else None
    given = body.get("entry") if isinstance(body, dict) else None
    return given if isinstance(given, list) else []


def is_batch(interaction):
    """Is this system-level POST a batch? (Bundle.type)"""
    return interaction.code == "transaction" and bundle_type(interaction) == "batch"


def bundle_type(interaction):
    """batch or transaction; everything else is refused by name."""
    bundle = interaction.body
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise errors.InvalidStructure(
            "A POST to the base must be a Bundle of type batch or transaction.", expression="Bundle.resourceType"
        )
    kind = bundle.get("type")
    if kind not in ("batch", "transaction"):
        raise errors.InvalidStructure(
            f"Bundle.type is {kind!r}; expected 'batch' or 'transaction'. To store a Bundle, POST it to Bundle.",
            expression="Bundle.type",
        )
    return kind


def entries(interaction):
    """The Interaction of every entry; every fault of the Bundle's own structure in one error."""
    kind = bundle_type(interaction)
    given = interaction.body.get("entry", [])
    if not isinstance(given, list):
        raise errors.InvalidStructure("Bundle.entry must be an array.", expression="Bundle.entry")
    if len(given) > settings.FHIRSERVER_MAX_ENTRIES:
        raise errors.TooLarge(
            f"The Bundle has {len(given)} entries; at most {settings.FHIRSERVER_MAX_ENTRIES} are accepted at once."
            " Send it in parts, or use the load command."
        )
    unknown = sorted(set(interaction.body) - BUNDLE_KEYS)
    if unknown:
        raise errors.InvalidStructure(f"Bundle has no element {unknown[0]!r}.", expression=f"Bundle.{unknown[0]}")
    found, wrong = [], []
    for n, entry in enumerate(given):
        try:
            found.append(an_entry(entry, interaction))
        except errors.FHIRError as error:
            if kind == "batch":
                found.append(error)
            else:
                wrong += located(error, place(n)).issues
    if wrong:
        raise errors.InvalidStructure(issues=wrong)
    if kind == "transaction":
        unique_full_urls(given)
    return found


BUNDLE_KEYS = frozenset(
    ("resourceType", "id", "meta", "implicitRules", "_implicitRules", "language", "_language", "identifier", "type",
     "_type", "timestamp", "_timestamp", "total", "_total", "link", "entry", "signature")
)  # fmt: skip


def unique_full_urls(given):
    """Two entries with one fullUrl could not be told apart by a reference. (bundle.html#bdl-7)"""
    seen = {}
    for n, entry in enumerate(given):
        full_url = entry.get("fullUrl")
        if full_url is not None and seen.setdefault(full_url, n) != n:
            raise errors.InvalidStructure(
                f"Entries {seen[full_url]} and {n} have the same fullUrl.", expression=f"{place(n)}.fullUrl"
            )


def an_entry(entry, around):
    """The Interaction that one entry asks for."""
    if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
        raise errors.InvalidStructure("The entry has no request.")
    request = entry["request"]
    method, url = request.get("method"), request.get("url")
    if method not in METHODS:
        raise errors.InvalidStructure(f"request.method is {method!r}; expected one of {', '.join(METHODS)}.")
    if not isinstance(url, str):
        raise errors.InvalidStructure("request.url is missing.")
    for key in ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist"):
        if not isinstance(request.get(key, ""), str):
            raise errors.InvalidStructure(f"request.{key} must be a string.")
    if not isinstance(entry.get("fullUrl", ""), str):
        raise errors.InvalidStructure("fullUrl must be a string.")
    if url.startswith(around.base + "/"):
        url = url[len(around.base) + 1 :]
    elif SCHEME.match(url):
        raise errors.InvalidStructure(f"request.url {url!r} is not on this server.")
    path, _, query = url.partition("?")
    resource = entry.get("resource")
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict) and "$" not in path:
        raise errors.InvalidStructure(f"An entry with {method} needs a resource.")
    if path.strip("/") == "" and method == "POST":
        raise errors.InvalidStructure("A batch or transaction cannot hold another one.")
    headers = {
        "if-match": request.get("ifMatch"),
        "if-none-match": request.get("ifNoneMatch"),
        "if-modified-since": request.get("ifModifiedSince"),
        "if-none-exist": request.get("ifNoneExist"),
    }
    body, patch_format = (resource, None) if method != "PATCH" else patch_of(resource)
    asked = parse(
        Request(method, path.lstrip("/"), query, {k: v for k, v in headers.items() if v is not None}, body, around.base,
                full_url=entry.get("fullUrl"), patch_format=patch_format)
    )  # fmt: skip
    if asked.code == "operation" and find(asked.operation, asked.level, asked.type).alone:
        raise errors.BadRequest(f"${asked.operation} is asked for alone, not in a Bundle.")
    return replace(asked, strict=around.strict, prefer_return=around.prefer_return)


def patch_of(resource):
    """A patch inside a Bundle: Parameters is FHIRPath Patch, a Binary carries JSON Patch. (http.html#patch)"""
    if resource.get("resourceType") == "Parameters":
        return resource, "fhirpath"
    if resource.get("resourceType") == "Binary":
        try:
            return json.parse(base64.b64decode(resource.get("data", ""), validate=True), list), "json"
        except (ValueError, TypeError) as error:
            raise errors.InvalidStructure("Binary.data is not base64.") from error
    raise errors.InvalidStructure("A PATCH entry holds Parameters (FHIRPath Patch) or a Binary (JSON Patch).")


def answer(kind, asked, outcomes):
    """The Bundle that answers: an entry for each, in the order they came."""
    given = [entry(i, o) for i, o in zip(asked, outcomes, strict=True)]
    return Outcome(
        200,
        json.dump(
            {"resourceType": "Bundle", "type": kind, "entry": given}
            if given
            else {"resourceType": "Bundle", "type": kind}
        ),
        "Bundle",
        touched=[t for o in outcomes for t in o.touched],
    )


PHRASES = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 410: "Gone",
           412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
           422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error",
           503: "Service Unavailable"}  # fmt: skip


def entry(asked, outcome):
    """One entry of the answer: response, and the resource where it was asked for."""
    response = {"status": f"{outcome.status} {PHRASES.get(outcome.status, '')}".rstrip()}
    found = {}
    is_write = isinstance(asked, Interaction) and asked.code in WRITES
    if outcome.id is not None and outcome.version is not None:
        url = f"{outcome.type}/{outcome.id}"
        if is_write and outcome.status in (200, 201):
            response["location"] = f"{url}/_history/{outcome.version}"
        response["etag"] = etag(outcome.version)
        response["lastModified"] = instant(outcome.updated)
        if outcome.status in (200, 201):
            found["fullUrl"] = f"{asked.base}/{url}"
    elif is_write and outcome.status == 200 and "Location" in outcome.headers:  # known by its id alone
        response["location"] = f"{outcome.type}/{outcome.id}"
        found["fullUrl"] = outcome.headers["Location"]
    wanted = not is_write or asked.prefer_return == "representation"
    if outcome.body is not None and wanted and outcome.status < 400:
        found["resource"] = Raw(outcome.body) if isinstance(outcome.body, bytes) else outcome.body
    if outcome.status >= 400:
        response["outcome"] = outcome.body
    elif outcome.issues and (is_write and asked.prefer_return == "OperationOutcome"):
        response["outcome"] = errors.operation_outcome(outcome.issues)
    found["response"] = response
    return found


__all__ = ["answer", "entries", "is_batch", "transaction"]
