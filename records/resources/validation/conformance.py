"""Validation for $validate: the base definitions, then profiles. (resource-operation-validate.html)"""

from records.errors import Issue

from .findings import Finding
from .models import second_opinion
from .profiles import CORE, check_profile
from .structure import check_resource
from .unchecked import unchecked


def validate(resource, profiles=(), mode: str | None = None) -> list[Issue]:
    """Every problem by the base definitions, by each profile asked for, and by each known one the resource claims."""
    found = check_resource(resource)
    # A profile speaks of elements: it can be walked when every object, array and value stands where it should.
    if not any(f.code == "structure" for f in found):
        faultless = not any(f.severity == "error" for f in found)
        found += claimed(resource, profiles)
        found += unchecked(resource)
        found += second_opinion(resource) if faultless else []
    elif profiles:
        text = "the profiles are not checked: the structure must be right first"
        found.append(Finding("informational", text, "information"))
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if mode == "update" and isinstance(resource, dict) and "id" not in resource:
        found.append(Finding("required", "an update needs the id of the resource", path=".id"))
    issues = (finding.issue(name if isinstance(name, str) else "Resource") for finding in found)
    return list(dict.fromkeys(issues))


def claimed(resource: dict, asked) -> list[Finding]:
    """What the profiles say: asked for, or named in meta.profile."""
    found = []
    for url in dict.fromkeys([*asked, *resource.get("meta", {}).get("profile", ())]):
        if url is None or url == CORE + resource["resourceType"]:
            continue
        said = check_profile(resource, url)
        if said is not None:
            found += said
        elif url in asked:
            found.append(Finding("not-supported", f"the profile {url} is not known here"))
        else:
            text = f"the profile {url} is not known here and not checked"
            found.append(Finding("informational", text, "information", ".meta.profile"))
    return found
