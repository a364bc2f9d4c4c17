"""Whose records are open to a professional by name: a consent, an opening or a grant names the person, or a party.

For lists of "my patients", so that no page asks of every patient there is. It is no right: what it names is read
through the access as anything else. Who consents to everybody is found by a search, and is in nobody's circle.
"""

from records.database import as_system, execute

from .pieces import dated

PARTIES = (
    f"ARRAY(SELECT mb.party_key FROM membership mb WHERE mb.person_id = %s AND {dated('mb')}"
    " UNION ALL SELECT p.practitioner_key FROM person p WHERE p.user_id = %s AND p.practitioner_key IS NOT NULL)"
)
PATIENTS = (
    f"SELECT c.patient FROM consent_rule c WHERE c.permit AND c.grantee <> 0 AND c.grantee = ANY({PARTIES})"
    f" UNION SELECT op.patient FROM opening op WHERE op.person_id = %s AND {dated('op')}"
    " UNION SELECT gu.content_object_id FROM dossier_user_permission gu WHERE gu.user_id = %s"
    " UNION SELECT gg.content_object_id FROM dossier_group_permission gg JOIN auth_user_groups ag"
    " ON ag.group_id = gg.group_id WHERE ag.user_id = %s"
)


@as_system()
def circle(person, most):
    """Ids of the Patients, in no order; None when there are more than so many."""
    rows = execute(
        f"SELECT r.id FROM ({PATIENTS} LIMIT %s) p JOIN resource r ON r.identity = p.patient",
        (*(person.user,) * 5, most + 1),
    )
    return [id for (id,) in rows] if len(rows) <= most else None
