"""Resources by the search of FHIR, as far as the member of staff may see them."""

import re
from difflib import unified_diff

from accessctl.groups import DIRECTORY
from records import errors
from records.resources.references import local
from records.search.parameters import parameters

from ... import formats
from .. import readable
from .staff import shown, staff

REFERENCE = re.compile(r'(?<=")([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?=")')


@staff()
def resources(request):
    query = request.GET.get("q", "").strip() or "Organization?_count=20"
    wrong, rows, further = "", [], None
    try:
        bundle = request.asking.send("GET", query, prefer="handling=strict")  # a slip of the pen is told
        if bundle.get("resourceType") == "Bundle":
            rows = [readable.item(e["resource"]) | {"title": titled(e["resource"])}
                    for e in bundle.get("entry") or () if e.get("resource", {}).get("id")]  # fmt: skip
            further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
            further = further.removeprefix(request.asking.base).lstrip("/") if further else None
        else:
            rows = [readable.item(bundle)]
    except errors.FHIRError as error:
        wrong = str(error)
    type = re.split(r"[?/]", query)[0]
    told = [parameters(type)[code] for code in sorted(parameters(type))] if type in DIRECTORY else []
    return shown(request, "resources", "resources/", q=query, rows=rows, wrong=wrong, more=further, type=type,
                 parameters=told, known={each: sorted(parameters(each)) for each in sorted(DIRECTORY)})  # fmt: skip


@staff()
def resource(request, type, rid):
    """One resource: readable, as JSON with references to follow, its versions and what one changed against another."""
    tree = request.asking.get(f"{type}/{rid}")
    history = request.asking.get(f"{type}/{rid}/_history").get("entry") or ()
    versions = {e["resource"]["meta"]["versionId"]: e["resource"] for e in history if "resource" in e}
    after, before = compared(request, list(versions))
    changed = differences(versions[before], versions[after]) if before else []
    return shown(
        request, "resource", "resources/", type=type, id=rid, title=titled(tree),
        facts=readable.facts(tree), body=linked(pretty(tree)),
        versions=[v["meta"] for v in versions.values()], changed=changed, before=before, after=after,
    )  # fmt: skip


def titled(tree):
    """What it is called, or what it is about."""
    return readable.name(tree) if tree.get("name") else readable.title(tree)


def compared(request, versions):
    """The two versions asked for, the newest and the one before it unless others are; None where there are not two."""
    if len(versions) < 2:
        return None, None
    after = request.GET.get("after") if request.GET.get("after") in versions else versions[0]
    before = request.GET.get("before")
    if before not in versions or before == after:
        before = next(v for v in versions if v != after)
    return after, before


def differences(before, after):
    """[(mark, pieces)] of the lines that differ, and a few around them."""
    lines = unified_diff(pretty(before).splitlines(), pretty(after).splitlines(), n=3, lineterm="")
    return [(line[:1], linked(line[1:])) for line in list(lines)[2:] if line[:2] != "@@"]


def linked(text):
    """[(text, address or "")]: references to resources of this server can be followed."""
    found = []
    for n, part in enumerate(REFERENCE.split(text)):
        named = local(part) if n % 2 else None
        found.append((part, f"/admin/resources/{named[0]}/{named[1]}/" if named and named[1] else ""))
    return found


def pretty(tree):
    return formats.rendered(tree, formats.Wanted(pretty=True)).decode()
