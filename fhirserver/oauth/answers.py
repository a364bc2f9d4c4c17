"""JSON answers of the authorisation server: never cached, readable by pages of registered origins, errors by name."""

import functools
import logging
import uuid

import django.db
import psycopg
from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse, JsonResponse, UnreadablePostError

from records import errors

from ..origins import registered
from ..overload import gate
from ..requests import in_clear

log = logging.getLogger("fhirserver.oauth")
FORM = "application/x-www-form-urlencoded"
LARGEST = 64 * 1024  # bytes of a form


class Refused(Exception):
    """An error of RFC 6749: its code, a sentence, a status."""

    def __init__(self, error, description, status=400, headers=()):
        super().__init__(error)
        self.error, self.description, self.status, self.headers = error, description, status, dict(headers)


def endpoint(methods, anybody=False):
    """Marks a view (request) -> (status, tree); `anybody`: pages of any origin may read it."""

    def mark(view):
        @functools.wraps(view)
        def answer(request):
            request_id = str(uuid.uuid4())
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
            elif request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
                response = refused(Refused("invalid_request", f"{request.method} is not allowed here.", 405,
                                           {"Allow": ", ".join((*methods, "OPTIONS"))}))  # fmt: skip
            else:
                response = answered(view, request, request_id)
            response["X-Request-Id"] = request_id
            response["Cache-Control"] = "no-store"
            response["Pragma"] = "no-cache"
            response["X-Content-Type-Options"] = "nosniff"
            response["Vary"] = "Origin"
            origin = request.META.get("HTTP_ORIGIN")
            if origin is not None and (anybody or registered(origin)):
                response["Access-Control-Allow-Origin"] = origin
                if request.method == "OPTIONS":
                    response["Access-Control-Allow-Methods"] = ", ".join((*methods, "OPTIONS"))
                    response["Access-Control-Allow-Headers"] = "Accept, Authorization, Content-Type"
                    response["Access-Control-Max-Age"] = "600"
            return response

        return answer

    return mark


def answered(view, request, request_id):
    """The response of a view, whatever happens in it."""
    try:
        if in_clear(request):
            raise Refused("invalid_request", "TLS is required.")
        with gate:
            status, tree = view(request)
    except Refused as error:
        return refused(error)
    except (SuspiciousOperation, UnreadablePostError):  # of Django: more fields than a form has, or half of one
        return refused(Refused("invalid_request", "The form cannot be read."))
    except errors.FHIRError as error:
        if error.status >= 500:
            return refused(Refused("temporarily_unavailable", "Try again later.", 503, {"Retry-After": "2"}))
        return refused(Refused("invalid_request", error.issues[0].diagnostics, error.status, error.headers))
    except (django.db.OperationalError, psycopg.OperationalError):
        log.warning("the database does not answer", extra={"request_id": request_id})
        return refused(Refused("temporarily_unavailable", "Try again later.", 503, {"Retry-After": "2"}))
    except Exception as error:
        log.error("unexpected error", exc_info=error, extra={"request_id": request_id})
        return refused(Refused("server_error", f"Logged under {request_id}.", 500))
    response = HttpResponse(status=status) if tree is None else JsonResponse(tree, status=status)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="oauth"'
    return response


def refused(error):
    tree = {"error": error.error, "error_description": error.description}
    return JsonResponse(tree, status=error.status, headers=error.headers)


def form(request):
    """The parameters of a form POST, each once; parameters in the query are refused. (RFC 6749 3.2)"""
    if request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM:
        raise Refused("invalid_request", f"The body must be {FORM}.", 415)
    if request.META.get("QUERY_STRING"):
        raise Refused("invalid_request", "Parameters belong in the body, not in the query.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
        raise Refused("invalid_request", f"The body has more than {LARGEST} bytes.", 413)
    given = {}
    for name, values in request.POST.lists():
        if len(values) > 1:
            raise Refused("invalid_request", f"The parameter {name} is given more than once.")
        if "\0" in values[0]:
            raise Refused("invalid_request", f"The parameter {name} holds a character that is not allowed.")
        if values[0]:  # without a value it counts as omitted
            given[name] = values[0]
    return given
