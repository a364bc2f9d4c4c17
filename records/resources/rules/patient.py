"""Patient: identities that can be checked are checked. (French identity rules: INS-NIR key, Corsica, INS and traits)"""

import re

from django.conf import settings

from ...errors import Issue
from . import before_write

INS = {
    "urn:oid:1.2.250.1.213.1.4.8": "INS-NIR",
    "urn:oid:1.2.250.1.213.1.4.9": "INS-NIA",
    "urn:oid:1.2.250.1.213.1.4.10": "INS-NIR-TEST",
    "urn:oid:1.2.250.1.213.1.4.11": "INS-NIR-DEMO",
}
NIR = re.compile(r"[1-478]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6}\d{2}\Z")


def key_of(number):
    """Control key of the 13 characters of a NIR; Corsican departments 2A and 2B count as 19 and 18."""
    digits = number[:5] + number[5:7].replace("2A", "19").replace("2B", "18") + number[7:13]
    return 97 - int(digits) % 97


@before_write("Patient")
def ins(resource):
    """An INS has 15 characters, the shape of a NIR and the right key."""
    for n, identifier in enumerate(resource.get("identifier") or ()):
        kind = INS.get(identifier.get("system"))
        value = identifier.get("value")
        if kind is None or not isinstance(value, str):
            continue
        place = f"Patient.identifier[{n}].value"
        if not NIR.match(value):
            yield Issue(
                "error", "business-rule", f"An {kind} has 13 characters of a NIR and 2 digits of its key.", place
            )
        elif key_of(value) != int(value[13:]):
            yield Issue("error", "business-rule", f"The key of this {kind} is wrong; check the number.", place)


REFUSED = {  # by FHIRSERVER_ENVIRONMENT
    "production": {"INS-NIR-TEST", "INS-NIR-DEMO"},
    "demo": {"INS-NIR", "INS-NIA"},
}


@before_write("Patient")
def ins_of_this_place(resource):
    """Nobody's test identity gets among real people, and no real one among made-up people."""
    refused = REFUSED.get(settings.FHIRSERVER_ENVIRONMENT, ())
    for n, identifier in enumerate(resource.get("identifier") or ()):
        kind = INS.get(identifier.get("system")) if isinstance(identifier, dict) else None
        if kind in refused:
            place = f"Patient.identifier[{n}].system"
            yield Issue("error", "business-rule", f"An {kind} is refused in {settings.FHIRSERVER_ENVIRONMENT}.", place)


@before_write("Patient")
def dates(resource):
    """Nobody dies before being born. (compared as far as both are known)"""
    born, died = resource.get("birthDate"), resource.get("deceasedDateTime")
    if isinstance(born, str) and isinstance(died, str):
        known = min(len(born), len(died), 10)
        if died[:known] < born[:known]:
            yield Issue("error", "business-rule", "deceasedDateTime is before birthDate.", "Patient.deceased")


@before_write("Patient")
def links(resource):
    """A Patient is not linked to itself."""
    for n, link in enumerate(resource.get("link") or ()):
        if resource.get("id") and (link.get("other") or {}).get("reference") == f"Patient/{resource['id']}":
            yield Issue("error", "business-rule", "The Patient is linked to itself.", f"Patient.link[{n}].other")
