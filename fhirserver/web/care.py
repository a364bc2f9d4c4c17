"""The clinician's viewer: find a patient, one screen, results over time, an emergency; nothing about what is hidden.

Each page asks as the professional would by an application, and leaves the same audit records.
"""

import re
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accessctl.circle import circle
from accessctl.notices import inbox
from accessctl.pieces import dated
from records import errors
from records.database import as_system, execute
from records.keys import identity

from . import readable, record, vocabulary
from .ask import space

CIRCLE = 200  # patients by name, of more the first in the alphabet that one may read
LISTED = {"_count": 50, "_sort": "family"}
UID = re.compile(r"[0-9]+(\.[0-9]+)*")


TABS = (
    ("summary", "", gettext_lazy("Summary")),
    ("timeline", "timeline/", gettext_lazy("Timeline")),
    ("results", "results/", gettext_lazy("Results")),
    ("medicines", "medicines/", gettext_lazy("Medicines")),
    ("imaging", "imaging/", gettext_lazy("Imaging")),
    ("apps", "apps/", gettext_lazy("Applications")),
)


def shown(request, template, id=None, **more):
    if id is not None:
        more |= {
            "tabs": record.tabs(TABS, more.get("tab")),
            "patient": record.patient_of(request.asking, id),
            "root": f"/care/{id}",
            "opening": opening(request, id),
        }
    return render(request, f"care/{template}.html", {"me": False, **more})


def opening(request, id):
    """Until when this professional has the record open by an emergency, or None."""
    rows = execute(
        f"SELECT op.until FROM opening op WHERE op.patient = %s AND op.person_id = %s AND {dated('op')}"
        " ORDER BY op.until DESC LIMIT 1",
        (identity("Patient", id), request.asking.person.user),
    )
    return rows[0][0] if rows else None


@space("professional")
def patients(request):
    """My patients: those who name me or mine; by the INS or by traits, all that I may read, and no others."""
    given = {k: request.GET.get(k, "").strip() for k in ("ins", "family", "given", "birthdate")}
    query, wrong = {}, ""
    if given["ins"]:
        query["identifier"] = given["ins"].replace(" ", "")
    else:
        query = {k: given[k] for k in ("family", "given", "birthdate") if given[k]}
    asked = bool(query)
    ids = None if asked else circle(request.asking.visitor.actor, CIRCLE)
    if ids:
        query = {"_id": ",".join(ids)}
    try:
        found = [] if ids == [] else request.asking.search(f"Patient?{urlencode({**query, **LISTED})}")
    except errors.BadRequest:
        found, wrong = [], _("That cannot be searched for: check the date and the number.")
    rows = [
        {"id": p["id"], "name": readable.name(p), "birth": readable.moment(p.get("birthDate")),
         "age": readable.age(p.get("birthDate")), "gender": vocabulary.GENDERS.get(p.get("gender"), ""),
         "identifier": next((i["value"] for i in readable.identifiers(p)), "")}
        for p in found
    ]  # fmt: skip
    told = [] if asked else notices(request, {row["id"]: row["name"] for row in rows})
    return shown(request, "patients", given=given, asked=asked, rows=rows, wrong=wrong, notices=told)


def notices(request, names):
    """What an attending doctor is told of the patients: who opened a record in an emergency, whose, and when."""
    told = inbox(request.asking.person, 10)
    with as_system():
        ids = dict(execute("SELECT identity, id FROM resource WHERE identity = ANY(%s)", ([row[2] for row in told],)))
    return [{"id": ids.get(key), "when": at, "who": who, "name": names.get(ids.get(key))}
            for _n, _kind, key, at, who in told]  # fmt: skip


@space("professional")
def summary(request, id):
    since = last_visit(request, id)
    return shown(
        request, "summary", id, tab="summary", since=since,
        **record.summary(request.asking, id, since.isoformat() if since else None),
    )  # fmt: skip


@as_system()
def last_visit(request, id):
    """When this professional last opened the record, but for the last hour; the audit remembers."""
    rows = execute(
        "SELECT max(a.at) FROM audit a WHERE a.patient = %s AND a.\"user\" = %s AND a.interaction = 'read'"
        " AND a.at < now() - interval '1 hour'",
        (identity("Patient", id), request.user.get_username()),
    )
    return rows[0][0]


@space("professional")
def timeline(request, id):
    given = record.timeline(request.asking, id, request.GET.get("type"), request.GET.get("older"))
    return shown(request, "timeline", id, tab="timeline", **given)


@space("professional")
def results(request, id):
    given = record.result_pages(request.asking, id, request.GET.get("code"), request.GET.get("older"))
    return shown(request, "results", id, tab="results", **given)


@space("professional")
def medicines(request, id):
    now, past = record.medicines(request.asking, id)
    return shown(request, "medicines", id, tab="medicines", now=now, past=past)


@space("professional")
def imaging(request, id):
    studies = [
        readable.item(s) | {"modality": readable.concept(s.get("modality")), "series": s.get("numberOfSeries"),
                            "images": s.get("numberOfInstances"), "uid": uid(s), "viewer": viewer(uid(s))}
        for s in record.listed(request.asking, "ImagingStudy", id)
    ]  # fmt: skip
    return shown(request, "imaging", id, tab="imaging", studies=studies)


def viewer(uid):
    """Where an image viewer shows the study; "" without a viewer, or without a uid that is one."""
    address = settings.FHIRSERVER_VIEWER_URL
    return address.replace("{study}", uid) if address and UID.fullmatch(uid) else ""


def uid(study):
    """The Study Instance UID."""
    return next((i["value"].removeprefix("urn:oid:") for i in study.get("identifier") or ()
                 if i.get("system") == "urn:dicom:uid" and i.get("value")), "")  # fmt: skip


@space("professional")
def item(request, id, type, rid):
    return shown(request, "item", id, **record.entry(request.asking, id, type, rid))


@space("professional")
def file(request, id, type, rid, number):
    return record.file(record.one(request.asking, id, type, rid), number)


@space("professional")
def emergency(request):
    """Break the glass: a reason, an identity that is complete, one record for an hour."""
    fields = ("ins", "family", "given", "birthdate", "gender", "birthPlace", "mode", "reason")
    given = {k: request.POST.get(k, "").strip() for k in fields}
    wrong = ""
    if request.method == "POST":
        try:
            answer = request.asking.send("POST", "Patient/$break-glass", parameters(given))
        except errors.NotFound:  # unknown, opposed, blocked and closed alike
            wrong = _(
                "No record opens with this. Check the INS, or give all five traits as they stand in the identity."
            )
        except errors.Forbidden:
            wrong = _("Your profession may not open records in this situation.")
        except errors.BadRequest:
            wrong = _("Give the INS number or all five traits, and a reason of at least ten characters.")
        else:
            messages.success(request, _("The record is open to you. The patient and the attending doctor are told."))
            found = next(p for p in answer["parameter"] if p["name"] == "patient")["valueReference"]["reference"]
            return HttpResponseRedirect(f"/care/{found.removeprefix('Patient/')}/")
    return shown(request, "emergency", given=given, wrong=wrong)


def parameters(given):
    """A Parameters of what the form says; the INS of any of its systems is tried by value and system together."""
    named = {"purpose": "BTG", "mode": given["mode"] or "bris-de-glace", "reason": given["reason"]}
    if given["ins"]:
        number = given["ins"].replace(" ", "")
        named["identifier"] = number if "|" in number else f"{ins_system()}|{number}"
    else:
        named |= {k: given[k] for k in ("family", "given", "birthdate", "gender", "birthPlace") if given[k]}
    return {
        "resourceType": "Parameters", "parameter": [{"name": k, "valueString": v} for k, v in named.items()],
    }  # fmt: skip


def ins_system():
    """The system of INS numbers here: real ones in production, else those for tests."""
    return vocabulary.INS[0] if settings.FHIRSERVER_ENVIRONMENT == "production" else vocabulary.INS[2]


@require_POST
@space("professional")
def end(request, id):
    body = {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueString": f"Patient/{id}"}]}
    request.asking.send("POST", "Patient/$end-break-glass", body)
    messages.success(request, _("The emergency is over: what you had opened is closed."))
    return HttpResponseRedirect(reverse("care"))


urlpatterns = [
    path("", patients, name="care"),
    path("emergency/", emergency, name="care_emergency"),
    path("<rid:id>/", summary),
    path("<rid:id>/timeline/", timeline),
    path("<rid:id>/results/", results),
    path("<rid:id>/medicines/", medicines),
    path("<rid:id>/imaging/", imaging),
    path("<rid:id>/end/", end),
    path("<rid:id>/<rtype:type>/<rid:rid>/", item),
    path("<rid:id>/<rtype:type>/<rid:rid>/file/<int:number>", file),
]
