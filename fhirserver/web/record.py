"""What the pages of one patient's record show, asked as its reader: /care and /me read the same."""

from base64 import b64decode
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from django.http import Http404, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from records import errors
from records.resources.references import local

from . import readable, vocabulary

DATED = (  # what a timeline shows
    "Encounter", "DiagnosticReport", "DocumentReference", "ImagingStudy", "Immunization", "Condition",
    "MedicationStatement", "Procedure", "AllergyIntolerance", "MedicationRequest",
)  # fmt: skip
MEDICINES = ("MedicationStatement", "MedicationRequest")
RESULTS = ("laboratory", "vital-signs")
MOST = 200  # of a list on a page
SUMMARY = {  # how many of each
    "AllergyIntolerance": MOST, "Condition": MOST, "MedicationStatement": MOST, "MedicationRequest": MOST,
    "ImagingStudy": 5, "DocumentReference": 8, "Encounter": 5, "Immunization": 20,
}  # fmt: skip
CURRENT = ("", "active", "recurrence", "relapse", "intended", "on-hold", "unknown", "unconfirmed", "provisional",
           "differential")  # fmt: skip
SHOWN, CHARTED = 100, 250  # of a page of the timeline; values on a page and in its chart
MOST_KINDS = 500  # Observations of a record with very many that are looked through for kinds
NAMED = 10  # references of an entry that are asked for their names
SHOWN_AS_TEXT = ("text/plain",)


def tabs(among, tab):
    """(address below the record, name, whether the page is there) of the parts of a record."""
    return [(url, name, each == tab) for each, url, name in among]


def patient_of(asking, id):
    """The patient as pages show her; not found when the reader may not."""
    tree = asking.get(f"Patient/{id}")
    return {
        "id": id, "name": readable.name(tree), "birth_name": readable.birth_name(tree),
        "birth": readable.moment(tree.get("birthDate")), "born": vocabulary.BORN.get(tree.get("gender"), _("born")),
        "age": readable.age(tree.get("birthDate")), "gender": vocabulary.GENDERS.get(tree.get("gender"), ""),
        "identifiers": readable.identifiers(tree), "tree": tree,
    }  # fmt: skip


def listed(asking, type, id, count=MOST, **criteria):
    """Resources of a type in the record, newest first."""
    return asking.search(f"{type}?{urlencode({'patient': f'Patient/{id}', **criteria, '_count': count})}")


def newest(asking, id, types, page=None, **most):
    """(resources of the record, newest first, the token of the next page or None): in pages, or so many of each type.

    What the patient only signed or took part in is in her compartment, but not of her record.
    """
    query = [("_type", ",".join(types)), *(("max", f"{type}|{number}") for type, number in most.items())]
    if not most:
        query += [("_count", SHOWN), *([("_page", page)] if page else [])]
    bundle = asking.get(f"Patient/{id}/$newest?{urlencode(query)}")
    found = [e["resource"] for e in bundle.get("entry") or () if e["search"]["mode"] == "match"]
    return [r for r in found if id in named_patients(r)], following(bundle)


def by_type(resources, since=None):
    """{type: what pages show}, in the order given."""
    found = {}
    for each in resources:
        found.setdefault(each["resourceType"], []).append(readable.item(each, since))
    return found


def is_current(item):
    return item["status"] in CURRENT


def summary(asking, id, since=None):
    """One screen: allergies first; what was recorded in error or is ruled out stays on the timeline."""
    found = by_type(newest(asking, id, list(SUMMARY), **SUMMARY)[0], since)
    found = {type: [each for each in rows if each["status"] not in vocabulary.WRONG] for type, rows in found.items()}
    problems = found.get("Condition", [])
    return {
        "allergies": found.get("AllergyIntolerance", []),
        "problems": [p for p in problems if is_current(p)],
        "past": [p for p in problems if not is_current(p)],
        "medicines": split(found)[0],
        "results": latest(measured(asking, id), since)[:12],
        "imaging": found.get("ImagingStudy", []),
        "documents": found.get("DocumentReference", []),
        "visits": found.get("Encounter", []),
        "vaccines": found.get("Immunization", []),
    }


def medicines(asking, id):
    """(current, past)."""
    return split(by_type(newest(asking, id, MEDICINES, **dict.fromkeys(MEDICINES, MOST))[0]))


def split(found):
    """(current, past) of medicines taken and prescribed."""
    rows = [m for type in MEDICINES for m in found.get(type, ())]
    return [m for m in rows if is_current(m)], [m for m in rows if not is_current(m)]


def measured(asking, id):
    """The two newest results of each kind, however many there are of others; of a very large record, of the newest."""
    categories = ",".join(RESULTS)
    query = urlencode({"patient": f"Patient/{id}", "category": categories, "max": 2})
    try:
        bundle = asking.get(f"Observation/$lastn?{query}")
    except errors.TooCostly:
        return listed(asking, "Observation", id, count=MOST_KINDS, category=categories)
    return [e["resource"] for e in bundle.get("entry") or () if e["search"]["mode"] == "match"]


def latest(observations, since=None):
    """The newest of each kind, with the value before it; what was recorded in error is none."""
    found = {}
    for each in observations:
        if readable.status(each) in vocabulary.WRONG:
            continue
        key = readable.code_of(each)
        if key not in found:
            shown = readable.item(each, since)
            found[key] = shown | {"code": "|".join(key), "range": readable.limits(each)[2], "before": ""}
        else:
            found[key]["before"] = found[key]["before"] or readable.value(each)
    return list(found.values())


def result_pages(asking, id, code, page=None):
    """All kinds of results, or one of them over time, in pages."""
    if not code:
        return {"rows": latest(measured(asking, id))}
    query = urlencode({"patient": f"Patient/{id}", "code": code, "_sort": "-date", "_count": CHARTED})
    bundle = asking.get(f"Observation?{query}{'&' + urlencode({'_page': page}) if page else ''}")
    found = [e["resource"] for e in bundle.get("entry") or () if e["search"]["mode"] == "match"]
    rows = [readable.item(o) | {"range": readable.limits(o)[2]} for o in found]
    return {"one": rows[0]["title"] if rows else code, "rows": rows, "series": series(found), "code": code,
            "older": following(bundle), "paged": bool(page)}  # fmt: skip


def following(bundle):
    """The token of the next page, or None."""
    link = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return dict(parse_qsl(urlsplit(link).query)).get("_page")


def series(observations):
    """The numbers of one kind of result for a chart: lines by what they measure, times in seconds, oldest first."""
    lines, times, ranges = {}, [], []
    observations = [o for o in observations if readable.status(o) not in vocabulary.WRONG]
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
        "times": times, "axis": gettext("Date"), "unit": unit,
        "limits": [gettext("lower limit"), gettext("upper limit")],
        "lines": [{"label": k, "values": [v.get(n) for n in range(len(times))]} for k, v in lines.items()],
        "low": [r[0] for r in ranges], "high": [r[1] for r in ranges],
    }  # fmt: skip


def timeline(asking, id, type=None, page=None):
    """Everything with a date, newest first, the years apart: a page, and the token of the next one."""
    found, older = newest(asking, id, [type] if type in DATED else DATED, page)
    years = {}
    for each in map(readable.item, found):
        years.setdefault(each["date"][:4] or str(_("without date")), []).append(each)
    return {"years": list(years.items()), "type": type, "types": [(t, readable.kind(t)) for t in DATED],
            "older": older, "paged": bool(page)}  # fmt: skip


def one(asking, id, type, rid):
    """A resource of this record with what is attached to it; of another record it is not found here."""
    tree = asking.get(f"{type}/{rid}")
    if not any(p == id for p in named_patients(tree)):
        raise Http404
    return {"tree": tree, "item": readable.item(tree), "attached": attached(tree)}


def entry(asking, id, type, rid):
    """The same in words, for its page, with the results of a report."""
    shown = one(asking, id, type, rid)
    tree = shown["tree"]
    return shown | {"details": readable.details(tree, naming(asking)), "facts": readable.facts(tree),
                    "rows": reported(asking, id, tree)}  # fmt: skip


def naming(asking):
    """A function: reference -> the name of what it names, "" of what the reader does not see; asked once each."""
    known = {}

    def name_of(reference):
        if reference not in known and len(known) < NAMED and (named := local(reference)) and named[1]:
            try:
                tree = asking.get(f"{named[0]}/{named[1]}")
                known[reference] = readable.name(tree) if tree.get("name") else readable.title(tree)
            except errors.FHIRError:
                known[reference] = ""
        return known.get(reference, "")

    return name_of


def reported(asking, id, tree):
    """The results of a report."""
    references = [r.get("reference", "") for r in tree.get("result") or () if isinstance(r, dict)]
    ids = [r.removeprefix("Observation/") for r in references if r.startswith("Observation/")][:MOST]
    return latest(listed(asking, "Observation", id, _id=",".join(ids))) if ids else []


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
