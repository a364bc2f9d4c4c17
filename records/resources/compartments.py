"""Which patients a resource belongs to. (compartmentdefinition-patient.html)

The official CompartmentDefinition decides, plus the references to a Patient in types for which R4 names no parameter.
`Patient.link` never counts: a link between identities carries no right.
"""

from functools import cache

from ..definitions.compartments import compartment
from ..definitions.parameters import search_parameter_definitions
from ..fhirpath import compile, plain
from ..keys import identity

# The patient whom a row is about, of one alone: the others of a row of several are asked for where somebody wants them.
ALONE = "CASE WHEN r.shared THEN NULL ELSE r.patient END AS patient"
ALONE_THEN = "CASE WHEN r.shared AND v.shared THEN NULL ELSE v.patient END AS patient"  # others are known of now alone
SUBJECTS = ("subject", "patient", "for", "beneficiary")  # top-level references to a Patient, whatever the type
BESIDE_R4 = {  # R4 gives these no compartment parameter, yet they point at patients
    "Binary": ("Binary.securityContext",),
    "Linkage": ("Linkage.item.resource",),
    "MessageHeader": ("MessageHeader.focus",),
    "PaymentNotice": ("PaymentNotice.request", "PaymentNotice.response"),
    "VerificationResult": ("VerificationResult.target",),
}


@cache
def expressions():
    """(type, code) -> expression of every parameter of the compartment."""
    members = compartment("Patient")
    return {
        (type, definition["code"]): definition["expression"]
        for definition in search_parameter_definitions()
        for type in definition["base"]
        if definition["code"] in members.get(type, ()) and definition.get("expression")
    }


@cache
def paths(type):
    """Compiled expressions whose references to a Patient make the resource a member."""
    official = [text for (of, _), text in expressions().items() if of == type]
    return tuple(compile(text, type) for text in (*official, *BESIDE_R4.get(type, ())))


@cache
def is_of_patients(param):
    """Is a resource in the record of each Patient to whom this search parameter says that it refers?"""
    if param.type == "Patient" or param.expression is None:
        return False
    members = {((plain.KEY, key),) for key in SUBJECTS}
    official = (text for (of, _), text in expressions().items() if of == param.type)
    try:
        members.update(way.steps for text in official for way in plain.routes(text, param.type))
        found = [tuple(s for s in w.steps if s[0] != plain.TEST) for w in plain.routes(param.expression, param.type)]
    except plain.NotSimple:
        return False
    return members.issuperset(found)


def patients_of(resource, type, id, base=""):
    """Identities (keys) of the Patients whose compartment holds the resource, each once, in order of appearance."""
    if type == "Patient":
        return [identity("Patient", id)]
    found = {}
    for path in paths(type):
        for value in path(resource):
            note(value.value, base, found)
    for key in SUBJECTS:
        if key in resource:
            note(resource[key], base, found)
    return list(found)


def note(reference, base, found):
    """Add the Patient that a Reference names literally, if it names one."""
    for each in reference if isinstance(reference, list) else (reference,):
        if isinstance(each, dict):
            id = patient_id(each.get("reference"), base)
            if id:
                found[identity("Patient", id)] = None


def patient_id(reference, base):
    """The id in "Patient/1", "Patient/1/_history/2" or the same below our own base URL; else None."""
    if not isinstance(reference, str):
        return None
    if base and reference.startswith(base + "/"):
        reference = reference[len(base) + 1 :]
    if not reference.startswith("Patient/"):
        return None
    return reference.split("/")[1]
