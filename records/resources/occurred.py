"""The clinical date of a resource: the one its type is read by, newest first."""

from functools import cache

from records import fhirpath
from records.definitions.parameters import search_parameter_definitions
from records.fhirpath.times import INTERVALS

from .models import NO_DATE

# Types whose date is not the parameter `date`; of two, the second stands in when the first is absent.
# Birth and expiry dates order nobody's record: those types have none.
PARAMETERS = {
    "Account": ("period",),
    "Basic": ("created",),
    "Bundle": ("timestamp",),
    "ChargeItem": ("occurrence", "entered-date"),
    "Claim": ("created",),
    "ClaimResponse": ("created",),
    "Communication": ("sent", "received"),
    "CommunicationRequest": ("authored",),
    "Condition": ("onset-date", "recorded-date"),
    "Contract": ("issued",),
    "CoverageEligibilityRequest": ("created",),
    "CoverageEligibilityResponse": ("created",),
    "DetectedIssue": ("identified",),
    "DeviceRequest": ("authored-on",),
    "DocumentManifest": ("created",),
    "ExplanationOfBenefit": ("created",),
    "Goal": ("start-date",),
    "ImagingStudy": ("started",),
    "Media": ("created",),
    "MedicationAdministration": ("effective-time",),
    "MedicationDispense": ("whenhandedover", "whenprepared"),
    "MedicationRequest": ("authoredon",),
    "MedicationStatement": ("effective",),
    "NutritionOrder": ("datetime",),
    "PaymentNotice": ("created",),
    "PaymentReconciliation": ("created",),
    "Provenance": ("recorded",),
    "QuestionnaireResponse": ("authored",),
    "RequestGroup": ("authored",),
    "ServiceRequest": ("authored",),
    "Slot": ("start",),
    "Specimen": ("collected",),
    "Task": ("authored-on",),
    "TestReport": ("issued",),
    "VisionPrescription": ("datewritten",),
}


def parameters(type):
    """Codes of the search parameters that give the clinical date of a type, best first."""
    return PARAMETERS.get(type, ("date",))


def occurred(resource, type):
    """Low bound of the clinical date in microseconds since 1970 UTC, or NO_DATE."""
    for find in _finders(type):
        lows = [limits[0] for value, kind in find(resource) if kind in INTERVALS and (limits := INTERVALS[kind](value))]
        if lows:
            return min(lows)
    return NO_DATE


def is_dated(type):
    """Has the type a clinical date at all? Else all its rows have NO_DATE."""
    return bool(_finders(type))


@cache
def _finders(type):
    expressions = _expressions()
    return tuple(fhirpath.compile(expressions[type, c], type) for c in parameters(type) if (type, c) in expressions)


@cache
def _expressions():
    return {
        (base, given["code"]): given["expression"]
        for given in search_parameter_definitions()
        if given["type"] == "date"
        for base in given["base"]
    }
