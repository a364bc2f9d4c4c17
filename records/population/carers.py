"""The practice, laboratory and hospital of a town and the doctors in them; many people share each."""

from random import Random

from . import names
from .chart import FR_CORE, NOS, coding, concept
from .nir import luhn

GENERALISTS = 6  # per commune
SPECIALTIES = {
    "cardiologie": ("SM04", "Cardiologie et maladies vasculaires"),
    "endocrinologie": ("SM13", "Endocrinologie et métabolisme"),
    "rhumatologie": ("SM48", "Rhumatologie"),
    "pneumologie": ("SM41", "Pneumologie"),
    "radiologie": ("SM44", "Radio-diagnostic"),
    "urgences": ("SM02", "Anesthésie-réanimation"),
}
GENERAL = ("SM26", "Qualifié en médecine générale")
KINDS = {  # digit of our invented FINESS numbers, category of establishment (TRE_R66), name
    "practice": ("7", "604", "Maison de santé pluriprofessionnelle"),
    "laboratory": ("8", "611", "Laboratoire de biologie médicale"),
    "hospital": ("9", "355", "Centre hospitalier"),
}


def settle(chart):
    """Write the carers that this person's record names."""
    town = chart.person.home
    chart.practice = chart.share(organization("practice", town))
    chart.laboratory = chart.share(organization("laboratory", town))
    number = chart.random.randrange(GENERALISTS)
    doctor = practitioner(town, str(number), GENERAL)
    chart.doctor = chart.share(doctor)
    chart.doctor_name = doctor["name"][0]["text"]


def hospital(chart):
    """The town's hospital, written when first needed."""
    if not chart.hospital:
        chart.hospital = chart.share(organization("hospital", chart.person.home))
    return chart.hospital


def specialist(chart, specialty):
    """A doctor of that specialty in the town's hospital; (urn, name)."""
    doctor = practitioner(chart.person.home, specialty, SPECIALTIES[specialty])
    return chart.share(doctor), doctor["name"][0]["text"]


def organization(kind, town):
    """FR Core Organization with an invented FINESS number of the right shape."""
    digit, category, name = KINDS[kind]
    finess = f"{town.cog[:2]}{digit}{int(town.cog[2:]):05d}"
    finess += luhn(finess.replace("A", "1").replace("B", "2"))
    return {
        "resourceType": "Organization",
        "meta": {"profile": [f"{FR_CORE}/StructureDefinition/fr-core-organization"]},
        "identifier": [
            {
                "use": "official",
                "type": {"coding": [{"system": f"{FR_CORE}/CodeSystem/fr-core-cs-v2-0203", "code": "FINEG"}]},
                "system": "https://finess.esante.gouv.fr",
                "value": finess,
            }
        ],
        "active": True,
        "type": [
            {
                "coding": [
                    {
                        "system": f"{NOS}/TRE_R66-CategorieEtablissement/FHIR/TRE-R66-CategorieEtablissement",
                        "code": category,
                    }
                ],
                "text": name,
            }
        ],
        "name": f"{name} de démonstration, {town.name}",
        "address": [{"use": "work", "city": town.name, "postalCode": town.postal, "country": "FR"}],
    }


def practitioner(town, post, specialty):
    """FR Core Practitioner; who holds a post in a town never changes. RPPS numbers from 8997 on are for tests."""
    who = Random(f"practitioner {town.cog} {post}")
    sex = who.choice(("female", "male"))
    given, family = who.choice(names.given(sex, 1975)), who.choice(names.FAMILY)
    digits = f"8997{who.randrange(10**6):06d}"
    return {
        "resourceType": "Practitioner",
        "meta": {"profile": [f"{FR_CORE}/StructureDefinition/fr-core-practitioner"]},
        "identifier": [
            {
                "use": "official",
                "type": {"coding": [{"system": f"{FR_CORE}/CodeSystem/fr-core-cs-v2-0203", "code": "RPPS"}]},
                "system": "https://rpps.esante.gouv.fr",
                "value": digits + luhn(digits),
            }
        ],
        "active": True,
        "name": [
            {"use": "official", "text": f"Dr {given} {family}", "family": family, "given": [given], "prefix": ["Dr"]}
        ],
        "gender": sex,
        "qualification": [
            {"code": concept(f"{NOS}/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante", "10", "Médecin")},
            {
                "code": {
                    "coding": [
                        coding(
                            f"{NOS}/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale",
                            specialty[0],
                            specialty[1],
                        )
                    ]
                }
            },
        ],
    }
