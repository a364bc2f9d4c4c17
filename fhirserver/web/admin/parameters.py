"""Search parameters of one's own: defined by a form, their rows made by a job, retired.

Staff have no right to write definitions as persons; the page has the server write them, and says who asked.
"""

import json
import re

from django.contrib import messages
from django.http import Http404, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from records import errors
from records.database import as_system, execute
from records.definitions.structures import type_name
from records.indexing import jobs
from records.interactions.interaction import Interaction
from records.resources.rules.searchparameter import KINDS
from records.search import stored

from ... import system
from .staff import noted, shown, staff

STATES = {stored.BUILDING: gettext_lazy("being made"), stored.USABLE: gettext_lazy("usable"),
          stored.FAILED: gettext_lazy("failed")}  # fmt: skip
TEXTS = ("code", "type", "expression", "url", "description")
MOST = 500


@staff("operations")
@as_system()
def parameters(request):
    """Those in use, and how far their rows are."""
    rows = execute(
        "SELECT p.type, p.code, p.state, p.job, p.definition, r.id FROM stored_parameter p"
        " JOIN resource r ON r.pk = p.resource ORDER BY p.code, p.type LIMIT %s",
        (MOST,),
    )
    found = [
        {"type": type_name(type), "code": code, "state": STATES[state], "usable": state == stored.USABLE, "id": id,
         "expression": json.loads(definition).get("expression", ""), "job": jobs.find(job)}
        for type, code, state, job, definition, id in rows
    ]  # fmt: skip
    return shown(request, "parameters", "parameters/", rows=found)


@staff("operations")
def new(request):
    """A SearchParameter of a form; what is wrong with it is said by element."""
    given, wrong = {k: request.POST.get(k, "").strip() for k in (*TEXTS, "base", "target")}, []
    given["type"] = given["type"] or "string"
    if request.method == "POST":
        try:
            outcome = system.execute(
                Interaction("create", "type", "SearchParameter", method="POST", body=resource(given)),
                after=lambda: noted(request, "make-parameter", code=given["code"], base=given["base"]),
            )
            messages.success(request, _("The parameter is defined; a job makes its rows."))
            return HttpResponseRedirect(f"/admin/parameters/#{outcome.id}")
        except errors.FHIRError as error:
            wrong = [(issue.expression or "", issue.diagnostics) for issue in error.issues]
    kinds = [kind for kind in KINDS if kind not in ("composite", "special")]
    return shown(request, "parameter_form", "parameters/", given=given, wrong=wrong, kinds=kinds)


def resource(given):
    """The form as FHIR; what was left empty is not there, so that the rules name it."""
    found = {"resourceType": "SearchParameter", "status": "active", "name": name(given["code"])}
    found |= {k: given[k] for k in TEXTS if given[k]}
    found |= {k: given[k].replace(",", " ").split() for k in ("base", "target") if given[k]}
    return found


def name(code):
    """A name that programs can use, of a code: blood-group -> BloodGroup."""
    return "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", code)) or "Parameter"


@require_POST
@staff("operations")
def retire(request, rid):
    """It is used no more from now on; its rows go by a job."""
    tree = request.asking.get(f"SearchParameter/{rid}")
    if tree.get("status") != "active":
        raise Http404
    system.execute(
        Interaction("update", "instance", "SearchParameter", id=rid, method="PUT", body=tree | {"status": "retired"}),
        after=lambda: noted(request, "retire-parameter", code=tree.get("code")),
    )
    messages.success(request, _("The parameter is retired."))
    return HttpResponseRedirect("/admin/parameters/")
