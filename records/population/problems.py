"""Problems with what is taken for them, and allergies."""

import datetime

from .chart import LOINC, SNOMED, UCUM, V3, coded, coding, concept, reference
from .illnesses import ALLERGENS, COLECALCIFEROL, PARACETAMOL, Drug

ICD10 = "http://hl7.org/fhir/sid/icd-10"
ATC = "http://www.whocc.no/atc"
CIP = "urn:oid:1.2.250.1.213.2.3.2"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONFIRMED = coded("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed")
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"
ORAL = {"coding": [{"system": SNOMED, "code": "26643006", "display": "Voie orale"}]}
RESPIRATORY = {"coding": [{"system": SNOMED, "code": "447694001", "display": "Voie respiratoire"}]}
SUBCUTANEOUS = {"coding": [{"system": SNOMED, "code": "34206005", "display": "Voie sous-cutanée"}]}
FORMS = {  # UCUM code of one; annotations may say anything in ASCII
    "comprimé": "{tbl}",
    "gélule": "{capsule}",
    "bouffée": "{puff}",
    "inhalation": "{puff}",
    "ampoule": "{ampule}",
    "application": "{application}",
    "unité": "[iU]",
}
ROUTES = {"bouffée": RESPIRATORY, "inhalation": RESPIRATORY, "unité": SUBCUTANEOUS}


def write(chart):
    """Conditions and their MedicationStatements; (illness, first day, urn of the Condition) of each."""
    known = []
    for illness in chart.person.illnesses:
        if illness.acute:
            onset = chart.day_ago(illness.acute + 20, 2600)
            end = onset + datetime.timedelta(days=illness.acute)
        else:
            onset, end = chart.day_ago(500, max(600, min(7000, int(chart.person.age * 200)))), None
        urn = chart.add(condition(chart, illness, onset, end))
        known.append((illness, onset, urn))
        drugs = illness.drugs
        if illness.key == "diabetes" and chart.random.random() < 0.7:
            drugs = drugs[:1]  # most take metformin alone
        for number, drug in enumerate(drugs):
            start = onset + datetime.timedelta(days=number * 200)
            chart.add(statement(chart, drug, start, end, urn))
    if not known:
        start = chart.day_ago(30, 400)
        usual = PARACETAMOL if chart.person.adult else COLECALCIFEROL
        chart.add(statement(chart, usual, start, start + datetime.timedelta(days=5), None))
    return known


def condition(chart, illness, onset, end):
    said = {
        "resourceType": "Condition",
        "clinicalStatus": coded(CLINICAL, "resolved" if end else "active"),
        "verificationStatus": CONFIRMED,
        "category": [coded("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item")],
        "code": {
            "coding": [coding(ICD10, illness.icd, illness.name), coding(SNOMED, illness.snomed, illness.name)],
            "text": illness.name,
        },
        "subject": chart.subject,
        "onsetDateTime": onset.isoformat(),
    }
    if end:
        said["abatementDateTime"] = end.isoformat()
    return said | {"recordedDate": onset.isoformat(), "recorder": reference(chart.doctor)}


def statement(chart, drug: Drug, start, end, reason):
    """A medication taken, by ATC class and CIP package."""
    period = {"start": start.isoformat()}
    if end:
        period["end"] = end.isoformat()
    said = {
        "resourceType": "MedicationStatement",
        "status": "completed" if end else "active",
        "medicationCodeableConcept": {
            "coding": [coding(ATC, drug.atc, drug.substance), coding(CIP, drug.cip13, drug.label)],
            "text": drug.label,
        },
        "subject": chart.subject,
        "effectivePeriod": period,
        "dateAsserted": start.isoformat(),
        "informationSource": reference(chart.doctor),
    }
    if reason:
        said["reasonReference"] = [reference(reason)]
    said["dosage"] = [
        {
            "text": drug.text,
            "timing": {"repeat": {"frequency": drug.frequency, "period": 1, "periodUnit": drug.unit}},
            "route": ROUTES.get(drug.form, ORAL),
            "doseAndRate": [{"doseQuantity": dose(drug)}],
        }
    ]
    if drug.form == "application":
        del said["dosage"][0]["route"]
    return said


def dose(drug):
    return {"value": drug.dose, "unit": drug.form, "system": UCUM, "code": FORMS[drug.form]}


def allergies(chart):
    """What the person is allergic to, or that nothing is known."""
    random = chart.random
    found = random.sample(ALLERGENS, random.choice((1, 1, 1, 2))) if random.random() < 0.35 else ()
    if not found:
        none = concept(SNOMED, "716186003", "Pas d'allergie connue")
        chart.add(allergy(chart, {"code": none}))
    for allergen in found:
        manifestation = concept(SNOMED, *allergen.manifestation)
        chart.add(
            allergy(
                chart,
                {
                    "type": "allergy",
                    "category": [allergen.category],
                    "criticality": allergen.criticality,
                    "code": concept(SNOMED, allergen.substance, allergen.name),
                },
                {"reaction": [{"manifestation": [manifestation], "severity": allergen.severity}]},
            )
        )


def allergy(chart, said, more=None):
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": coded(f"{ALLERGY}clinical", "active"),
        "verificationStatus": coded(f"{ALLERGY}verification", "confirmed"),
        **said,
        "patient": chart.subject,
        "recordedDate": chart.moment(chart.day_ago(10, 2500)).isoformat(),
        "recorder": reference(chart.doctor),
        **(more or {}),
    }


def smoking(chart, day):
    """Tobacco use, asked of grown-ups. (LOINC 72166-2)"""
    smoker = chart.person.has("copd") or chart.random.random() < 0.25
    value = ("77176002", "Fumeur") if smoker else ("8392000", "Non-fumeur")
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "social-history")],
        "code": concept(LOINC, "72166-2", "Statut tabagique"),
        "subject": chart.subject,
        "effectiveDateTime": day.isoformat(),
        "performer": [reference(chart.doctor)],
        "valueCodeableConcept": concept(SNOMED, *value),
    }


def interpretation(value, low, high):
    """High, low or normal against a range. (v3-ObservationInterpretation)"""
    code = "H" if high is not None and value > high else "L" if low is not None and value < low else "N"
    return [coded(f"{V3}ObservationInterpretation", code)]
