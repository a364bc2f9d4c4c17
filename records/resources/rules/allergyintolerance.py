"""AllergyIntolerance: what is denied has no reactions."""

from ...errors import Issue
from . import before_write

NONE_KNOWN = {
    ("http://snomed.info/sct", "716186003"),  # no known allergy
    ("http://snomed.info/sct", "409137002"),  # no known drug allergy
    ("http://snomed.info/sct", "429625007"),  # no known food allergy
    ("http://snomed.info/sct", "428607008"),  # no known environmental allergy
}


@before_write("AllergyIntolerance")
def none_known(resource):
    """ "No known allergy" and a reaction contradict each other."""
    codings = (resource.get("code") or {}).get("coding") or ()
    denied = any((c.get("system"), c.get("code")) in NONE_KNOWN for c in codings)
    if denied and resource.get("reaction"):
        yield Issue(
            "error", "business-rule", "The code says that no allergy is known; a reaction contradicts it.",
            "AllergyIntolerance.reaction",
        )  # fmt: skip
