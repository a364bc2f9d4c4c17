"""The transaction Bundle being written about one person, and the small shapes that all its rooms use."""

import datetime
from random import Random
from zoneinfo import ZoneInfo

from .person import Person

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
V2 = "http://terminology.hl7.org/CodeSystem/v2-"
V3 = "http://terminology.hl7.org/CodeSystem/v3-"
NOS = "https://mos.esante.gouv.fr/NOS"
FR_CORE = "https://hl7.fr/ig/fhir/core"


def coding(system, code, display):
    return {"system": system, "code": code, "display": display}


def concept(system, code, display):
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def coded(system, code):
    """A concept of a FHIR code system whose display adds nothing."""
    return {"coding": [{"system": system, "code": code}]}


def quantity(value, unit, code=None):
    return {"value": value, "unit": unit, "system": UCUM, "code": code or unit}


def reference(urn, display=None):
    return {"reference": urn, "display": display} if display else {"reference": urn}


def uuid(random):
    """A version 4 UUID from a seeded source."""
    bits = random.getrandbits
    return f"{bits(32):08x}-{bits(16):04x}-4{bits(12):03x}-{bits(14) | 0x8000:04x}-{bits(48):012x}"


class Chart:
    """Collects entries; `patient`, `doctor`, ... are the urn:uuid of resources already in the Bundle."""

    def __init__(self, person: Person, random: Random, today, method):
        self.person, self.random, self.today, self.method = person, random, today, method
        self.zone = ZoneInfo(person.home.zone)
        self.entries = []
        self.patient = self.doctor = self.practice = self.laboratory = self.hospital = None
        self.subject = None  # the Reference to the patient, with a name to show

    def add(self, resource):
        """Write a resource of this person; its urn:uuid."""
        id, kind = uuid(self.random), resource["resourceType"]
        urn = f"urn:uuid:{id}"
        if self.method == "PUT":
            resource = {"resourceType": kind, "id": id} | resource
            request = {"method": "PUT", "url": f"{kind}/{id}"}
        else:
            request = {"method": "POST", "url": kind}
        self.entries.append({"fullUrl": urn, "resource": resource, "request": request})
        return urn

    def share(self, resource):
        """Write a resource that other people have too: made only when its first identifier is not known yet."""
        urn, kind = f"urn:uuid:{uuid(self.random)}", resource["resourceType"]
        first = resource["identifier"][0]
        criteria = f"identifier={first['system']}|{first['value']}"
        request = {"method": "POST", "url": kind, "ifNoneExist": criteria}
        self.entries.append({"fullUrl": urn, "resource": resource, "request": request})
        return urn

    def bundle(self):
        return {"resourceType": "Bundle", "type": "transaction", "entry": self.entries}

    def moment(self, day, hour=None, minute=None):
        """A time of that day in the person's zone, in office hours unless said otherwise."""
        hour = self.random.randrange(8, 19) if hour is None else hour
        minute = self.random.randrange(0, 60, 5) if minute is None else minute
        return datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)

    def age_on(self, day):
        """Age in years, with its fraction."""
        return (day - self.person.birth).days / 365.25

    def day_ago(self, least, most):
        """A day between so many days before today, never before birth."""
        days = self.random.randrange(least, most + 1)
        return max(self.person.birth, self.today - datetime.timedelta(days=days))

    def dicom_uid(self):
        """A DICOM UID made from a UUID. (DICOM PS3.5 B.2)"""
        return f"2.25.{self.random.getrandbits(128)}"
