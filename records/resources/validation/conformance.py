"""Validation for $validate: the base definitions, then profiles. (resource-operation-validate.html)"""

from records.errors import Issue

from .findings import Finding
from .profiles import CORE, check_profile
from .structure import check_resource
from .unchecked import unchecked


def validate(resource, profiles=(), mode: str | None = None, root: str | None = None) -> list[Issue]:
    """Every problem by the base definitions, by each profile asked for, and by each known one the resource claims."""
    found = check_resource(resource)
    root = root or (resource.get("resourceType") if isinstance(resource, dict) else None)
    if not isinstance(root, str):
        root = "Resource"
    if not any(f.code in ("structure", "required") and f.severity == "error" for f in found):
        found += claimed(resource, profiles)
        found += unchecked(resource)
    elif profiles:
        text = "the profiles are not checked: the structure must be right first"
        found.append(Finding("informational", text, "information"))
    if mode == "update" and isinstance(resource, dict) and "id" not in resource:
        found.append(Finding("required", "an update needs the id of the resource", path=".id"))
    return once(finding.issue(root) for finding in found)


def claimed(resource: dict, asked) -> list[Finding]:
    """What the profiles say: asked for, or named in meta.profile."""
    found = []
    named = resource.get("meta", {}).get("profile", ())
    for url in dict.fromkeys([*asked, *(n for n in named if isinstance(n, str))]):
        plain = url.partition("|")[0]
        if plain == CORE + resource["resourceType"]:
            continue
        said = check_profile(resource, plain)
        if said is not None:
            found += said
        elif url in asked:
            found.append(Finding("not-supported", f"the profile {url} is not known here"))
        else:
            text = f"the profile {url} is not known here and not checked"
            found.append(Finding("informational", text, "information", ".meta.profile"))
    return found


def once(issues) -> list[Issue]:
    """Each issue once, in order."""
    return list(dict.fromkeys(issues))
