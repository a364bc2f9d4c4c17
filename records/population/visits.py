"""Consultations with what is measured in them: a blood-pressure series over years, weight, height, heart rate."""

import base64
import datetime
import hashlib

from .chart import LOINC, NOS, SNOMED, V2, V3, coding, concept, quantity, reference
from .person import decimal
from .problems import interpretation, smoking

VITAL = [
    {
        "coding": [
            coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs"),
        ]
    }
]
PROFILE = "http://hl7.org/fhir/StructureDefinition/"
BLOOD_PRESSURE = concept(LOINC, "85354-9", "Pression artérielle systolique et diastolique")
SYSTOLIC = concept(LOINC, "8480-6", "Pression artérielle systolique")
DIASTOLIC = concept(LOINC, "8462-4", "Pression artérielle diastolique")
PRESSURE_RANGES = ((100, 139), (60, 89))
VISITS = 10  # before today, in the years before; children come as often


def write(chart):
    """Ten consultations, the last one in the last weeks; their days and urns."""
    days = sorted(chart.day_ago(30 + turn * 190, 150 + turn * 190) for turn in range(VISITS))
    days = [day for day in days if day > chart.person.birth + datetime.timedelta(days=10)] or [chart.today]
    seen = []
    for day in days:
        start = chart.moment(day)
        encounter = chart.add(consultation(chart, start))
        measure(chart, start, encounter)
        seen.append((day, encounter))
    if chart.person.adult:
        chart.add(smoking(chart, start))
    chart.add(letter(chart, start, encounter))
    return seen


def consultation(chart, start, inpatient=False, days=0, provider=None, doctor=None):
    """FR Core Encounter: identifier, class and period are there."""
    end = start + (datetime.timedelta(days=days) if days else datetime.timedelta(minutes=20))
    kind = ("IMP", "inpatient encounter") if inpatient else ("AMB", "ambulatory")
    return {
        "resourceType": "Encounter",
        "identifier": [
            {
                "use": "official",
                "type": {"coding": [{"system": f"{V2}0203", "code": "VN"}]},
                "system": "urn:oid:1.2.250.1.999.42.2",
                "value": f"{start:%y%m%d}{chart.random.randrange(10**7):07d}",
            }
        ],
        "status": "finished",
        "class": coding(f"{V3}ActCode", *kind),
        "type": [
            concept(SNOMED, "32485007", "Hospitalisation")
            if inpatient
            else concept(SNOMED, "185345009", "Consultation de médecine générale")
        ],
        "subject": chart.subject,
        "participant": [{"individual": reference(doctor or chart.doctor)}],
        "period": {"start": start.isoformat(), "end": end.isoformat()},
        "serviceProvider": reference(provider or chart.practice),
    }


def measure(chart, start, encounter):
    """What the doctor measures at that age."""
    person, random, age = chart.person, chart.random, chart.age_on(start.date())
    weight = max(decimal(3, 1), person.weight_at(age) + decimal(random.gauss(0, 1.1 if age > 12 else 0.2), 1))
    chart.add(vital(chart, "bodyweight", "29463-7", "Poids corporel", weight, "kg", start, encounter))
    if age < 18:
        height = person.height_at(age)
        chart.add(vital(chart, "bodyheight", "8302-2", "Taille", height, "cm", start, encounter))
        if age < 3:
            around = decimal(35 + 11 * min(age, 2) ** 0.5 + random.gauss(0, 0.4), 1)
            chart.add(vital(chart, "headcircum", "9843-4", "Périmètre crânien", around, "cm", start, encounter))
        if age < 14:
            warmth = decimal(random.gauss(37.1, 0.5), 1)
            chart.add(
                vital(chart, "bodytemp", "8310-5", "Température corporelle", warmth, "Cel", start, encounter, "°C")
            )
    if age >= 14:
        chart.add(pressure(chart, age, start, encounter))
        rate = round(random.gauss(72, 8))
        chart.add(vital(chart, "heartrate", "8867-4", "Fréquence cardiaque", rate, "/min", start, encounter, "bpm"))
    if person.has("copd") or person.has("asthma"):
        sat = min(100, round(random.gauss(93 if person.has("copd") else 97, 1.2)))
        chart.add(vital(chart, "oxygensat", "2708-6", "Saturation en oxygène", sat, "%", start, encounter))


def vital(chart, profile, code, name, value, ucum, start, encounter, unit=None):
    """One vital sign to its profile. (observation-vitalsigns.html)"""
    return {
        "resourceType": "Observation",
        "meta": {"profile": [PROFILE + profile]},
        "status": "final",
        "category": VITAL,
        "code": concept(LOINC, code, name),
        "subject": chart.subject,
        "encounter": reference(encounter),
        "effectiveDateTime": start.isoformat(),
        "performer": [reference(chart.doctor)],
        "valueQuantity": quantity(value, unit or ucum, ucum),
    }


def pressure(chart, age, start, encounter):
    """Two components; somebody with hypertension starts high and comes down under treatment."""
    random = chart.random
    years = (chart.today - start.date()).days / 365.25
    excess = min(26, 6 + 4 * years) if chart.person.has("hypertension") else 0
    systolic = round(random.gauss(108 + min(age, 80) * 0.25 + excess, 6))
    diastolic = round(random.gauss(68 + min(age, 60) * 0.15 + excess * 0.5, 5))
    parts = []
    for code, value, (low, high) in zip((SYSTOLIC, DIASTOLIC), (systolic, diastolic), PRESSURE_RANGES, strict=True):
        parts.append(
            {
                "code": code,
                "valueQuantity": quantity(value, "mmHg", "mm[Hg]"),
                "interpretation": interpretation(value, low, high),
                "referenceRange": [{"low": quantity(low, "mmHg", "mm[Hg]"), "high": quantity(high, "mmHg", "mm[Hg]")}],
            }
        )
    return {
        "resourceType": "Observation",
        "meta": {"profile": [PROFILE + "bp"]},
        "status": "final",
        "category": VITAL,
        "code": BLOOD_PRESSURE,
        "subject": chart.subject,
        "encounter": reference(encounter),
        "effectiveDateTime": start.isoformat(),
        "performer": [reference(chart.doctor)],
        "component": parts,
    }


def letter(chart, start, encounter):
    """The doctor's note as a document of the shared record. (PDSm; JDV_J66 type, TRE_A03 class)"""
    person = chart.person
    named = ", ".join(i.name.lower() for i in person.illnesses) or "aucun antécédent notable"
    born = "née" if person.sex == "female" else "né"
    text = (
        f"Compte rendu de consultation du {start:%d/%m/%Y}\n\n"
        f"{person.given[0]} {person.usual}, {born} le {person.birth:%d/%m/%Y} à {person.born.name}.\n"
        f"Antécédents : {named}.\nÉtat général conservé, examen sans particularité. À revoir dans six mois.\n\n"
        f"{chart.doctor_name}\n"
    ).encode()
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{chart.dicom_uid()}"},
        "status": "current",
        "type": concept(LOINC, "11488-4", "CR ou fiche de consultation ou de visite"),
        "category": [
            {"coding": [coding(f"{NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument", "10", "Compte rendu")]}
        ],
        "subject": chart.subject,
        "date": start.isoformat(),
        "author": [reference(chart.doctor, chart.doctor_name)],
        "custodian": reference(chart.practice),
        "description": f"Consultation du {start:%d/%m/%Y}",
        "securityLabel": [{"coding": [coding(f"{V3}Confidentiality", "N", "normal")]}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "fr-FR",
                    "data": base64.b64encode(text).decode(),
                    "size": len(text),
                    "hash": base64.b64encode(hashlib.sha1(text).digest()).decode(),
                    "title": "Compte rendu de consultation",
                    "creation": start.isoformat(),
                }
            }
        ],
        "context": {"encounter": [reference(encounter)], "period": {"start": start.isoformat()}},
    }
