"""$validate: what a write would say, and profiles; stores nothing. (operation-resource-validate)"""

from .. import errors
from ..formats.json import dump, parse
from ..interactions.interaction import Outcome
from ..interactions.read import read
from ..resources import rules
from ..resources.validation import validate as validated
from . import inputs, operation

MODES = ("create", "update", "delete", "profile")


@operation("validate", "type", needs=None)
def of_type(interaction, access):
    """Check the resource given, alone or in Parameters."""
    resource, mode, profiles = asked(interaction)
    if resource is None:
        raise errors.InvalidStructure("Expected a resource to validate.", expression="Parameters.parameter")
    return answer(interaction, resource, mode, profiles, [])


@operation("validate", "instance")
def of_instance(interaction, access):
    """Check the resource given as an update of this one, or the stored one when none is given."""
    outcome = read(interaction, access)
    resource, mode, profiles = asked(interaction)
    stored = resource is None
    if stored:
        resource = parse(bytes(outcome.body))
    return answer(interaction, resource, mode or (None if stored else "update"), profiles, outcome.touched)


def asked(interaction):
    """(resource, mode, profiles) of the body and the query."""
    query = dict(interaction.parameters)
    mode, profiles = query.get("mode"), [v for n, v in interaction.parameters if n == "profile"]
    resource = interaction.body if isinstance(interaction.body, dict) else None
    if resource is not None and resource.get("resourceType") == "Parameters":
        given = [p for p in inputs.parameters(resource) if isinstance(p, dict)]
        resource = next((p.get("resource") for p in given if p.get("name") == "resource"), None)
        if resource is not None and not isinstance(resource, dict):
            raise errors.InvalidStructure(
                "The parameter resource holds no resource.", expression="Parameters.parameter"
            )
        mode = next((p.get("valueCode") for p in given if p.get("name") == "mode"), mode)
        profiles += [
            p.get("valueUri") or p.get("valueCanonical") or p.get("valueString")
            for p in given
            if p.get("name") == "profile"
        ]
    if mode is not None and mode not in MODES:
        raise errors.InvalidValue("mode", mode, f"expected one of {', '.join(MODES)}")
    return resource, mode, [p for p in profiles if p and isinstance(p, str)]


def answer(interaction, resource, mode, profiles, touched):
    """An OperationOutcome; all well is said in an information issue."""
    issues = []
    type = resource.get("resourceType")
    if type != interaction.type:
        issues.append(
            errors.Issue(
                "error", "structure", f"resourceType is {type!r}; expected {interaction.type!r}.", "resourceType"
            )
        )
    if mode == "update" and interaction.id is not None and resource.get("id") != interaction.id:
        issues.append(
            errors.Issue("error", "value", f"id is {resource.get('id')!r}; expected {interaction.id!r}.", f"{type}.id")
        )
    if mode == "create" and "id" in resource:
        issues.append(errors.Issue("information", "informational", "The server will choose another id.", f"{type}.id"))
    if mode != "delete":
        issues += validated(resource, profiles, mode)
        if not any(i.severity == "error" for i in issues):
            issues += rules.issues(resource, type)
    if not any(i.severity in ("error", "fatal", "warning") for i in issues):
        issues.append(errors.Issue("information", "informational", "No problem was found."))
    return Outcome(200, dump(errors.operation_outcome(issues)), "OperationOutcome", touched=touched)
