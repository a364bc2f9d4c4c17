"""Validation on write. (validation.html)"""

from records.errors import Issue

from .findings import Finding
from .models import second_opinion
from .structure import check_resource


def check(resource, type: str | None = None, models: bool = False) -> list[Issue]:
    """Every problem of a resource by the base definitions; `type` is the one the URL names.

    With `models` a resource without errors is shown to the models of fhir.resources too.
    """
    found = check_resource(resource)
    if models and not any(f.severity == "error" for f in found):
        found += second_opinion(resource)
    given = resource.get("resourceType") if resource.__class__ is dict else None
    if type and given.__class__ is str and given != type:
        found.append(Finding("structure", f"resourceType is {given[:80]!r}; expected {type!r}", path=".resourceType"))
    root = given if given.__class__ is str else type or "Resource"
    return [finding.issue(root) for finding in found]
