"""Validation on write. (validation.html)"""

from records.errors import Issue

from .findings import Finding
from .structure import check_resource


def check(resource, type: str | None = None) -> list[Issue]:
    """Every problem of a resource by the base definitions; `type` is the one the URL names."""
    found = check_resource(resource)
    given = resource.get("resourceType") if resource.__class__ is dict else None
    if type and given.__class__ is str and given != type:
        found.append(Finding("structure", f"resourceType is {given[:80]!r}; expected {type!r}", path=".resourceType"))
    root = given if given.__class__ is str else type or "Resource"
    return [finding.issue(root) for finding in found]
