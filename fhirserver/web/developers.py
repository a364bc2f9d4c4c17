"""For integrators: ten minutes to the first answer, what this server can, a console, its errors, files for tools.

Open to all, as /fhir/metadata is; of records it shows nothing: the console sends the token that the visitor gives.
"""

from functools import cache

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accessctl import actor
from records import errors
from records.interactions import capabilities
from records.interactions.interaction import Interaction

from .. import formats, sandbox
from ..requests import base
from .ask import space
from .home import demo_logins
from .login import DEMO

CLIENT, SCOPE = "console", "user/*.cruds"  # of the tokens that the console gets
TABS = (("start", "", gettext_lazy("Ten minutes")), ("capabilities", "capabilities/", gettext_lazy("Capabilities")),
        ("console", "console/", gettext_lazy("Console")), ("errors", "errors/", gettext_lazy("Errors")))  # fmt: skip


def shown(request, page, **more):
    tabs = [(f"/developers/{url}", name, each == page) for each, url, name in TABS]
    return render(request, f"developers/{page}.html", {"tabs": tabs, "base": base(request), **more})


def start(request):
    more = {"demo": demo_logins()}
    if sandbox.is_one():
        job = sandbox.latest()
        more |= {"sandbox": True, "job": job, "working": job is not None and job.state in ("waiting", "running"),
                 "may": plays(request)}  # fmt: skip
    return shown(request, "start", **more)


def plays(request):
    """Is this a sandbox, and the visitor one of its people?"""
    return sandbox.is_one() and request.user.is_authenticated and request.user.groups.filter(name=DEMO).exists()


@require_POST
@space("patient", "professional", "staff")
def reset(request):
    """Put the sandbox back as it was; for whoever has one of its logins."""
    if not plays(request):
        raise PermissionDenied
    if request.POST.get("sure") != "yes":
        messages.error(request, _("Say that you are sure: nothing was done."))
    else:
        request.asking.note("reset-sandbox", now=True)
        sandbox.ask(request.asking.visitor.actor.principal)
        messages.success(request, _("The sandbox is being put back."))
    return HttpResponseRedirect("/developers/#reset")


def statement(request):
    """The CapabilityStatement, as /fhir/metadata answers it."""
    asked = Interaction("capabilities", "system", base=base(request), url="metadata")
    return formats.plain(capabilities.capabilities(asked, None).body)


def browser(request):
    """The statement by type: interactions, search parameters, operations."""
    rest = statement(request)["rest"][0]
    types = {each["type"]: each for each in rest["resource"]}
    chosen = types.get(request.GET.get("type", ""))
    return shown(request, "capabilities", types=sorted(types), one=chosen, system=rest)


def console(request):
    return shown(request, "console", may=plays(request))


@require_POST
@space("patient", "professional", "staff")
def token(request):
    """A token of the visitor's own for the console, in a sandbox: it may what the visitor may."""
    if not plays(request):
        raise PermissionDenied
    request.asking.note("issue-token", now=True, scope=SCOPE)
    return shown(request, "console", may=True, token=actor.issue(CLIENT, SCOPE, user=request.user.get_username()))


# What each error is about, in an example; `tests/web/test_developers.py` sees that none lacks.
EXAMPLES = {
    "BadRequest": ("If-Match asks for no version: 'latest'; expected W/\"1\"",),
    "InvalidId": ("a/b",),
    "InvalidJSON": ("line 1 column 43 (gender): a comma before '}'",),
    "InvalidStructure": ("Bundle.type is 'collection'; expected 'batch' or 'transaction'.",),
    "InvalidValue": ("_count", "many", "expected a whole number, 0 or more"),
    "InvalidXML": ("line 3 column 8: mismatched tag",),
    "TooCostly": ("More than one patient may be seen here: name one, as Patient/[id]/$everything.",),
    "UnknownParameter": ("Patient", "familly", "known: active, address, birthdate, family, ..."),
    "UnknownQuery": ("current-high-risk", "none"),
    "UnsupportedModifier": ("birthdate", "exact", "known: missing"),
    "LoginRequired": (),
    "Forbidden": ("The scopes of this token do not cover delete of Patient (needs the letter 'd').",),
    "NotFound": ("Patient/1",),
    "UnknownOperation": ("$everythin", "$everything, $meta, $validate, ..."),
    "UnknownType": ("patient", "; did you mean 'Patient'?"),
    "UnknownURL": ("Patient/1/2/3",),
    "MethodNotAllowed": ("POST", "DELETE, GET, PATCH, PUT"),
    "NotAcceptable": ("text/csv",),
    "Conflict": ("If-Match asks for version 1; the current version is 2.",),
    "Gone": ("Patient/1",),
    "MultipleMatches": ("Patient?family=Martin",),
    "PreconditionFailed": ("If-Match asks for version 1; the current version is 2.",),
    "TooLarge": ("The body has 60000000 bytes; at most 52428800 are accepted.",),
    "UnsupportedMediaType": ("Content-Type 'text/plain' is not supported here; send application/fhir+json.",),
    "Invalid": ("'f' is not allowed here; expected one of female, male, other, unknown",),
    "TooManyRequests": (3,),
    "Unexpected": ("31645f7a-60b0-4673-8c26-8cda8c808e84",),
    "Busy": ("Too many requests wait; please try again.",),
}


@cache
def catalogue():
    """(status, code, an example of its sentence, what it is, its name) of every error that is raised."""

    def below(kind):
        yield kind
        for sub in kind.__subclasses__():
            yield from below(sub)

    found = {e for e in below(errors.FHIRError) if e.__module__ == errors.__name__ and e is not errors.FHIRError}
    rows = [
        (e.status, e.code, str(e(*EXAMPLES[e.__name__])), (e.__doc__ or "").strip().partition("\n")[0], e.__name__)
        for e in found
    ]
    return sorted(rows, key=lambda row: (row[0], row[4]))


def faults(request):
    return shown(request, "errors", rows=catalogue())


PLACE = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
KINDS = {"number": "number"}  # of a search parameter; all others are text


def openapi(request):
    """OpenAPI 3.1 of what it can say: paths by type, search parameters; bodies are FHIR's own."""
    rest = statement(request)["rest"][0]
    body = {"content": {"application/fhir+json": {"schema": {"type": "object"}}}}
    answers = {"200": {"description": "OK", **body}, "default": {"description": "OperationOutcome", **body}}
    paths = {"/metadata": {"get": {"summary": "CapabilityStatement", "responses": answers, "security": []}}}
    for each in rest["resource"]:
        type, codes = each["type"], {i["code"] for i in each.get("interaction") or ()}
        whole, one = {}, {"parameters": [PLACE]}
        if "search-type" in codes:
            whole["get"] = {"summary": f"Search {type}", "responses": answers, "parameters": [
                {"name": p["name"], "in": "query", "description": p.get("documentation", p["type"]),
                 "schema": {"type": KINDS.get(p["type"], "string")}} for p in each.get("searchParam") or ()
            ]}  # fmt: skip
        if "create" in codes:
            whole["post"] = {"summary": f"Create {type}", "requestBody": body, "responses": answers}
        for code, method in (("read", "get"), ("update", "put"), ("delete", "delete")):
            if code in codes:
                one[method] = {"summary": f"{code.capitalize()} {type}", "responses": answers}
                if method == "put":
                    one[method]["requestBody"] = body
        paths |= {
            path: told for path, told in ((f"/{type}", whole), (f"/{type}/{{id}}", one)) if len(told) > ("{" in path)
        }
    return JsonResponse({
        "openapi": "3.1.0", "info": {"title": "FHIR R4", "version": "4.0.1"}, "servers": [{"url": base(request)}],
        "paths": paths, "security": [{"bearer": []}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    })  # fmt: skip


def collection(request):
    """The first requests as a .http file, for editors and tools that read it."""
    response = render(
        request, "developers/requests.http", {"base": base(request)}, content_type="text/plain; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="fhir.http"'
    return response


urlpatterns = [
    path("", start, name="developers"),
    path("capabilities/", browser),
    path("console/", console),
    path("console/token", token),
    path("errors/", faults),
    path("openapi.json", openapi),
    path("fhir.http", collection),
    path("reset/", reset),
]
