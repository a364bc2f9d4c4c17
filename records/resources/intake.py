"""What a resource must pass before it is stored: the definition, the bindings and invariants, the type's own rules."""

from dataclasses import replace

from django.conf import settings

from .. import errors
from . import rules
from .located import within
from .references import local, places
from .validation import check

BUSINESS = frozenset(("code-invalid", "invariant", "business-rule", "processing", "not-found", "duplicate"))
SHAPELY = BUSINESS | {
    "required"
}  # with no other error each element is what its definition says, or absent: rules may look


def accept(pairs):
    """Check (target, Write) pairs; one error with the issues of all of them, warnings kept on their target."""
    wrong = []
    for target, write in pairs:
        if write.resource is None:
            continue
        issues = check(write.resource, write.type)
        if all(i.code in SHAPELY for i in issues if i.severity in ("error", "fatal")):
            issues += rules.issues(write.resource, write.type)
        if target.expression:
            issues = [replace(i, expression=within(i.expression, target.expression)) for i in issues]
        wrong += [i for i in issues if i.severity in ("error", "fatal")]
        target.issues += [i for i in issues if i.severity not in ("error", "fatal")]
    if wrong:
        raise refusal(wrong)


def refusal(issues):
    """400 when the resource is not what its definition says, 422 when it breaks a rule. (http.html#create)"""
    kind = errors.Invalid if all(i.code in BUSINESS for i in issues) else errors.InvalidStructure
    return kind(issues=issues)


def missing_targets(pairs, exists):
    """Issues for literal references to this server that name nothing, when referential integrity is asked for."""
    if not settings.FHIRSERVER_REFERENTIAL_INTEGRITY:
        return []
    named = {}
    for target, write in pairs:
        for _, key, value, path in places(write.resource) if write.resource else ():
            if key == "reference" and (target_ := local(value, write.base)):
                named.setdefault(target_, f"{target.expression or write.type}.{path}.reference")
    there = exists(list(named))
    return [
        errors.Issue("error", "not-found", f"{type}/{id} is not known.", place)
        for (type, id), place in named.items()
        if (type, id) not in there
    ]
