"""What all pages of the patient's space share: whose record it is, and the records that one may choose from."""

from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from accessctl.pieces import own
from records.database import as_system, execute

from .. import record
from ..ask import space

OF_AGE = 18  # years
TABS = (("summary", "", _("Summary")), ("timeline", "timeline/", _("Timeline")), ("results", "results/", _("Results")),
        ("access", "access/", _("Who may read it")), ("history", "history/", _("Who read it")),
        ("notices", "notices/", _("Notices")))  # fmt: skip


def shown(request, template, id, tab=None, **more):
    records = mine(request.asking.person)
    patient = record.patient_of(request.asking, id)
    minor = patient["age"] is not None and patient["age"] < OF_AGE
    return render(request, f"me/{template}.html", {
        "me": True, "tabs": record.tabs(TABS, tab), "minor": minor, "patient": patient, "root": f"/me/{id}",
        "records": records,
        "proxied": next((r for r in records if r["id"] == id and not r["own"]), None), **more,
    })  # fmt: skip


@as_system()
def mine(person):
    """The own record and those of whom the person represents, by id."""
    held = own(person)
    rows = execute(f"SELECT id, identity FROM resource WHERE identity = ANY({held.text})", held.params)
    found = [{"id": id, "own": key == person.patient} for id, key in rows]
    return sorted(found, key=lambda each: not each["own"])


def named(asking, records):
    """The records with the names of their patients."""
    return [r | {"name": record.patient_of(asking, r["id"])["name"]} for r in records]


@space("patient")
def first(request):
    """The own record, or a choice between several."""
    records = mine(request.asking.person)
    if len(records) == 1:
        return HttpResponseRedirect(f"/me/{records[0]['id']}/")
    return render(request, "me/choose.html", {"records": named(request.asking, records)})
