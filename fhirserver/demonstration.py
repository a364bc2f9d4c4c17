"""Who may what in the records of the demonstration: its people are named by their logins."""

from accessctl.majority import until_majority
from records.database import execute

MARK = "sandbox"  # in state.json of a data folder: all that is in it may be put back
RIGHTS = (  # whom a record names: (table, login of its patient, login, what else the row says)
    ("proxy", "patient", "proxy", {"kind": "mandated"}),
    ("attending_doctor", "patient", "doctor", {}),
    ("block", "patient", "doctor2", {}),
    ("proxy", "minor", "parent", {"kind": "representative"}),
)
GIVE = (
    "INSERT INTO {table} (patient, person_id, since{names}) SELECT %s, p.user_id, now(){places}"
    " FROM person p JOIN auth_user u ON u.id = p.user_id WHERE u.username = %s AND NOT EXISTS"
    " (SELECT FROM {table} t WHERE t.patient = %s AND t.person_id = p.user_id AND (t.until IS NULL OR t.until > now()))"
)
PATIENT = "SELECT p.patient_key FROM person p JOIN auth_user u ON u.id = p.user_id WHERE u.username = %s"


def rights():
    """The rows that hold of them, unless they do already; in the transaction there is."""
    for table, patient, login, said in RIGHTS:
        for (key,) in execute(PATIENT, (patient,)):
            more = said | ({"until": until_majority(key, None)} if said.get("kind") == "representative" else {})
            names, places = "".join(f", {name}" for name in more), ", %s" * len(more)
            execute(GIVE.format(table=table, names=names, places=places), (key, *more.values(), login, key))
