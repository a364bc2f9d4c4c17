"""What the pages of one patient's record show, asked as its reader: /care and /me read the same."""

from base64 import b64decode
from urllib.parse import quote, urlencode

from django.http import Http404, HttpResponse
from django.utils.translation import gettext_lazy as _

from records import errors

from . import readable

SORTED = {  # type -> parameter of its date
    "Encounter": "date", "DiagnosticReport": "date", "DocumentReference": "date", "ImagingStudy": "started",
    "Immunization": "date", "Condition": "recorded-date", "MedicationStatement": "effective", "Procedure": "date",
    "AllergyIntolerance": "date", "MedicationRequest": "authoredon",
}  # fmt: skip
RESULTS = ("laboratory", "vital-signs")
MOST = 200  # of a list on a page
MOST_KINDS, MOST_OF_A_KIND = 500, 1000  # Observations that are looked through for kinds; that a chart shows
SHOWN_AS_TEXT = ("text/plain",)


def patient_of(asking, id):
    """The patient as pages show her; not found when the reader may not."""
    tree = asking.get(f"Patient/{id}")
    return {
        "id": id, "name": readable.name(tree), "birth_name": readable.birth_name(tree),
        "birth": readable.moment(tree.get("birthDate")),
        "age": readable.age(tree.get("birthDate")), "gender": readable.GENDERS.get(tree.get("gender"), ""),
        "identifiers": readable.identifiers(tree), "tree": tree,
    }  # fmt: skip


def listed(asking, type, id, count=MOST, **criteria):
    """Resources of a type in the record, newest first."""
    query = {"patient": f"Patient/{id}", **criteria, "_count": count}
    if type in SORTED:
        query["_sort"] = f"-{SORTED[type]}"
    if type == "Observation":
        query["_sort"] = "-date"
    return asking.search(f"{type}?{urlencode(query)}")


def items(asking, type, id, since=None, **more):
    return [readable.item(r, since) for r in listed(asking, type, id, **more)]


def is_current(item):
    return item["status"] in ("", "active", "recurrence", "relapse", "intended", "on-hold", "Active", "unknown")


def summary(asking, id, since=None):
    """One screen: allergies first."""
    problems = items(asking, "Condition", id, since)
    return {
        "allergies": items(asking, "AllergyIntolerance", id, since),
        "problems": [p for p in problems if is_current(p)],
        "past": [p for p in problems if not is_current(p)],
        "medicines": medicines(asking, id, since)[0],
        "results": latest(newest(asking, id), since)[:12],
        "imaging": items(asking, "ImagingStudy", id, since, count=5),
        "documents": items(asking, "DocumentReference", id, since, count=8),
        "visits": items(asking, "Encounter", id, since, count=5),
        "vaccines": items(asking, "Immunization", id, since, count=20),
    }


def medicines(asking, id, since=None):
    """(current, past)."""
    found = items(asking, "MedicationStatement", id, since) + items(asking, "MedicationRequest", id, since)
    return [m for m in found if is_current(m)], [m for m in found if not is_current(m)]


def newest(asking, id):
    """The two newest results of each kind, however many there are of others; of a very large record, of the newest."""
    categories = ",".join(RESULTS)
    query = urlencode({"patient": f"Patient/{id}", "category": categories, "max": 2})
    try:
        bundle = asking.get(f"Observation/$lastn?{query}")
    except errors.TooCostly:
        return listed(asking, "Observation", id, count=MOST_KINDS, category=categories)
    return [e["resource"] for e in bundle.get("entry") or () if e["search"]["mode"] == "match"]


def latest(observations, since=None):
    """The newest of each kind, with the value before it."""
    found = {}
    for each in observations:
        key = readable.code_of(each)
        if key not in found:
            shown = readable.item(each, since)
            found[key] = shown | {"code": "|".join(key), "range": readable.limits(each)[2], "before": ""}
        else:
            found[key]["before"] = found[key]["before"] or readable.value(each)
    return list(found.values())


def result_pages(asking, id, code):
    """All kinds of results, or one of them over time."""
    if not code:
        return {"rows": latest(newest(asking, id))}
    found = listed(asking, "Observation", id, count=MOST_OF_A_KIND, code=code)
    rows = [readable.item(o) | {"range": readable.limits(o)[2]} for o in found]
    return {"one": rows[0]["title"] if rows else code, "rows": rows, "series": series(found)}


def series(observations):
    """The numbers of one kind of result for a chart: lines by what they measure, times in seconds, oldest first."""
    lines, times, ranges = {}, [], []
    ordered = sorted((o for o in observations if len(readable.started(o)) >= 10), key=readable.started)
    for n, each in enumerate(ordered):
        parts = each.get("component") or [each]
        for part in parts:
            if (found := readable.magnitude(part.get("valueQuantity"))) is not None:
                label = readable.concept(part.get("code"))
                lines.setdefault(label, {})[n] = found
        times.append(readable.started(each))
        ranges.append(readable.limits(each)[:2])
    unit = next((q.get("unit") or q.get("code") or "" for o in observations for p in (o.get("component") or [o])
                 if (q := p.get("valueQuantity"))), "")  # fmt: skip
    return {
        "times": times, "unit": unit,
        "lines": [{"label": k, "values": [v.get(n) for n in range(len(times))]} for k, v in lines.items()],
        "low": [r[0] for r in ranges], "high": [r[1] for r in ranges],
    }  # fmt: skip


def timeline(asking, id, type=None, since=None):
    """Everything with a date, newest first, the years apart."""
    types = [type] if type in SORTED else list(SORTED)
    found = [i for each in types for i in items(asking, each, id, since, count=MOST if type else 50)]
    found.sort(key=lambda i: i["date"], reverse=True)
    years = {}
    for each in found:
        years.setdefault(each["date"][:4] or str(_("without date")), []).append(each)
    return list(years.items())


def one(asking, id, type, rid):
    """A resource of this record with what is attached to it; of another record it is not found here."""
    tree = asking.get(f"{type}/{rid}")
    if not any(p == id for p in named_patients(tree)):
        raise Http404
    return {"tree": tree, "item": readable.item(tree), "facts": readable.facts(tree), "attached": attached(tree)}


def named_patients(tree):
    for element in ("subject", "patient", "for", "beneficiary"):
        reference = (tree.get(element) or {}).get("reference", "") if isinstance(tree.get(element), dict) else ""
        if reference.startswith("Patient/"):
            yield reference.removeprefix("Patient/")
    if tree["resourceType"] == "Patient":
        yield tree["id"]


def attached(tree):
    """Attachments: plain text as text, anything else as a file."""
    given = [c.get("attachment") or {} for c in tree.get("content") or () if isinstance(c, dict)]
    given += [a for a in tree.get("presentedForm") or () if isinstance(a, dict)]
    found = []
    for n, each in enumerate(given):
        kind = (each.get("contentType") or "").partition(";")[0].strip().lower()
        text = ""
        if each.get("data") and kind in SHOWN_AS_TEXT:
            text = b64decode(each["data"]).decode(errors="replace")
        found.append({"number": n, "title": each.get("title") or kind or "?", "kind": kind, "text": text,
                      "data": each.get("data"), "url": each.get("url")})  # fmt: skip
    return found


def file(shown, number):
    """An attachment as a download that no browser runs. (attack A55)"""
    try:
        each = shown["attached"][number]
        content = b64decode(each["data"])
    except (IndexError, TypeError, ValueError):
        raise Http404 from None
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(each['title'], safe='')}"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
