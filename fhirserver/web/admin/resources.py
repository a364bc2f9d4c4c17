"""Resources by the search of FHIR, as far as the member of staff may see them."""

from records import errors

from ... import formats
from .. import readable
from .staff import shown, staff


@staff()
def resources(request):
    query = request.GET.get("q", "").strip() or "Organization?_count=20"
    wrong, rows, further = "", [], None
    try:
        bundle = request.asking.send("GET", query, prefer="handling=strict")  # a slip of the pen is told
        if bundle.get("resourceType") == "Bundle":
            rows = [readable.item(e["resource"]) | {"title": readable.title(e["resource"])
                    if not e["resource"].get("name") else readable.name(e["resource"])}
                    for e in bundle.get("entry") or () if e.get("resource", {}).get("id")]  # fmt: skip
            further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
            further = further.removeprefix(request.asking.base).lstrip("/") if further else None
        else:
            rows = [readable.item(bundle)]
    except errors.FHIRError as error:
        wrong = str(error)
    return shown(request, "resources", "resources/", q=query, rows=rows, wrong=wrong, more=further)


@staff()
def resource(request, type, rid):
    """One resource: readable, as JSON, its versions and what the newest changed."""
    from difflib import unified_diff

    tree = request.asking.get(f"{type}/{rid}")
    versions = [
        e["resource"] for e in request.asking.get(f"{type}/{rid}/_history").get("entry") or () if "resource" in e
    ]
    texts = [pretty(v).splitlines() for v in versions[:2]]
    changed = list(unified_diff(texts[1], texts[0], "before", "now", lineterm="")) if len(texts) == 2 else []
    body = pretty(tree)
    return shown(request, "resource", "resources/", type=type, id=rid, facts=readable.facts(tree), body=body,
                 versions=[v["meta"] for v in versions], changed=changed)  # fmt: skip


def pretty(tree):
    return formats.rendered(tree, formats.Wanted(pretty=True)).decode()
