"""Whose records are open to a professional by name: a consent, an opening or a grant names the person, or a party.

For lists of "my patients", so that no page asks of every patient there is. It is no right: what it names is read
through the access as anything else. Who consents to everybody is found by a search, and is in nobody's circle.
"""

from records.database import as_system, execute

from .sources.consent import naming
from .sources.emergency import open_now
from .sources.grants import granting

REASONS = (naming, open_now, granting)  # as a search knows in whose records to look: sources.records


@as_system()
def circle(actor, most):
    """Ids of the Patients, in no order; None when there are more than so many."""
    found = [reason(actor, "search", "Patient") for reason in REASONS]
    named = " UNION ".join(f"({each.text})" for each in found)
    rows = execute(
        "SELECT r.id FROM (SELECT n.patient FROM (" + named + ") AS n(patient) WHERE n.patient IS NOT NULL LIMIT %s) p"
        " JOIN resource r ON r.identity = p.patient",
        (*(param for each in found for param in each.params), most + 1),
    )
    return [id for (id,) in rows] if len(rows) <= most else None
