"""The Patient: INS with its five traits, local number, address, doctor. (FR Core Patient INS)"""

from . import names
from .chart import FR_CORE, NOS, V2, reference

INS_TEST = "urn:oid:1.2.250.1.213.1.4.10"  # matricules for tests: never a real person's
IPP = "urn:oid:1.2.250.1.999.42.1"  # local numbers of the synthetic establishment
TYPES = f"{FR_CORE}/CodeSystem/fr-core-cs-v2-0203"
COMMUNE = f"{NOS}/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COUNTRY = f"{NOS}/TRE_R20-Pays/FHIR/TRE-R20-Pays"


def insee_code(place):
    return {
        "url": f"{FR_CORE}/StructureDefinition/fr-core-address-insee-code",
        "valueCoding": {"system": COUNTRY if place.abroad else COMMUNE, "code": place.cog, "display": place.name},
    }


def patient(chart):
    """Write the Patient."""
    person, random = chart.person, chart.random
    prefix = "Mme" if person.sex == "female" else "M."
    shown = f"{person.given[0]} {person.usual}"
    chart.patient = chart.add(
        {
            "resourceType": "Patient",
            "meta": {"profile": [f"{FR_CORE}/StructureDefinition/fr-core-patient-ins"]},
            "extension": [reliability(), birthplace(person.born)],
            "identifier": [
                {
                    "use": "official",
                    "type": {"coding": [{"system": TYPES, "code": "INS-NIR-TEST"}]},
                    "system": INS_TEST,
                    "value": person.nir,
                },
                {
                    "use": "usual",
                    "type": {"coding": [{"system": f"{V2}0203", "code": "PI"}]},
                    "system": IPP,
                    "value": f"{random.randrange(10**4):04d}{person.index:06d}",
                },
            ],
            "active": True,
            "name": [
                {
                    "extension": [
                        {
                            "url": f"{FR_CORE}/StructureDefinition/fr-core-patient-birth-list-given-name",
                            "valueString": " ".join(person.given),
                        }
                    ],
                    "use": "official",
                    "family": person.family,
                    "given": [person.given[0]],
                },
                {"use": "usual", "text": shown, "family": person.usual, "given": [person.given[0]], "prefix": [prefix]},
            ],
            "telecom": telecom(person, random),
            "gender": person.sex,
            "birthDate": person.birth.isoformat(),
            "address": [
                {
                    "extension": [insee_code(person.home)],
                    "use": "home",
                    "line": [f"{random.randrange(1, 180)} {random.choice(names.STREETS)}"],
                    "city": person.home.name,
                    "postalCode": person.home.postal,
                    "country": "FR",
                }
            ],
            "communication": [
                {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr-FR"}]}, "preferred": True}
            ],
            "generalPractitioner": [reference(chart.doctor, chart.doctor_name)],
            "managingOrganization": reference(chart.practice),
        }
    )
    chart.subject = reference(chart.patient, shown)


def reliability():
    """Qualified: matricule from the national directory and a checked identity document. (RNIV EXI SI 07)"""
    status = {"system": f"{FR_CORE}/CodeSystem/fr-core-cs-identity-status", "code": "QUAL"}
    return {
        "extension": [{"url": "identityStatus", "valueCoding": status}],
        "url": f"{FR_CORE}/StructureDefinition/fr-core-identity-reliability",
    }


def birthplace(place):
    return {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
        "valueAddress": {"extension": [insee_code(place)], "text" if place.abroad else "city": place.name},
    }


def telecom(person, random):
    """Numbers of the ranges that ARCEP keeps for fiction."""
    said = [
        {"system": "phone", "value": f"01 99 00 {random.randrange(100):02d} {random.randrange(100):02d}", "use": "home"}
    ]
    if person.age >= 12:
        number = f"06 39 98 {random.randrange(100):02d} {random.randrange(100):02d}"
        said.append({"system": "phone", "value": number, "use": "mobile"})
    return said
