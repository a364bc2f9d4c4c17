"""The patient's space: the record in plain words, who may read it and why, who did, and what the patient decides.

A proxy has the same pages for the record of whom it represents; each page asks under the login's own name. What is
decided counts from the next request on: pages write Consents, labels and decisions by the interactions of /fhir.
"""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from xml.etree import ElementTree

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accessctl.consent import ROLE, SCOPE
from accessctl.labels import CONFIDENTIALITY, VISIBILITY
from accessctl.pieces import dated, own
from records import errors
from records.database import execute
from records.formats import json as fhir_json
from records.keys import identity

from . import readable, record
from .ask import space

MASK = {"system": VISIBILITY, "code": "MASQUE_PS"}
IRCP = {"system": ROLE, "code": "IRCP"}
POLICY = "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"
HISTORY = 50  # accesses of a page
RECORD = 1000  # resources of a page of $everything


def shown(request, template, id, **more):
    records = mine(request.asking.person)
    patient = record.patient_of(request.asking, id)
    return render(request, f"me/{template}.html", {
        "me": True, "patient": patient, "root": f"/me/{id}", "records": records,
        "proxied": next((r for r in records if r["id"] == id and not r["own"]), None), **more,
    })  # fmt: skip


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


# what the record says


@space("patient")
def summary(request, id):
    return shown(request, "summary", id, tab="summary", **record.summary(request.asking, id))


@space("patient")
def timeline(request, id):
    type = request.GET.get("type")
    types = [(t, readable.kind(t)) for t in record.SORTED]
    years = record.timeline(request.asking, id, type)
    return shown(request, "timeline", id, tab="timeline", years=years, type=type, types=types)


@space("patient")
def results(request, id):
    return shown(
        request, "results", id, tab="results", **record.result_pages(request.asking, id, request.GET.get("code"))
    )


@space("patient")
def item(request, id, type, rid):
    return shown(request, "item", id, **record.one(request.asking, id, type, rid))


@space("patient")
def file(request, id, type, rid, number):
    return record.file(record.one(request.asking, id, type, rid), number)


@require_POST
@space("patient")
def mask(request, id, type, rid):
    """Hide an entry from professionals, or show it again."""
    tree = record.one(request.asking, id, type, rid)["tree"]
    hide = request.POST.get("hide") == "yes"
    meta = tree.setdefault("meta", {})
    meta["security"] = [s for s in meta.get("security") or () if s.get("code") != MASK["code"]] + (
        [MASK] if hide else []
    )
    if type == "DocumentReference" and "securityLabel" in tree:
        kept = [c for c in tree["securityLabel"] if all(g.get("code") != MASK["code"] for g in c.get("coding") or ())]
        tree["securityLabel"] = kept + ([{"coding": [MASK]}] if hide else [])
    for holder, key in ((meta, "security"), (tree, "securityLabel")):
        if not holder.get(key):
            holder.pop(key, None)
    request.asking.send("PUT", f"{type}/{rid}", tree, **{"if-match": f'W/"{meta["versionId"]}"'})
    said = _("Professionals do not see this entry any more.") if hide else _("Professionals see this entry again.")
    messages.success(request, said)
    return HttpResponseRedirect(f"/me/{id}/{type}/{rid}/")


# who may read it


@space("patient")
def access(request, id):
    """Who has access and why, as consents and decisions stand."""
    key, asking = identity("Patient", id), request.asking
    patient = record.patient_of(asking, id)  # before any row about this patient is looked up
    consents = asking.search(f"Consent?patient=Patient/{id}&status=active&_count=100")
    people = execute(
        "SELECT 'attending', coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username), ad.since,"
        f" ad.until, p.practitioner, '' FROM attending_doctor ad JOIN person p ON p.user_id = ad.person_id"
        f" JOIN auth_user u ON u.id = p.user_id WHERE ad.patient = %s AND {dated('ad')}"
        " UNION ALL SELECT 'block', coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username),"
        " bl.since, bl.until, p.practitioner, '' FROM block bl JOIN person p ON p.user_id = bl.person_id"
        f" JOIN auth_user u ON u.id = p.user_id WHERE bl.patient = %s AND {dated('bl')}"
        " UNION ALL SELECT 'proxy', coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username),"
        " px.since, px.until, u.username, px.kind FROM proxy px JOIN auth_user u ON u.id = px.person_id"
        f" WHERE px.patient = %s AND {dated('px')}"
        " UNION ALL SELECT 'opening', coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username),"
        " op.since, op.until, p.practitioner, op.reason FROM opening op JOIN person p ON p.user_id = op.person_id"
        f" JOIN auth_user u ON u.id = p.user_id WHERE op.patient = %s AND {dated('op')} ORDER BY 2",
        (key,) * 4,
    )
    by = {kind: [dict(zip(("name", "since", "until", "ref", "more"), row[1:], strict=True)) for row in people
                 if row[0] == kind] for kind in ("attending", "block", "proxy", "opening")}  # fmt: skip
    rows = execute("SELECT closed, opposes_emergency, opposes_regulation FROM dossier WHERE patient = %s", (key,))
    closed, emergency, regulation = rows[0] if rows else (None, False, False)
    query = request.GET.get("name", "").strip()
    found = professionals(asking, query) if query else []
    return shown(request, "access", id, tab="access", given=[said(asking, c) for c in consents], by=by, closed=closed,
                 opposes=emergency, opposes_regulation=regulation, query=query, found=found, name=patient["name"],
                 holder=asking.person.patient == key)  # fmt: skip


def professionals(asking, query):
    """Of the directory, whose name begins so."""
    people = asking.search(f"Practitioner?{urlencode({'name': query, '_count': 20, '_sort': 'family'})}")
    return [
        {"id": p["id"], "name": readable.name(p),
         "what": readable.concept([q.get("code") for q in p.get("qualification") or ()]),
         "number": next((i["value"] for i in p.get("identifier") or () if i.get("value")), "")}
        for p in people
    ]  # fmt: skip


def said(asking, consent):
    """A Consent as a patient reads it."""
    provision = consent.get("provision") or {}
    grantees = []
    for actor in provision.get("actor") or ():
        reference = actor.get("reference") or {}
        grantees.append(reference.get("display") or name_of(asking, reference.get("reference", "")))
    period = provision.get("period") or {}
    return {
        "id": consent["id"], "permit": provision.get("type") == "permit",
        "who": ", ".join(grantees) or _("everybody who treats me"), "since": readable.moment(consent.get("dateTime")),
        "until": readable.moment(period.get("end")), "exceptions": len(provision.get("provision") or ()),
        "sensitive": bool(provision.get("securityLabel")),
    }  # fmt: skip


def name_of(asking, reference):
    type, _slash, id = reference.partition("/")
    try:
        return readable.name(asking.get(f"{type}/{id}")) if id else reference
    except errors.FHIRError:
        return reference


@require_POST
@space("patient")
def grant(request, id):
    """A Consent that permits, or denies, one professional."""
    practitioner = request.POST.get("practitioner", "")
    who = request.asking.get(f"Practitioner/{quote(practitioner, safe='')}")
    body = consent(id, who, request.POST.get("until", ""), request.POST.get("sensitive") == "yes")
    request.asking.send("POST", "Consent", body)
    messages.success(request, _("%(name)s has access from now on.") % {"name": readable.name(who)})
    return HttpResponseRedirect(f"/me/{id}/access/")


def consent(id, practitioner, until, sensitive):
    """A permission as IHE PCF shapes it."""
    provision = {
        "type": "permit",
        "actor": [{
            "role": {"coding": [IRCP]},
            "reference": {"reference": f"Practitioner/{practitioner['id']}", "display": readable.name(practitioner)},
        }],
    }  # fmt: skip
    if until:
        provision["period"] = {"end": until}
    if sensitive:
        provision["securityLabel"] = [{"system": CONFIDENTIALITY, "code": "V"}]
    return {
        "resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{id}"}, "dateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "performer": [{"reference": f"Patient/{id}"}], "organization": [{"display": "Web"}],
        "sourceAttachment": {"title": "Said in the patient's space"}, "policy": [{"uri": POLICY}],
        "provision": provision,
    }  # fmt: skip


@require_POST
@space("patient")
def withdraw(request, id, rid):
    """End a Consent: it stays, inactive."""
    tree = request.asking.get(f"Consent/{rid}")
    if f"Patient/{id}" != (tree.get("patient") or {}).get("reference"):
        raise errors.NotFound(f"Consent/{rid}")
    tree["status"] = "inactive"
    request.asking.send("PUT", f"Consent/{rid}", tree, **{"if-match": f'W/"{tree["meta"]["versionId"]}"'})
    messages.success(request, _("The authorisation is withdrawn, from now on."))
    return HttpResponseRedirect(f"/me/{id}/access/")


DECISIONS = {
    "block": gettext_noop("This professional is kept out of the record, also in an emergency."),
    "unblock": gettext_noop("The block is lifted."),
    "name-proxy": gettext_noop("This person may act for you from now on."),
    "end-proxy": gettext_noop("This person cannot act for you any more."),
    "oppose-emergency": gettext_noop("Nobody can break the glass of your record any more."),
    "accept-emergency": gettext_noop("In an emergency your record can be opened again, and you are told."),
    "oppose-regulation": gettext_noop("The emergency call centre cannot open your record any more."),
    "accept-regulation": gettext_noop("The emergency call centre can open your record again."),
    "close-record": gettext_noop("Your record is closed: nobody but you reads it."),
    "reopen-record": gettext_noop("Your record is open again."),
    "report-access": gettext_noop("Your report has reached those who watch."),
}  # what is told afterwards


@require_POST
@space("patient")
def decide(request, id, name):
    """One of the decisions of accessctl/decisions.py."""
    if name not in DECISIONS:
        raise errors.NotFound(name)
    named = {k: request.POST[k] for k in ("practitioner", "login", "event", "text") if request.POST.get(k)}
    back = f"/me/{id}/{'history' if name == 'report-access' else 'access'}/"
    body = {"resourceType": "Parameters", "parameter": [{"name": k, "valueString": v} for k, v in named.items()]}
    try:
        request.asking.send("POST", f"Patient/{id}/${name}", body)
    except (errors.BadRequest, errors.NotFound) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _(DECISIONS[name]))
    return HttpResponseRedirect(back)


# who did


@space("patient")
def history(request, id):
    """Who looked at what, for whom and why, newest first."""
    asked = dict(parse_qsl(request.GET.get("more", ""))) or {"_count": HISTORY}
    if request.GET.get("others"):
        asked["others-only"] = "true"
    query = urlencode({k: v for k, v in asked.items() if k in ("_count", "_page", "others-only", "start", "end")})
    language = {"accept-language": get_language() or "en"}
    bundle = request.asking.send("GET", f"Patient/{id}/$access-history?{query}", **language)
    rows = [
        {"id": e["resource"]["id"], "text": plain((e["resource"].get("text") or {}).get("div")),
         "refused": e["resource"].get("outcome", "0") != "0", "action": e["resource"].get("action")}
        for e in bundle.get("entry") or () if e["resource"]["resourceType"] == "AuditEvent"
    ]  # fmt: skip
    further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
    return shown(request, "history", id, tab="history", rows=rows, others=request.GET.get("others"),
                 more=urlsplit(further).query if further else "", doubts=doubts(id))  # fmt: skip


def plain(div):
    """The text of a narrative, and nothing but text."""
    try:
        return " ".join("".join(ElementTree.fromstring(div or "<div/>").itertext()).split())
    except ElementTree.ParseError:
        return ""


def doubts(id):
    """What was reported about this record, and what was answered."""
    rows = execute(
        "SELECT event, text, created, answered, answer FROM doubt WHERE patient = %s ORDER BY created DESC LIMIT 50",
        (identity("Patient", id),),
    )
    return [dict(zip(("event", "text", "created", "answered", "answer"), row, strict=True)) for row in rows]


@space("patient")
def report(request, id, event):
    """The form for a doubt about one access."""
    language = {"accept-language": get_language() or "en"}
    tree = request.asking.send("GET", f"AuditEvent/{event}", **language)
    when = readable.moment(tree.get("recorded"))
    agents = ", ".join((a.get("who") or {}).get("display", "") for a in tree.get("agent") or () if a.get("requestor"))
    return shown(request, "report", id, tab="history", event=event, when=when, agents=agents)


@space("patient")
def notices(request, id):
    """What the patient was told: openings in an emergency and the like."""
    patient = record.patient_of(request.asking, id)
    rows = execute(
        "SELECT n.kind, n.created, coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username),"
        " op.reason, op.until FROM notice n LEFT JOIN opening op ON op.id = n.opening_id"
        " LEFT JOIN auth_user u ON u.id = coalesce(op.person_id, n.about_id)"
        " WHERE n.patient = %s AND n.person_id IS NULL ORDER BY n.created DESC LIMIT 100",
        (identity("Patient", id),),
    )
    found = [dict(zip(("kind", "created", "who", "reason", "until"), row, strict=True)) for row in rows]
    execute(  # shown is told
        "UPDATE notice SET delivered = now() WHERE patient = %s AND person_id IS NULL AND delivered IS NULL",
        (identity("Patient", id),),
    )
    return shown(request, "notices", id, tab="notices", rows=found, name=patient["name"])


# to take along


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
    from .paper import pdf

    patient = record.patient_of(request.asking, id)
    return attachment(pdf(patient, record.summary(request.asking, id)), "application/pdf", "record.pdf")


def attachment(content, kind, name):
    response = HttpResponse(content, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


urlpatterns = [
    path("", first, name="me"),
    path("<rid:id>/", summary),
    path("<rid:id>/timeline/", timeline),
    path("<rid:id>/results/", results),
    path("<rid:id>/access/", access),
    path("<rid:id>/access/grant", grant),
    path("<rid:id>/access/withdraw/<rid:rid>", withdraw),
    path("<rid:id>/decide/<slug:name>", decide),
    path("<rid:id>/history/", history),
    path("<rid:id>/history/<int:event>/", report),
    path("<rid:id>/notices/", notices),
    path("<rid:id>/record.json", download),
    path("<rid:id>/record.pdf", document),
    path("<rid:id>/<rtype:type>/<rid:rid>/", item),
    path("<rid:id>/<rtype:type>/<rid:rid>/mask", mask),
    path("<rid:id>/<rtype:type>/<rid:rid>/file/<int:number>", file),
]
