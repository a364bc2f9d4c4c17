"""The audit: read by the search for AuditEvents, seen over time, taken along, verified."""

from urllib.parse import urlencode

from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accessctl.audit import criteria
from records import errors
from records.database import as_system, execute

from .. import readable
from ..sheets import sheet
from .staff import noted, shown, staff

PAGE = 50
SHEET = 10  # pages of a thousand that a table has at most
BARS = 60
LOOKED = 20_000  # records that the picture over time is made of: the newest
FIELDS = ("_id", "patient", "agent", "entity", "from", "to", "action", "subtype", "outcome")
ACTIONS = {"C": gettext_lazy("create"), "R": gettext_lazy("read"), "U": gettext_lazy("change"),
           "D": gettext_lazy("delete"), "E": gettext_lazy("search or operation")}  # fmt: skip
INTERACTIONS = (
    "read", "vread", "search-type", "search-system", "history-instance", "history-type", "history-system", "create",
    "update", "patch", "delete", "operation",
)  # fmt: skip
COLUMNS = ("id", "when", "who", "action", "what", "outcome", "about")
DAYS = (("from", "ge", 0), ("to", "lt", 1))  # both days are within
STEPS = (("minute", 60), ("hour", 3600), ("day", 86400), ("month", 31 * 86400))


@staff("data-protection")
def audit(request):
    """By the search for AuditEvents; every look is in the audit, too."""
    given = {k: request.GET.get(k, "").strip() for k in FIELDS}
    query = asked(given)
    table, page = request.GET.get("csv"), request.GET.get("_page")
    url = urlencode([*query, ("_count", 1000 if table else PAGE), *([("_page", page)] if page else [])])
    rows, bars, further, wrong = [], [], "", ""
    if query:
        try:
            if table:
                rows = request.asking.search(f"AuditEvent?{url}", most=SHEET)
                return sheet("audit", COLUMNS, ([each[c] for c in COLUMNS] for each in lines(rows)))
            bundle = request.asking.get(f"AuditEvent?{url}")
            rows = lines([e["resource"] for e in bundle.get("entry") or ()])
            further = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
            bars = timeline(request, query)
        except errors.FHIRError as error:
            wrong = str(error)
    older = f"{urlencode({k: v for k, v in given.items() if v})}&{further.partition('?')[2]}" if further else ""
    return shown(
        request, "audit", "audit/", given=given, rows=rows, wrong=wrong, asked=bool(query), bars=bars, older=older,
        actions=ACTIONS.items(), interactions=dict.fromkeys([*INTERACTIONS, given["subtype"]]),
        looked=LOOKED if sum(bar["all"] for bar in bars) >= LOOKED else 0,
    )  # fmt: skip


def asked(given):
    """The parameters of the search; none, when nothing is asked for."""
    found = [(k, given[k]) for k in ("_id", "patient", "agent", "entity", "action", "subtype", "outcome") if given[k]]
    return found + [("date", prefix + edge(given[k], after)) for k, prefix, after in DAYS if given[k]]


def edge(day, after):
    """The begin of a day by the clock of the pages; what is no day is for the search to refuse."""
    try:
        return readable.day_begins(day, after)
    except (ValueError, OverflowError):
        return day


@as_system()
def timeline(request, query):
    """How many accesses, and refused ones, in each minute, hour, day or month: [(when, all, refused, x, heights)].

    Of the newest LOOKED that match: a day of a busy server has millions.
    """
    if not criteria.is_bounded(query):
        return []
    where = criteria.conditions(query, request.asking.base)
    newest = f"(SELECT a.at, a.status FROM audit a WHERE {where.text} ORDER BY a.seq DESC LIMIT {LOOKED}) a"
    ((first, last, n),) = execute(f"SELECT min(a.at), max(a.at), count(*) FROM {newest}", where.params)
    if not n:
        return []
    span = (last - first).total_seconds()
    step = next((name for name, seconds in STEPS if span / seconds < BARS), "year")
    noted(request, "audit-timeline", query=urlencode(query))
    rows = execute(
        "SELECT date_trunc(%s, a.at, %s), count(*), count(*) FILTER (WHERE a.status >= 400)"
        f" FROM {newest} GROUP BY 1 ORDER BY 1",
        (step, str(readable.zone()), *where.params),
    )
    most = max(total for _at, total, _refused in rows)
    wide = 1000 / len(rows)
    return [
        {"at": at, "all": total, "refused": refused, "x": round(i * wide, 1), "wide": round(wide * 0.8, 1),
         "tall": round(100 * total / most, 1), "top": round(100 - 100 * total / most, 1),
         "bad": round(100 * refused / most, 1), "bad_top": round(100 - 100 * refused / most, 1)}
        for i, (at, total, refused) in enumerate(rows)
    ]  # fmt: skip


@as_system()
def lines(events):
    """A line for each event; an operation by its name, which FHIR's subtypes do not have."""
    rows = execute("SELECT a.seq, a.interaction FROM audit a WHERE a.seq = ANY(%s) AND a.interaction LIKE '$%%'",
                   ([int(e["id"]) for e in events],))  # fmt: skip
    names = {str(seq): interaction for seq, interaction in rows}
    return [told(e) | ({"what": names[e["id"]]} if e["id"] in names else {}) for e in events]


def told(event):
    who = next((a for a in event.get("agent") or () if a.get("requestor")), {})
    return {
        "id": event["id"], "when": event.get("recorded", ""), "who": (who.get("who") or {}).get("display", ""),
        "what": readable.concept(event.get("subtype")) or readable.concept(event.get("type")),
        "outcome": event.get("outcome", ""), "action": event.get("action", ""),
        "about": " ".join((e.get("what") or {}).get("reference", "") for e in event.get("entity") or ()).strip(),
    }  # fmt: skip


@require_POST
@staff("data-protection")
def verify(request):
    """Read the whole audit against its seals, now."""
    from accessctl.audit import checkpoint, encoding, source
    from accessctl.audit.verify import Verification

    noted(request, "verify-audit", now=True)
    check = Verification(encoding.keys(), checkpoint.public_keys())
    with as_system():
        findings = [str(f) for f, _n in zip(check.findings(source.database()), range(100), strict=False)]
    return shown(request, "verified", "audit/", findings=findings, records=check.records, tail=check.tail)
