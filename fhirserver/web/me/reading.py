"""What the record says, and an entry that is hidden from professionals."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accessctl.labels import VISIBILITY

from .. import record
from ..ask import space
from .space import shown

MASK = {"system": VISIBILITY, "code": "MASQUE_PS"}


@space("patient")
def summary(request, id):
    return shown(request, "summary", id, tab="summary", **record.summary(request.asking, id))


@space("patient")
def timeline(request, id):
    given = record.timeline(request.asking, id, request.GET.get("type"), request.GET.get("older"))
    return shown(request, "timeline", id, tab="timeline", **given)


@space("patient")
def results(request, id):
    given = record.result_pages(request.asking, id, request.GET.get("code"), request.GET.get("older"))
    return shown(request, "results", id, tab="results", **given)


@space("patient")
def item(request, id, type, rid):
    return shown(request, "item", id, **record.entry(request.asking, id, type, rid))


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
