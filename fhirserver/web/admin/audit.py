"""The audit: read by the search for AuditEvents, taken along, verified."""

from urllib.parse import urlencode

from django.views.decorators.http import require_POST

from records import errors

from .. import readable
from ..sheets import sheet
from .staff import noted, shown, staff

PAGE = 50


@staff("data-protection")
def audit(request):
    """The audit, by the search for AuditEvents; every look is in the audit, too."""
    given = {k: request.GET.get(k, "").strip() for k in ("patient", "agent", "from", "to", "action")}
    query = [("_count", str(1000 if request.GET.get("csv") else PAGE))]
    if given["patient"]:
        query.append(("patient", given["patient"]))
    if given["agent"]:
        query.append(("agent", given["agent"]))
    if given["action"]:
        query.append(("action", given["action"]))
    query += [("date", f"{prefix}{given[k]}") for k, prefix in (("from", "ge"), ("to", "le")) if given[k]]
    asked = any(given.values()) or "_page" in request.GET
    rows, wrong = [], ""
    if asked:
        try:
            rows = [told(e) for e in request.asking.search(f"AuditEvent?{urlencode(query)}")]
        except errors.FHIRError as error:
            wrong = str(error)
    if request.GET.get("csv") and not wrong:
        return exported(rows)
    return shown(
        request, "audit", "audit/", given=given, rows=rows, wrong=wrong, asked=asked, csv=request.GET.urlencode()
    )


def told(event):
    """A line of the audit."""
    who = next((a for a in event.get("agent") or () if a.get("requestor")), {})
    return {
        "id": event["id"], "when": event.get("recorded", ""), "who": (who.get("who") or {}).get("display", ""),
        "what": readable.concept(event.get("subtype")) or readable.concept(event.get("type")),
        "outcome": event.get("outcome", ""), "action": event.get("action", ""),
        "about": " ".join((e.get("what") or {}).get("reference", "") for e in event.get("entity") or ()).strip(),
    }  # fmt: skip


def exported(rows):
    columns = ("id", "when", "who", "action", "what", "outcome", "about")
    return sheet("audit", columns, ([row[c] for c in columns] for row in rows))


@require_POST
@staff("data-protection")
def verify(request):
    """Read the whole audit against its seals, now."""
    from accessctl.audit import checkpoint, encoding, source
    from accessctl.audit.verify import Verification

    noted(request, "verify-audit")
    request.asking.settle()
    check = Verification(encoding.keys(), checkpoint.public_keys())
    findings = [str(f) for f, _n in zip(check.findings(source.database()), range(100), strict=False)]
    return shown(request, "verified", "audit/", findings=findings, records=check.records, tail=check.tail)
