"""The words of pages, for the reader's language: types, codes and elements of FHIR, rights, jobs, the audit."""

from django.utils.translation import gettext_lazy, pgettext_lazy

NAMES = {
    "AllergyIntolerance": gettext_lazy("Allergy"),
    "CarePlan": gettext_lazy("Care plan"),
    "Condition": gettext_lazy("Health problem"),
    "Consent": gettext_lazy("Consent"),
    "DiagnosticReport": gettext_lazy("Report"),
    "DocumentReference": gettext_lazy("Document"),
    "Encounter": gettext_lazy("Visit"),
    "ImagingStudy": gettext_lazy("Imaging"),
    "Immunization": gettext_lazy("Vaccine"),
    "MedicationRequest": gettext_lazy("Prescription"),
    "MedicationStatement": gettext_lazy("Medicine"),
    "Observation": gettext_lazy("Measurement"),
    "Procedure": gettext_lazy("Procedure"),
}
TITLES = ("code", "type", "vaccineCode", "medicationCodeableConcept", "procedureCode", "class", "category")
DATES = (
    "effectiveDateTime", "effectiveInstant", "effectivePeriod", "occurrenceDateTime", "performedDateTime",
    "performedPeriod", "started", "period", "date", "authoredOn", "onsetDateTime", "onsetPeriod", "recordedDate",
    "dateTime", "issued", "dateAsserted", "created",
)  # fmt: skip
STATUSES = ("clinicalStatus", "status")
WRONG = ("entered-in-error", "refuted", "cancelled")  # says nothing about the patient, whatever stands in it
ORDINARY = ("", "active", "final", "finished", "completed", "current", "available", "confirmed", "unknown")
GENDERS = {"female": gettext_lazy("female"), "male": gettext_lazy("male"), "other": gettext_lazy("other"),
           "unknown": gettext_lazy("unknown")}  # fmt: skip
VISITS = {  # http://terminology.hl7.org/CodeSystem/v3-ActCode
    "AMB": gettext_lazy("without a stay"), "EMER": gettext_lazy("emergency department"),
    "FLD": gettext_lazy("where the patient was"), "HH": gettext_lazy("at home"),
    "IMP": gettext_lazy("stay in hospital"), "ACUTE": gettext_lazy("stay in hospital"),
    "NONAC": gettext_lazy("stay in hospital"), "OBSENC": gettext_lazy("for observation"),
    "PRENC": gettext_lazy("before a stay"), "SS": gettext_lazy("short stay"), "VR": gettext_lazy("at a distance"),
}  # fmt: skip
INS = ("urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9", "urn:oid:1.2.250.1.213.1.4.10",
       "urn:oid:1.2.250.1.213.1.4.11")  # fmt: skip
BORN = {"female": pgettext_lazy("she", "born"), "male": pgettext_lazy("he", "born")}
FIRST = pgettext_lazy("day of a month", "1")  # le 1er mai

CODES = {  # of FHIR, which bring no word in the reader's language
    "entered-in-error": gettext_lazy("recorded in error"), "refuted": gettext_lazy("ruled out"),
    "cancelled": gettext_lazy("cancelled"), "unconfirmed": gettext_lazy("not confirmed"),
    "provisional": gettext_lazy("not confirmed"), "differential": gettext_lazy("not confirmed"),
    "confirmed": gettext_lazy("confirmed"), "active": gettext_lazy("current"), "resolved": gettext_lazy("resolved"),
    "inactive": gettext_lazy("over"), "remission": gettext_lazy("in remission"),
    "recurrence": gettext_lazy("come again"), "relapse": gettext_lazy("relapse"),
    "registered": gettext_lazy("awaited"), "partial": gettext_lazy("preliminary"),
    "preliminary": gettext_lazy("preliminary"), "final": gettext_lazy("final"), "amended": gettext_lazy("corrected"),
    "corrected": gettext_lazy("corrected"), "appended": gettext_lazy("completed later"),
    "on-hold": gettext_lazy("on hold"), "stopped": gettext_lazy("stopped"), "completed": gettext_lazy("completed"),
    "not-taken": gettext_lazy("not taken"), "intended": gettext_lazy("planned"), "draft": gettext_lazy("draft"),
    "planned": gettext_lazy("planned"), "arrived": gettext_lazy("in progress"), "triaged": gettext_lazy("in progress"),
    "in-progress": gettext_lazy("in progress"), "onleave": gettext_lazy("in progress"),
    "finished": gettext_lazy("finished"), "not-done": gettext_lazy("not done"),
    "preparation": gettext_lazy("planned"), "superseded": gettext_lazy("replaced by a newer one"),
    "current": gettext_lazy("in force"), "available": gettext_lazy("available"), "unknown": gettext_lazy("unknown"),
    "mild": gettext_lazy("mild"), "moderate": gettext_lazy("moderate"), "severe": gettext_lazy("severe"),
    "high": pgettext_lazy("danger", "high"), "low": pgettext_lazy("danger", "low"),
    "unable-to-assess": gettext_lazy("not assessed"),
    "allergy": gettext_lazy("allergy"), "intolerance": gettext_lazy("intolerance"), "food": gettext_lazy("food"),
    "medication": gettext_lazy("medicine"), "environment": gettext_lazy("environment"),
    "biologic": gettext_lazy("biological product"),
}  # fmt: skip
DETAILS = (  # what an entry says in words: elements, and where they stand in others
    ("criticality", gettext_lazy("Danger of a new contact")), ("reaction.severity", gettext_lazy("Reaction")),
    ("severity", gettext_lazy("Severity")), ("category", gettext_lazy("Category")),
    ("onsetPeriod", gettext_lazy("Period")), ("effectivePeriod", gettext_lazy("Period")),
    ("performedPeriod", gettext_lazy("Period")), ("period", gettext_lazy("Period")),
    ("abatementDateTime", gettext_lazy("Ended")), ("reasonCode", gettext_lazy("Reason")),
    ("reasonReference", gettext_lazy("Reason")), ("bodySite", gettext_lazy("Part of the body")),
    ("site", gettext_lazy("Part of the body")), ("method", gettext_lazy("Method")), ("route", gettext_lazy("Way")),
    ("dosage.route", gettext_lazy("Way")), ("dosageInstruction.route", gettext_lazy("Way")),
    ("modality", gettext_lazy("Kind of images")), ("numberOfSeries", gettext_lazy("Series")),
    ("numberOfInstances", gettext_lazy("Images")), ("manufacturer", gettext_lazy("Manufacturer")),
    ("lotNumber", gettext_lazy("Lot number")), ("outcome", gettext_lazy("Outcome")),
    ("complication", gettext_lazy("Complication")), ("location.location", gettext_lazy("Where")),
    ("serviceProvider", gettext_lazy("Where")), ("note.text", gettext_lazy("Note")),
    ("author", gettext_lazy("By")), ("performer", gettext_lazy("By")), ("performer.actor", gettext_lazy("By")),
    ("interpreter", gettext_lazy("By")), ("requester", gettext_lazy("By")), ("recorder", gettext_lazy("By")),
    ("asserter", gettext_lazy("By")), ("informationSource", gettext_lazy("By")),
    ("participant.individual", gettext_lazy("By")), ("custodian", gettext_lazy("Kept by")),
)  # fmt: skip
OF_MACHINES = ("Condition.category", "DiagnosticReport.category", "Observation.category")  # say nothing more


WORDS = {  # of rights, people, jobs and the audit; of the matrix those that are not in the language of its regulation
    "bris-de-glace": gettext_lazy("break the glass"), "regulation": gettext_lazy("emergency call centre"),
    "patient": gettext_lazy("patient"), "professional": gettext_lazy("professional"), "staff": gettext_lazy("staff"),
    "waiting": gettext_lazy("waiting"), "running": gettext_lazy("running"), "done": gettext_lazy("done"),
    "failed": gettext_lazy("failed"), "cancelled": gettext_lazy("cancelled"),
    "read": gettext_lazy("read"), "vread": gettext_lazy("read of a version"), "create": gettext_lazy("creation"),
    "update": gettext_lazy("change"), "patch": gettext_lazy("change of a part"), "delete": gettext_lazy("deletion"),
    "search-type": gettext_lazy("search"), "search-system": gettext_lazy("search of all types"),
    "history-instance": gettext_lazy("history of a resource"), "history-type": gettext_lazy("history of a type"),
    "history-system": gettext_lazy("history of all"), "transaction": gettext_lazy("transaction"),
    "batch": gettext_lazy("batch"), "capabilities": gettext_lazy("capabilities"),
    "operation": gettext_lazy("operation"),
    "reindex": gettext_lazy("index made anew"), "parameter": gettext_lazy("index of a search parameter"),
    "removal": gettext_lazy("index rows removed"), "sandbox": gettext_lazy("sandbox put back"),
    "export": gettext_lazy("bulk export"),
    "COORDINATION": gettext_lazy("coordination"), "SOCIAL": gettext_lazy("social care"),
    "mandated": gettext_lazy("mandated by the patient"), "representative": gettext_lazy("legal representative"),
    "ceiling": gettext_lazy("limit"), "permit": gettext_lazy("permission"), "denial": gettext_lazy("refusal"),
    "Type of document not known": gettext_lazy("Type of document not known"), "Identity": gettext_lazy("Identity"),
}  # fmt: skip
