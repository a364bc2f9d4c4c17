"""Security labels that rights depend on, each with a bit of the row. (security-labels.html; TRE_A07; v3-ActCode)

The order of this file is the order of the bits in stored rows: add at the end, never between.
"""

from records.resources.labels import BITS, known, labels, rises
from records.search.terminology import specified_below

VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
VISIBILITY_OIDS = ("urn:oid:1.2.250.1.213.1.1.4.13", "1.2.250.1.213.1.1.4.13")
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def visibility(code):
    """One bit, whether the code system is named by its address or its OID."""
    bit = known(VISIBILITY, code)
    for oid in VISIBILITY_OIDS:
        BITS.setdefault((oid, code), bit)
    return bit


MASKED = visibility("MASQUE_PS")  # hidden from professionals
FROM_PATIENT = visibility("INVISIBLE_PATIENT")
FROM_REPRESENTATIVES = visibility("INVISIBLE_REPRESENTANTS_LEGAUX")
MASKED_SOCIAL = visibility("MASQUE_PSOCIAL")
MASKED_THIRD = visibility("MASQUE_PT")
RESTRICTED = known(CONFIDENTIALITY, "R")
VERY_RESTRICTED = known(CONFIDENTIALITY, "V")
SENSITIVE = {
    code: known(SENSITIVITY, code)
    for code in ("HIV", "PSY", "ETH", "ETHUD", "OPIOIDUD", "SDV", "SUD", "STD", "SEX", "GDIS")
}
BY_PATIENT = MASKED | MASKED_SOCIAL | MASKED_THIRD  # what a patient sets and lifts
SENSITIVITIES = sum(SENSITIVE.values())
CLOSED = RESTRICTED | VERY_RESTRICTED | SENSITIVITIES  # what no permit reaches that does not say so

COVERED = {"U": 0, "L": 0, "M": 0, "N": 0, "R": RESTRICTED, "V": RESTRICTED | VERY_RESTRICTED}  # by a permit
DENIED = {"R": RESTRICTED | VERY_RESTRICTED, "V": VERY_RESTRICTED}  # by a deny; U L M N: everything

rises(CLOSED)


def kinds(code):
    """The bits of a sensitivity and of all that it subsumes: SUD is alcohol and opioids too. (v3-ActCode)"""
    return sum(SENSITIVE[each] for each in specified_below(SENSITIVITY, code) if each in SENSITIVE)


@labels
def of_document(resource, type):
    """A DocumentReference's securityLabel counts as its own labels. (documentreference.html)"""
    if type == "DocumentReference":
        for concept in resource.get("securityLabel") or ():
            for coding in concept.get("coding") or ():
                label = coding.get("system"), coding.get("code")
                if label in BITS:
                    yield label
