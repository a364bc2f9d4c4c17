"""What a kick-off asks, of a URL or a Parameters resource; what is not known is refused by name. (bulkdata export)"""

from datetime import datetime

import msgspec

from records import errors
from records.definitions.structures import is_resource_type
from records.interactions.history import bounds, stamp
from records.operations import inputs
from records.resources.compartments import patient_id

from ..groups import DIRECTORY
from . import rights

FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
KNOWN = ("_outputFormat", "_since", "_type", "patient")
MOST_PATIENTS = 10_000  # named by `patient`; more are a Group


class Asked(msgspec.Struct):
    """An export as it was asked for, kept until it is purged."""

    level: str  # system | type (Patient) | instance (Group)
    url: str  # of the kick-off
    base: str
    types: list[str]
    scopes: str
    allowed: str  # the scopes that were registered for the client
    request: str  # names it in the audit
    since: datetime | None = None
    group: str | None = None
    patients: list[str] | None = None  # ids
    purpose: str | None = None
    warnings: list[str] = []


def read(interaction, actor):
    """(types, since, ids of patients or None, warnings) of a kick-off."""
    given, warnings = [*pairs(interaction)], []
    for name in dict.fromkeys(name for name, _ in given if name not in KNOWN):
        fault = f"$export has no parameter {name!r} here; it knows {', '.join(KNOWN)}."
        if not interaction.lenient:
            raise errors.BadRequest(fault, expression=name)
        warnings.append(f"Ignored: {fault}")
    one(given, "_outputFormat", output_format)
    return types(interaction, actor, given), one(given, "_since", since), patients(interaction, given), warnings


def pairs(interaction):
    """(name, value) of the URL and of the body; of a Reference its text."""
    yield from interaction.parameters
    if interaction.body is None:
        return
    if not isinstance(interaction.body, dict) or interaction.body.get("resourceType") != "Parameters":
        raise errors.InvalidStructure("Expected a Parameters resource.", expression="Parameters")
    for n, each in enumerate(inputs.parameters(interaction.body)):
        values = [v for k, v in each.items() if k.startswith("value")] if isinstance(each, dict) else []
        value = values[0].get("reference") if values and isinstance(values[0], dict) else next(iter(values), None)
        if not isinstance(value, str | bool) or not isinstance(each.get("name"), str):
            raise errors.InvalidStructure("Expected a name and a value, of patient a Reference.",
                                          expression=f"Parameters.parameter[{n}]")  # fmt: skip
        yield each["name"], str(value).lower() if isinstance(value, bool) else value


def one(given, name, read):
    """What `read` makes of a parameter that may be given once, or None."""
    value = inputs.one(given, name)
    return None if value is None else read(value)


def output_format(value):
    if value.replace(" ", "+").lower() not in FORMATS:  # a + of the URL may have become a space
        raise errors.InvalidValue(
            "_outputFormat", value, f"expected {' or '.join(FORMATS)}", expression="_outputFormat"
        )


def since(value):
    return stamp(bounds("_since", value)[0])


def types(interaction, actor, given):
    """The types asked for, all of them covered; at the levels of patients none that is in nobody's record."""
    values = [v for n, v in given if n == "_type"]
    named = sorted({each.strip() for value in values for each in value.split(",")}) if values else None
    for type in named or ():
        if not is_resource_type(type) or type not in rights.exported():
            raise errors.InvalidValue("_type", type, "expected types that are kept as resources", expression="_type")
        if interaction.level != "system" and type in DIRECTORY:
            raise errors.InvalidValue(
                "_type", type, "it is in no patient's record; ask [base]/$export", expression="_type"
            )
    found = rights.types(actor, named)
    return found if interaction.level == "system" else [type for type in found if type not in DIRECTORY]


def patients(interaction, given):
    """Ids of the patients named by `patient`, each once."""
    values = [v for n, v in given if n == "patient"]
    if not values:
        return None
    if interaction.level == "system" or interaction.method != "POST":
        raise errors.InvalidValue("patient", values[0], "it is for a POST to Patient/$export or Group/[id]/$export",
                                  expression="patient")  # fmt: skip
    if len(values) > MOST_PATIENTS:
        raise errors.TooCostly(f"At most {MOST_PATIENTS} patients are named; more are a Group.", expression="patient")
    found = dict.fromkeys(patient_id(value, interaction.base) for value in values)
    if None in found:
        wrong = next(value for value in values if patient_id(value, interaction.base) is None)
        raise errors.InvalidValue("patient", wrong, "expected Patient/[id] of this server", expression="patient")
    return list(found)
