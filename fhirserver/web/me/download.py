"""The record to take along: as data, and as a document for people."""

from datetime import UTC, datetime

from django.http import HttpResponse

from records.formats import json as fhir_json

from .. import record
from ..ask import space

RECORD = 1000  # resources of a page of $everything


def everything(asking, id):
    """All resources of the record that the reader may see."""
    found, url = [], f"Patient/{id}/$everything?_count={RECORD}"
    while url:
        bundle = asking.get(url)
        found += bundle.get("entry") or []
        url = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
        url = url.removeprefix(asking.base).lstrip("/") if url else None
    return found


@space("patient")
def download(request, id):
    """The record as a Bundle of FHIR."""
    entries = [{k: v for k, v in e.items() if k != "search"} for e in everything(request.asking, id)]
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": datetime.now(UTC).isoformat()}
    return attachment(fhir_json.dump(bundle | {"entry": entries}), "application/fhir+json", "record.json")


@space("patient")
def document(request, id):
    """The record as a document for people."""
    from ..paper import pdf

    patient = record.patient_of(request.asking, id)
    return attachment(pdf(patient, record.summary(request.asking, id)), "application/pdf", "record.pdf")


def attachment(content, kind, name):
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
