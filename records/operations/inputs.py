"""Input parameters of an operation: of the URL, or of a Parameters resource. (operations.html#request)"""

from dataclasses import replace

from .. import errors


def taken(interaction):
    """The interaction with the parameters of its body beside those of its URL, as a GET would have given them."""
    return replace(interaction, parameters=(*interaction.parameters, *in_body(interaction.body)), body=None)


def in_body(body):
    """(name, value) of each primitive parameter of a Parameters resource; no body has none."""
    if body is None:
        return
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise errors.InvalidStructure("Expected a Parameters resource.", expression="Parameters")
    for n, each in enumerate(parameters(body)):
        value = next((v for k, v in each.items() if k.startswith("value")), None) if isinstance(each, dict) else None
        if value is None or isinstance(value, (dict, list)) or not isinstance(each.get("name"), str):
            raise errors.InvalidStructure(
                "Expected a name and a primitive value.", expression=f"Parameters.parameter[{n}]"
            )
        yield each["name"], str(value).lower() if isinstance(value, bool) else str(value)


def parameters(body):
    """The parameters of a Parameters resource, whatever each of them is."""
    found = body.get("parameter", [])
    if not isinstance(found, list):
        raise errors.InvalidStructure("Expected an array.", expression="Parameters.parameter")
    return found


def one(pairs, name):
    """The value of a parameter that may be given once, or None."""
    found = [v for n, v in pairs if n == name]
    if len(found) > 1:
        raise errors.InvalidValue(name, found[1], "it may be given once")
    return found[0] if found else None


def unknown(interaction, known):
    """Warnings for parameters that the operation does not have; under strict handling they are an error."""
    issues = []
    for name, _ in interaction.parameters:
        if name not in known:
            fault = errors.UnknownParameter(f"${interaction.operation}", name, f"known: {', '.join(sorted(known))}")
            if interaction.strict:
                raise fault
            issues.append(errors.Issue("warning", fault.code, f"Ignored: {fault}"))
    return issues
