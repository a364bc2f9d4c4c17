"""Purposes of use that a client states when it asks for a token. (IHE IUA: purpose_of_use; v3-PurposeOfUse)

A purpose is a claim of the client: it is recorded with each access, a rule of a Consent may be for it alone, and it
opens nothing else. The ordinary ones any client may state, others those registered for them; forbidden ones nobody.
"""

from records.definitions.valuesets import codes

from .consent import REASON
from .policy import policy

VALUES = "http://terminology.hl7.org/ValueSet/v3-PurposeOfUse"
SYSTEMS = (REASON, "urn:oid:2.16.840.1.113883.5.8", "urn:ihe:iti:xspa:2009:purposeOfUse")
ORDINARY = frozenset(("TREAT", "ETREAT", "BTG", "COC", "CAREMGT", "PATRQT", "FAMRQT", "PWATRNY"))


class InvalidPurpose(ValueError):
    """It cannot be stated; the sentence says why."""


def purpose(text):
    """The code of `code` or `system|code`, of those that there are."""
    system, bar, code = text.rpartition("|")
    if (bar and system not in SYSTEMS) or code == "PurposeOfUse" or code not in codes(VALUES):
        raise InvalidPurpose(f"purpose_of_use is a code of {VALUES}, perhaps with its system and | before it")
    return code


def stated(text, registered):
    """The code, if a client for which these are registered may state it."""
    code = purpose(text)
    if code in policy().forbiddenPurposes:
        raise InvalidPurpose(f"the purpose {code} is not served here")
    if code not in ORDINARY and code not in registered:
        raise InvalidPurpose(f"the purpose {code} is not registered for this client")
    return code


def concept(code):
    """As FHIR and IUA write it."""
    return {"system": REASON, "code": code}
