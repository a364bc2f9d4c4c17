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
from django.views.decorators.http import require_POST

from records import errors
from records.interactions import capabilities
from records.interactions.interaction import Interaction

from .. import formats, sandbox
from ..requests import base
from .ask import space
from .home import demo_logins
from .login import DEMO

TABS = ("start", "capabilities", "console", "errors")


def shown(request, page, **more):
    return render(request, f"developers/{page}.html", {"tab": page, "base": base(request), **more})


def start(request):
    more = {"demo": demo_logins()}
    if sandbox.is_one():
        job = sandbox.latest()
        more |= {"sandbox": True, "job": job, "working": job is not None and job.state in ("waiting", "running"),
                 "may": request.user.is_authenticated and request.user.groups.filter(name=DEMO).exists()}  # fmt: skip
    return shown(request, "start", **more)


@require_POST
@space("patient", "professional", "staff")
def reset(request):
    """Put the sandbox back as it was; for whoever has one of its logins."""
    if not (sandbox.is_one() and request.user.groups.filter(name=DEMO).exists()):
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
    return shown(request, "console")


@cache
def catalogue():
    """(status, code, sentence, what it is) of every error."""

    def below(kind):
        yield kind
        for sub in kind.__subclasses__():
            yield from below(sub)

    found = {each for each in below(errors.FHIRError) if each.__module__ == errors.__name__}
    rows = [(e.status, e.code, e.sentence, (e.__doc__ or "").strip().partition("\n")[0], e.__name__) for e in found]
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
    path("errors/", faults),
    path("openapi.json", openapi),
    path("fhir.http", collection),
    path("reset/", reset),
]
