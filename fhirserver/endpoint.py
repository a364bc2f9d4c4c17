"""The FHIR endpoint - read this first: every request takes this way, whatever it asks.

request -> Interaction -> run within the Access of its actor -> Outcome -> response, and an audit record, whatever
happened. Interaction and record share one transaction; the answer leaves after the commit.
"""

import base64
import gzip
import logging
import uuid
from contextlib import ExitStack, nullcontext
from email.utils import format_datetime
from urllib.parse import quote

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.views import APIView

from accessctl.access import access_for
from accessctl.actor import InvalidToken, Stale
from accessctl.audit import record, settle
from accessctl.audit.recorder import PATIENCE
from accessctl.replay import replayed
from records import errors
from records.database import asked_by, atomic, deadline, drop_ahead, extend, left, retried, translated
from records.interactions import transaction
from records.interactions.conditions import etag
from records.interactions.interaction import Interaction, Outcome, prepared, run, verb
from records.interactions.parse import parse
from records.operations import find

from . import formats, metrics
from .authentication import CHALLENGE, BearerToken
from .origins import registered
from .overload import allowance, gate
from .requests import body, read_request

log = logging.getLogger("fhirserver.endpoint")
UNREAD = Interaction("unread", "system")  # stands for a request that could not be read as an interaction
OPEN = ("metadata",)  # what answers without a token
EACH = 0.02  # seconds by which an entry of a Bundle puts the deadline off
ANEW = 3  # seconds to ask who it was over a new connection, when the one that was asked was given up
GRACE = 0.5  # seconds for the record of what was refused, however late it is
GZIP_FROM = 1400  # bytes; less fits one packet


class Endpoint(APIView):
    """All of /fhir."""

    authentication_classes = (BearerToken,)
    permission_classes = ()
    http_method_names = ("get", "head", "post", "put", "patch", "delete", "options")

    def initial(self, request, *args, **kwargs):
        """DRF would negotiate renderers here; formats.py does that for FHIR."""

    def answer(self, request, path):
        """One request, one response; an error is an OperationOutcome in the format asked for."""
        request_id = uuid.uuid4()
        wanted = formats.Wanted()
        given, request = request, request._request  # DRF's request looks every attribute up in Django's
        with metrics.request() as measured, ExitStack() as limits:
            try:
                accept, query = request.META.get("HTTP_ACCEPT"), request.META.get("QUERY_STRING", "")
                wanted = formats.wanted(accept, query, path)
                sent = body(request)  # a slow sender waits outside the gate
                if path.endswith("_search"):
                    wanted = formats.wanted(accept, f"{query}&{sent.decode(errors='replace')}", path)
                limits.enter_context(deadline(settings.FHIRSERVER_DEADLINE_MS / 1000))  # of a refusal's record too
                with gate:
                    caller = caller_of(given, path)
                    interaction = understood(request, path, sent, caller, request_id)
                    measured.interaction = interaction.code
                    extend(EACH * transaction.size(interaction))
                    outcome = execute(interaction, caller, request_id, key_of(request))
                    response = respond(outcome, interaction, wanted, request)
                settle(outcome.recorded)  # and so does who waits for a commit
            except Exception as error:
                response = refuse(error, wanted, request_id)
            finally:
                drop_ahead()
            measured.status = response.status_code
        return finished(response, request, request_id)

    get = head = post = put = patch = delete = answer
    default_response_headers = {}  # DRF's own Allow would stand in for the one of an error

    def http_method_not_allowed(self, request, path):
        """A method that FHIR does not have."""
        request_id, allowed = uuid.uuid4(), ", ".join(m.upper() for m in self.http_method_names)
        error = errors.MethodNotAllowed(request.method, allowed, headers={"Allow": allowed})
        return finished(refuse(error, formats.Wanted(), request_id), request, request_id)

    def options(self, request, path):
        """CORS preflight. (http.html#2.21.0.1; SMART App Launch S9)"""
        response = HttpResponse(status=204)
        del response["Content-Type"]  # Django's is HTML
        return finished(response, request, uuid.uuid4())


def caller_of(request, path):
    """Who asks; nobody, only for what everybody may know."""
    if path.rstrip("/") in OPEN:
        return None
    if request.auth is None:
        raise errors.LoginRequired(headers={"WWW-Authenticate": 'Bearer realm="fhir"'})
    return request.auth


def understood(request, path, sent, caller, request_id):
    """What is asked; a request that says nothing FHIR knows is refused, and recorded as any other. (attack A90)"""
    try:
        return parse(read_request(request, path, sent))
    except errors.FHIRError as error:
        recorded_unread(caller, request_id, error)
        raise


def key_of(request):
    """The Idempotency-Key of a POST."""
    return request.META.get("HTTP_IDEMPOTENCY_KEY") if request.method == "POST" else None


def execute(interaction, caller, request_id, key=None):
    """Run in a transaction of its own and record it; a batch is as many executions as it has entries."""
    try:
        return attempted(interaction, caller, request_id, key)
    except Stale:  # nothing was told or committed
        caller.renew()
        return attempted(interaction, caller, request_id, key)


def attempted(interaction, caller, request_id, key):
    """Run and record it by what the caller was last known to be; Stale when that is so no more."""
    try:
        if transaction.is_batch(interaction):
            return batch(interaction, caller, request_id, key)
        if caller is not None and caller.counted:
            allowance.take(caller.actor.client, max(1, transaction.size(interaction)))
        return retried(lambda: committed(interaction, caller, request_id, key))
    except errors.FHIRError as error:
        recorded_refusal(interaction, caller, request_id, error)
        raise


def committed(interaction, caller, request_id, key):
    """The interaction and its audit record, both or neither: an effect commits with it, a read waits for it."""
    if caller is None:
        return run(interaction, None)
    access = access_for(caller.actor)
    with asked_by(access.asked_by):
        return within(access, interaction, caller, request_id, key)


def within(access, interaction, caller, request_id, key):
    """What runs here is asked by the actor, for the database too. (docs/explanation/second-wall.md)"""
    access.provenance = interaction.provenance
    access.check(interaction)
    interaction = prepared(interaction)
    if only_reads(interaction):
        with atomic(snapshot=True) if snapshot(interaction) else nullcontext():
            outcome = run(interaction, access)
            caller.confirm()
        record(caller.actor, interaction, outcome, request_id)
    else:
        with atomic(snapshot=transaction.only_reads(interaction)):
            outcome = replayed(key, caller.actor, interaction, access, lambda: run(interaction, access))
            caller.confirm()
            outcome.touched += access.beside  # its keys
            record(caller.actor, interaction, outcome, request_id)
    return outcome


def only_reads(interaction):
    """Is there no effect to commit but the record?"""
    if interaction.code == "operation":
        return not find(interaction.operation, interaction.level, interaction.type).affects_state
    return interaction.method == "GET" or interaction.code in ("search-type", "search-system")


def snapshot(interaction):
    """Does it read by several statements what must be of one moment?"""
    if interaction.code == "operation":
        return find(interaction.operation, interaction.level, interaction.type).snapshot
    found = verb(interaction.code, interaction.level, interaction.type).snapshot
    return found(interaction) if callable(found) else found


def recorded_refusal(interaction, caller, request_id, error):
    """What was refused or failed is recorded too, in a transaction of its own, before it is told."""
    if caller is not None:
        with deadline(max(ANEW, left(PATIENCE))):
            caller.confirm()
        refusal = Outcome(error.status, touched=list(error.touched))
        record(caller.actor, interaction, refusal, request_id)
        error.recorded = refusal.recorded


def recorded_unread(caller, request_id, error):
    """The same of what could not be read as an interaction; what the caller may see does not matter then."""
    if caller is not None and caller.counted:
        allowance.take(caller.actor.client)  # its record costs as much as any
    try:
        recorded_refusal(UNREAD, caller, request_id, error)
    except Stale:
        caller.renew()
        recorded_refusal(UNREAD, caller, request_id, error)


def batch(interaction, caller, request_id, key):
    """Every entry alone; a failure is that entry's answer. (http.html#brules)"""
    if interaction.provenance is not None:
        raise errors.BadRequest("X-Provenance speaks of one interaction; in a batch Provenance is an entry.")
    asked = transaction.entries(interaction)
    outcomes, recorded = [], []
    for n, each in enumerate(asked):
        if n:
            caller.ask()  # what the entries before have changed of the caller's own rights
        try:
            if isinstance(each, errors.FHIRError):
                recorded_unread(caller, request_id, each)
                raise each
            outcomes.append(execute(each, caller, request_id, f"{key}#{n}" if key and each.method == "POST" else None))
        except InvalidToken:
            raise
        except Exception as error:
            known = told(error, request_id)
            outcomes.append(Outcome(known.status, errors.operation_outcome(known.issues)))
            recorded += known.recorded
        recorded += outcomes[-1].recorded
    answer = transaction.answer("batch-response", asked, outcomes)
    answer.recorded = recorded
    return answer


def told(error, request_id):
    """The error as the client may know it; one of ours says its log id and nothing else."""
    error = translated(error)
    if isinstance(error, errors.FHIRError):
        return error
    if isinstance(error, InvalidToken):
        return errors.LoginRequired(headers=CHALLENGE)
    if isinstance(error, Stale):
        return errors.Busy("The rights of this token have just changed; send the request again.", retry_after=0)
    log.error("unexpected error", exc_info=error, extra={"request_id": str(request_id)})
    return errors.Unexpected(str(request_id))


def refuse(error, wanted, request_id):
    """The response to an error, an OperationOutcome always."""
    error = told(error, request_id)
    try:
        with deadline(max(GRACE, left(PATIENCE))):  # the error may be that there was no time left
            settle(error.recorded)
    except Exception as unrecorded:
        error = told(unrecorded, request_id)
    response = HttpResponse(
        formats.rendered(errors.operation_outcome(error.issues), wanted),
        status=error.status,
        content_type=f"{wanted.format}; charset=utf-8",
    )
    for name, value in error.headers.items():
        response[name] = value
    return response


def respond(outcome, interaction, wanted, request):
    """The response to an Outcome: the body that the client prefers, in its format, with its version headers."""
    status, body = outcome.status, outcome.body
    is_write = interaction.method != "GET" and interaction.code in transaction.WRITES
    if is_write and interaction.prefer_return == "minimal":
        body = None
    elif is_write and interaction.prefer_return == "OperationOutcome":
        issues = outcome.issues or (errors.Issue("information", "informational", "Done."),)
        body = errors.operation_outcome(issues)
        status = 200 if status == 204 else status
    if wanted.raw and body is not None and interaction.code in ("read", "vread"):
        return raw_binary(outcome)
    response = HttpResponse(status=status) if outcome.stream is None else streamed(outcome, request)
    if outcome.media is not None:
        response["Content-Type"] = outcome.media
    if body is not None and outcome.media is not None:
        response.content = formats.fhir_json.dump(body)
    elif body is not None:
        response.content = formats.rendered(body, wanted)
        response["Content-Type"] = f"{wanted.format}; charset=utf-8"
    elif outcome.media is None:
        del response["Content-Type"]
    if outcome.version is not None:
        response["ETag"] = etag(outcome.version)
        response["Last-Modified"] = format_datetime(outcome.updated, usegmt=True)
    if outcome.location:
        response["Location"] = f"{interaction.base}/{outcome.type}/{outcome.id}/_history/{outcome.version}"
    for name, value in outcome.headers.items():
        response[name] = value
    return response


def raw_binary(outcome):
    """The content of a Binary as a download that no browser runs. (binary.html#rest; attack A55)"""
    resource = formats.plain(outcome.body)
    content_type = resource.get("contentType", "")
    if not content_type.isascii() or not content_type.isprintable():
        content_type = ""  # FHIR lets a code hold a line break, a header cannot
    content = base64.b64decode(resource.get("data", ""))
    response = HttpResponse(content, content_type=content_type or "application/octet-stream")
    if context := (resource.get("securityContext") or {}).get("reference"):
        response["X-Security-Context"] = quote(context, safe="/:?=&%#")
    response["Content-Disposition"] = "attachment"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["ETag"] = etag(outcome.version)
    response["Last-Modified"] = format_datetime(outcome.updated, usegmt=True)
    return response


def streamed(outcome, request):
    """What is sent piece by piece, after the request has left the gate; packed, as it is kept, for who takes it so."""
    packed = formats.takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    length, pieces = outcome.stream(packed)
    response = StreamingHttpResponse(pieces)
    response["Content-Length"] = str(length)
    if packed:
        response["Content-Encoding"] = "gzip"
    return response


def finished(response, request, request_id):
    """Headers that every response carries; gzip and CORS where asked for."""
    response["X-Request-Id"] = str(request_id)
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    varies = "Authorization, Accept, Accept-Encoding, Origin"
    response["Vary"] = varies
    origin = request.META.get("HTTP_ORIGIN")
    if origin is not None and allowed(origin, request.path):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = (
            "Location, Content-Location, ETag, Expires, Last-Modified, Retry-After, X-Progress, X-Request-Id,"
            " X-Searchable-Until"
        )
        if request.method == "OPTIONS":
            response["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
            response["Access-Control-Allow-Headers"] = (
                "Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Modified-Since, If-None-Exist,"
                " Prefer, Idempotency-Key, X-Request-Id, X-Provenance, X-Security-Context"
            )
            response["Access-Control-Max-Age"] = "600"
    if response.streaming:
        return response
    if len(response.content) >= GZIP_FROM and formats.takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        response.content = gzip.compress(response.content, compresslevel=1, mtime=0)
        response["Content-Encoding"] = "gzip"
    if response.status_code not in (204, 304):
        response["Content-Length"] = str(len(response.content))
    return response


def allowed(origin, path):
    """May pages of this origin read the answer? Those of any origin may read the metadata."""
    return path.rstrip("/").endswith("/metadata") or registered(origin)
