"""Scopes in words that people understand, in their language."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accessctl.scopes import resource_scope

TYPES = {
    "*": gettext_lazy("all of the record"),
    "Patient": gettext_lazy("identity and contact details"),
    "Observation": gettext_lazy("measurements and laboratory results"),
    "Condition": gettext_lazy("health problems"),
    "AllergyIntolerance": gettext_lazy("allergies"),
    "MedicationRequest": gettext_lazy("prescriptions"),
    "MedicationStatement": gettext_lazy("medicines taken"),
    "Immunization": gettext_lazy("vaccinations"),
    "Procedure": gettext_lazy("operations and procedures"),
    "Encounter": gettext_lazy("visits and stays"),
    "DiagnosticReport": gettext_lazy("reports"),
    "DocumentReference": gettext_lazy("documents"),
    "ImagingStudy": gettext_lazy("medical images"),
    "CarePlan": gettext_lazy("care plans"),
    "Consent": gettext_lazy("who may see the record"),
}
WORDS = {
    "openid": gettext_lazy("who you are"),
    "fhirUser": gettext_lazy("your entry in the directory"),
    "offline_access": gettext_lazy("go on when you are not there, until you withdraw it"),
    "online_access": gettext_lazy("go on until you sign out"),
    "launch/patient": None,
    "launch/encounter": None,
    "launch": None,
    "profile": None,
}


PURPOSES = {
    "TREAT": gettext_lazy("care"),
    "ETREAT": gettext_lazy("emergency care"),
    "BTG": gettext_lazy("break the glass"),
    "COC": gettext_lazy("coordination of care"),
    "CAREMGT": gettext_lazy("care management"),
    "PATRQT": gettext_lazy("at the patient's request"),
    "FAMRQT": gettext_lazy("at the family's request"),
    "HRESCH": gettext_lazy("research"),
    "CLINTRCH": gettext_lazy("clinical research"),
    "PUBHLTH": gettext_lazy("public health"),
    "HPAYMT": gettext_lazy("billing"),
    "HOPERAT": gettext_lazy("running of the institution"),
    "HQUALIMP": gettext_lazy("quality of care"),
}


def purpose_of(code):
    """The purpose in words, with its code; None of none."""
    return code and f"{PURPOSES[code]} ({code})" if code in PURPOSES else code or None


def described(word):
    """The scope as a sentence; None when there is nothing to say."""
    if word in WORDS:
        return WORDS[word]
    scope = resource_scope(word)
    what = str(TYPES.get(scope.type, scope.type))
    if scope.params:
        what = _("%(what)s, only %(condition)s") % {
            "what": what, "condition": ", ".join(f"{name} {value.rpartition('|')[2]}" for name, value in scope.params)
        }  # fmt: skip
    does = []
    if scope.letters & set("rs"):
        does.append(_("read"))
    if scope.letters & set("cu"):
        does.append(_("write"))
    if "d" in scope.letters:
        does.append(_("delete"))
    told = _("%(does)s: %(what)s") % {"does": ", ".join(does), "what": what}
    return told[:1].upper() + told[1:] + (" " + _("(of every record open to you)") if scope.level == "user" else "")
