"""Who may read the record, and what its patient decides about that."""

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from accessctl.consent import ROLE, SCOPE
from accessctl.labels import CONFIDENTIALITY
from accessctl.pieces import dated
from records import errors
from records.database import as_system, execute
from records.definitions.structures import type_name
from records.fhirpath.times import interval
from records.keys import identity

from .. import readable, record
from ..ask import space
from .space import shown

IRCP = {"system": ROLE, "code": "IRCP"}
POLICY = "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"


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
    kept_out = {row["ref"] for row in by["block"]}
    found = [each | {"blocked": each["id"] in kept_out} for each in professionals(asking, query)] if query else []
    given = [said(asking, c, kept_out) for c in consents]
    attend = {f"Practitioner/{row['ref']}": row for row in by["attending"] if row["ref"]}
    for each in given:  # one line for who attends and is permitted alone
        if each["permit"] and len(each["named"]) == 1:
            each["attends"] = bool(attend.pop(min(each["named"]), None))
    by["attending"] = [row for row in by["attending"] if not row["ref"] or f"Practitioner/{row['ref']}" in attend]
    return shown(request, "access", id, tab="access", by=by, closed=closed, given=given,
                 grants=grants(asking, key), opposes=emergency, opposes_regulation=regulation, query=query, found=found,
                 name=patient["name"], holder=asking.person.patient == key)  # fmt: skip


@as_system()
def rows_of_grants(key):
    """(who, permission, type and id of an entry or None) of what data protection gave or withheld: django-guardian."""
    name = "coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username)"
    parts = [
        f"SELECT {who}, p.codename, {'r.type, r.id' if entry else 'NULL::smallint, NULL'} FROM {table} t JOIN {join}"
        f" JOIN auth_permission p ON p.id = t.permission_id {'JOIN resource r ON r.pk = t.content_object_id' * entry}"
        f" WHERE {'r.patient' if entry else 't.content_object_id'} = %s"
        for entry in (False, True)
        for of, who, join in (("user", name, "auth_user u ON u.id = t.user_id"),
                              ("group", "g.name", "auth_group g ON g.id = t.group_id"))
        for table in [f"{'resource' if entry else 'dossier'}_{of}_permission"]
    ]  # fmt: skip
    return execute(f"{' UNION ALL '.join(parts)} ORDER BY 1 LIMIT 100", (key,) * len(parts))


def grants(asking, key):
    """What staff granted on the record or on an entry, as far as the reader sees the entry."""
    found = []
    for who, codename, type, rid in rows_of_grants(key):
        about = name_of(asking, f"{type_name(type)}/{rid}", "") if type is not None else ""
        if type is None or about:
            found.append({"who": who, "permit": codename.startswith("view"), "about": about})
    return found


def professionals(asking, query):
    """Of the directory, whose name begins so."""
    people = asking.search(f"Practitioner?{urlencode({'name': query, '_count': 20, '_sort': 'family'})}")
    return [
        {"id": p["id"], "name": readable.name(p),
         "what": readable.concept([q.get("code") for q in p.get("qualification") or ()]),
         "number": next((i["value"] for i in p.get("identifier") or () if i.get("value")), "")}
        for p in people
    ]  # fmt: skip


def said(asking, consent, blocked=()):
    """A Consent as a patient reads it; what it permits to who is blocked holds for nobody."""
    provision = consent.get("provision") or {}
    grantees = []
    for actor in provision.get("actor") or ():
        reference = actor.get("reference") or {}
        grantees.append(reference.get("display") or name_of(asking, reference.get("reference", "")))
    period = provision.get("period") or {}
    named = {(actor.get("reference") or {}).get("reference") for actor in provision.get("actor") or ()}
    return {
        "id": consent["id"], "named": named, "permit": provision.get("type") == "permit",
        "who": ", ".join(grantees) or _("everybody who treats me"), "since": readable.moment(consent.get("dateTime")),
        "until": readable.moment(period.get("end")), "exceptions": len(provision.get("provision") or ()),
        "sensitive": bool(provision.get("securityLabel")), "over": over(period.get("end")),
        "blocked": bool(named) and named <= {f"Practitioner/{id}" for id in blocked},
    }  # fmt: skip


def over(end):
    """Is the last moment of a period past, as the rights reckon?"""
    return bool(end) and interval(end)[1] < datetime.now(UTC).timestamp() * 1_000_000


def name_of(asking, reference, otherwise=None):
    """What people call it; otherwise the reference."""
    type, _slash, id = reference.partition("/")
    try:
        tree = asking.get(f"{type}/{id}") if id else {}
    except errors.FHIRError:
        tree = {}
    if not tree:
        return reference if otherwise is None else otherwise
    return readable.name(tree) if tree.get("name") else readable.title(tree)


@require_POST
@space("patient")
def grant(request, id):
    """A Consent that permits, or denies, one professional."""
    record.patient_of(request.asking, id)
    practitioner = request.POST.get("practitioner", "")
    if not practitioner:
        raise errors.NotFound("Practitioner")
    who = request.asking.get(f"Practitioner/{quote(practitioner, safe='')}")
    until = request.POST.get("until", "")
    try:
        body = consent(id, who, until, request.POST.get("sensitive") == "yes")
    except ValueError as error:
        raise errors.InvalidValue("until", until, "expected a day") from error
    if until and until < readable.local(datetime.now(UTC)).date().isoformat():
        messages.error(request, _("Nothing is allowed: that day is over."))
        return HttpResponseRedirect(f"/me/{id}/access/?{urlencode({'name': readable.name(who)})}")
    request.asking.send("POST", "Consent", body)
    if blocked(id, practitioner):
        said = _("%(name)s is allowed, and reads nothing before you lift the block.")
        messages.warning(request, said % {"name": readable.name(who)})
    else:
        messages.success(request, _("%(name)s has access from now on.") % {"name": readable.name(who)})
    return HttpResponseRedirect(f"/me/{id}/access/")


def blocked(id, practitioner):
    """Does a block of this record hold against this Practitioner?"""
    return bool(execute(
        "SELECT FROM block bl JOIN person p ON p.user_id = bl.person_id WHERE bl.patient = %s AND p.practitioner = %s"
        f" AND {dated('bl')} LIMIT 1", (identity("Patient", id), practitioner)))  # fmt: skip


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
        provision["period"] = {"end": readable.day_ends(until).isoformat()}
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
    "oppose-emergency": gettext_noop("No doctor beside you can open your record in an emergency any more."),
    "accept-emergency": gettext_noop("In an emergency your record can be opened again, and you are told."),
    "oppose-regulation": gettext_noop("The emergency call centre cannot open your record any more."),
    "accept-regulation": gettext_noop("The emergency call centre can open your record again."),
    "close-record": gettext_noop("Your record is closed: no professional reads it."),
    "reopen-record": gettext_noop("Your record is open again."),
    "report-access": gettext_noop("Your report has reached those who watch."),
}  # what is told afterwards
FOR_ANOTHER = {
    "oppose-emergency": gettext_noop("No doctor beside the patient can open this record in an emergency any more."),
    "accept-emergency": gettext_noop("In an emergency this record can be opened again, and you are told."),
    "oppose-regulation": gettext_noop("The emergency call centre cannot open this record any more."),
    "accept-regulation": gettext_noop("The emergency call centre can open this record again."),
    "close-record": gettext_noop("This record is closed: no professional reads it."),
    "reopen-record": gettext_noop("This record is open again."),
    "end-proxy": gettext_noop("This person cannot act for the patient any more."),
}  # and to who acts for the patient
UNDONE = {
    "block": gettext_noop("This professional has no login here, and reads nothing."),
    "name-proxy": gettext_noop("There is no login of this name. Ask the person how it is spelt."),
    "report-access": gettext_noop("Say what is doubtful: nothing was sent."),
    "other": gettext_noop("This cannot be done."),
}  # and when it is refused


@require_POST
@space("patient")
def decide(request, id, name):
    """One of the decisions of accessctl/decisions.py."""
    if name not in DECISIONS:
        raise errors.NotFound(name)
    record.patient_of(request.asking, id)
    named = {k: request.POST[k] for k in ("practitioner", "login", "event", "text") if request.POST.get(k)}
    back = f"/me/{id}/{'history' if name == 'report-access' else 'access'}/"
    body = {"resourceType": "Parameters", "parameter": [{"name": k, "valueString": v} for k, v in named.items()]}
    try:
        request.asking.send("POST", f"Patient/{id}/${name}", body)
    except (errors.BadRequest, errors.NotFound):
        messages.error(request, _(UNDONE.get(name, UNDONE["other"])))
    else:
        holder = request.asking.person.patient == identity("Patient", id)
        messages.success(request, _(DECISIONS[name] if holder else FOR_ANOTHER.get(name, DECISIONS[name])))
    return HttpResponseRedirect(back)
