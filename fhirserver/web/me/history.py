"""Who read the record: each access, a doubt about one, and what the patient was told."""

from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

from django.utils.translation import get_language

from accessctl.groups import READS
from accessctl.pieces import dated
from records.database import as_system, execute
from records.keys import identity
from records.operations import OPERATIONS

from .. import readable, record
from ..ask import space
from .space import shown

HISTORY = 25  # accesses of a page


@space("patient")
def history(request, id):
    """What others looked at, for whom and why, newest first; with `all` what the reader did, too."""
    asked, whole = dict(parse_qsl(request.GET.get("more", ""))) or {"_count": HISTORY}, request.GET.get("all")
    if not whole:
        asked["others-only"] = "true"
    query = urlencode({k: v for k, v in asked.items() if k in ("_count", "_page", "others-only", "start", "end")})
    language = {"accept-language": get_language() or "en"}
    bundle = request.asking.send("GET", f"Patient/{id}/$access-history?{query}", **language)
    rows = grouped([e["resource"] for e in bundle.get("entry") or () if e["resource"]["resourceType"] == "AuditEvent"])
    further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
    return shown(request, "history", id, tab="history", rows=rows, whole=whole,
                 more=urlsplit(further).query if further else "", doubts=doubts(id))  # fmt: skip


def grouped(events):
    """A page looks several times: what a person looked at in a minute, for one reason, is one row with the rest below.

    First stands that about most; each keeps its own sentence and its own doubt.
    """
    found, looks = {}, of_looks(events)
    for each in events:
        who = next((a.get("who") for a in each.get("agent") or () if a.get("requestor")), None)
        refused, why = each.get("outcome", "0") != "0", readable.concept((each.get("purposeOfEvent") or [{}])[0])
        one = each["id"] in looks and who and why
        key = (readable.moment(each.get("recorded")), str(who), why, refused) if one else each["id"]
        found.setdefault(key, []).append({
            "id": each["id"], "text": plain((each.get("text") or {}).get("div")), "refused": refused,
            "about": len(each.get("entity") or ()),
        })  # fmt: skip
    rows = []
    for group in found.values():
        first = max(group, key=lambda row: row["about"])
        rows.append(first | {"more": [row for row in group if row is not first]})
    return rows


@as_system()
def of_looks(events):
    """The ids of those that changed nothing; an operation is known by its name, which FHIR's subtypes do not have."""
    looks = [*READS, *(f"${each.name}" for each in OPERATIONS if not each.affects_state)]
    rows = execute("SELECT a.seq FROM audit a WHERE a.seq = ANY(%s) AND a.interaction = ANY(%s)",
                   ([int(each["id"]) for each in events], looks))  # fmt: skip
    return {str(seq) for (seq,) in rows}


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
    record.patient_of(request.asking, id)
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
    return shown(request, "notices", id, tab="notices", rows=found, mailed=mailed(request.asking.person, id))


def mailed(person, id):
    """Are notices of this record sent to that person, too? To its patient and to who represents by law."""
    key = identity("Patient", id)
    return person.patient == key or bool(execute(
        "SELECT FROM proxy px WHERE px.patient = %s AND px.person_id = %s AND px.kind = 'representative'"
        f" AND {dated('px')} LIMIT 1", (key, person.user)))  # fmt: skip
