"""Who read the record: each access, a doubt about one, and what the patient was told."""

from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

from django.utils.translation import get_language

from records.database import execute
from records.keys import identity

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
    rows = [
        {"id": e["resource"]["id"], "text": plain((e["resource"].get("text") or {}).get("div")),
         "refused": e["resource"].get("outcome", "0") != "0", "action": e["resource"].get("action")}
        for e in bundle.get("entry") or () if e["resource"]["resourceType"] == "AuditEvent"
    ]  # fmt: skip
    further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
    return shown(request, "history", id, tab="history", rows=rows, whole=whole,
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
