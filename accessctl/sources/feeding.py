"""A professional adds to a record without a right to read it. (CSP R1111-47, L1111-17 III)"""

from records.sql import SQL

from ..groups import PATIENTS
from . import for_people, permits


@permits
@for_people
def feeds(actor, code, type, alias, pk):
    """Anything of a patient's record but a Consent, which is the patient's word, and an AuditEvent, which is ours."""
    if code != "create" or actor.person.kind != "professional":
        return None
    if type not in PATIENTS or type in ("Consent", "AuditEvent"):
        return None
    return SQL(f"{alias}.patient IS NOT NULL"), "A professional may add to a record."
