"""Is a resource valid? `check` on write, `validate` for $validate. (validation.html)

findings      what a checker found, and how it gathers its path
primitives    form and range of the primitive types
references    targets of an allowed type
bindings      required bindings
narrative     XHTML
rules, conformance_rules, comparison, invariants    the invariants of R4 as plain functions
structure     one function for each structure, all of the above in one walk
"""

from records.errors import Issue

from .findings import Finding
from .structure import check_resource

__all__ = ["check"]


def check(resource, type: str | None = None) -> list[Issue]:
    """Every problem of a resource by the base definitions; `type` is the one the URL names."""
    found = check_resource(resource)
    given = resource.get("resourceType") if resource.__class__ is dict else None
    if type and given.__class__ is str and given != type:
        found.append(Finding("structure", f"resourceType is {given!r:.80}; expected {type!r}", path=".resourceType"))
    root = given if given.__class__ is str else type or "Resource"
    return [finding.issue(root) for finding in found]
