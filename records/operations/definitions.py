"""OperationDefinitions of the operations that are not FHIR's own, made from the registry. (operationdefinition.html)

[base]/OperationDefinition/[Type]-[name] is their canonical, as the CapabilityStatement names it, and reads as one.
"""

from . import OPERATIONS

STANDARD = {
    "everything": "Patient", "lastn": "Observation", "meta": "Resource", "meta-add": "Resource",
    "meta-delete": "Resource", "validate": "Resource",
}  # fmt: skip
HL7 = "http://hl7.org/fhir/OperationDefinition/"
BULK = {  # of the guide Bulk Data Access, by our names
    "Resource-export": "export", "Patient-export": "patient-export", "Group-export": "group-export",
}  # fmt: skip
GUIDE = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
LEVELS = ("system", "type", "instance")


def name_of(operation, type):
    """The id of its definition: on one type, or on all."""
    return f"{'Resource' if operation.types is None else type}-{operation.name}"


def canonical(operation, type, base):
    """Where its definition is: at HL7 of what R4 defines, here of the others."""
    name = name_of(operation, type)
    if name in BULK:
        return GUIDE + BULK[name]
    of_hl7 = STANDARD.get(operation.name) == name.partition("-")[0]
    return f"{HL7}{name}" if of_hl7 else f"{base}/OperationDefinition/{name}"


def definition(id, base):
    """The OperationDefinition of that id, or None when it is none of ours."""
    on, _, name = id.partition("-")
    found = [
        o for o in OPERATIONS if o.name == name and (o.types is None if on == "Resource" else on in (o.types or ()))
    ]
    if not found or STANDARD.get(name) == on or id in BULK:
        return None
    levels = {o.level for o in found}
    return {
        "resourceType": "OperationDefinition",
        "id": id,
        "url": f"{base}/OperationDefinition/{id}",
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": f"${name}",
        "status": "active",
        "kind": "operation",
        "publisher": "fhirserver",
        "description": (found[0].handler.__doc__ or name).strip().partition("\n")[0],
        "affectsState": any(o.affects_state for o in found),
        "code": name,
        "resource": [on],
        **{level: level in levels for level in LEVELS},
    }
