"""What a patient, or who acts for the patient, decides about the record beside Consents: one operation each.

Patient/[id]/$block, $unblock, $oppose-emergency, ... run as any interaction and leave their record; the rows they
write are dated, and count from the next request on. (CSP L1111-17, L1111-19, R1111-36, R1111-46)

Through an application they take what a Consent would: an application that reads results names nobody a proxy.
"""

from records import errors
from records.database import execute
from records.interactions.interaction import Outcome, Touched
from records.keys import identity
from records.operations import inputs, operation
from records.resources.references import local

from .audit.readers import DECISIONS
from .audit.served import is_told
from .emergency import MODES
from .majority import of_patient
from .pieces import dated, own
from .policy import policy
from .sources.scopes import covering

DOSSIER = {  # what an operation sets on the record as such
    "oppose-emergency": ("opposes_emergency", "TRUE"),
    "accept-emergency": ("opposes_emergency", "FALSE"),
    "oppose-regulation": ("opposes_regulation", "TRUE"),
    "accept-regulation": ("opposes_regulation", "FALSE"),
    "close-record": ("closed", "now()"),
    "reopen-record": ("closed", "NULL"),
}
OF_HOLDER = ("close-record", "reopen-record", "name-proxy", "end-proxy")  # not for who was named


def decision(name):
    """Register (interaction, key, given) -> references touched, as Patient/[id]/$name for who may decide it."""

    def register(function):
        def handler(interaction, access):
            key = mine(interaction, access, name)
            touched = function(interaction, key, access)
            issue = errors.Issue("information", "informational", "Done.")
            references = [("Patient", interaction.id), *touched]
            return Outcome(200, errors.operation_outcome([issue]), "OperationOutcome",
                           touched=[Touched(type, id, None, key) for type, id in references])  # fmt: skip

        operation(name, "instance", on="Patient", needs=None, affects_state=True, before=inputs.taken)(handler)
        DECISIONS.append(f"${name}")
        return function

    return register


def mine(interaction, access, name):
    """Key of the patient, whom the caller is or represents; else there is no such patient."""
    person = getattr(getattr(access, "actor", None), "person", None)
    key = identity("Patient", interaction.id)
    if person is None or person.kind != "patient":
        raise errors.NotFound(f"Patient/{interaction.id}")
    if not covers(access.actor, key):
        raise errors.Forbidden(f"${name} needs a scope of this record that covers the update of Consent.")
    held = own(person)
    only = (
        " AND (%s = %s OR EXISTS (SELECT FROM proxy px WHERE px.person_id = %s AND px.patient = %s"
        f" AND {dated('px')} AND px.kind = 'representative'))"
    )
    rows = execute(
        f"SELECT %s::bigint = ANY({held.text}){only if name in OF_HOLDER else ''}",
        (key, *held.params, *((person.patient, key, person.user, key) if name in OF_HOLDER else ())),
    )
    if not rows[0][0]:
        raise errors.NotFound(f"Patient/{interaction.id}")
    return key


def covers(actor, key):
    """May the token decide about the record at all: by a scope for Consents, of whatever record or of this one?"""
    if actor.purpose in policy().forbiddenPurposes:
        return False
    found = [s for s in covering(actor, "update", "Consent") if not s.params]
    return any(s.level != "patient" or actor.patient == key for s in found)


def given(interaction, name):
    """One parameter of the request."""
    found = [value for key, value in interaction.parameters if key == name]
    if len(found) != 1 or not found[0]:
        raise errors.InvalidValue(name, " ".join(found), "expected one value")
    return found[0]


def practitioner(interaction):
    """The Practitioner that the request names: (type, id)."""
    named = local(given(interaction, "practitioner"))
    if named is None or named[0] != "Practitioner" or not named[1]:
        raise errors.InvalidValue("practitioner", given(interaction, "practitioner"), "expected Practitioner/[id]")
    return "Practitioner", named[1]


@decision("block")
def block(interaction, key, access):
    """Keep a professional out of the record, in every mode."""
    who = practitioner(interaction)
    rows = execute("SELECT user_id FROM person WHERE practitioner_key = %s", (identity(*who),))
    if not rows:
        raise errors.NotFound("A professional with a login")
    execute(
        "INSERT INTO block (patient, person_id) SELECT %s, %s WHERE NOT EXISTS (SELECT FROM block bl"
        f" WHERE bl.patient = %s AND bl.person_id = %s AND {dated('bl')})",
        (key, rows[0][0], key, rows[0][0]),
    )
    return [who]


@decision("unblock")
def unblock(interaction, key, access):
    """End the block of a professional."""
    who = practitioner(interaction)
    execute(
        f"UPDATE block bl SET until = now() FROM person p WHERE bl.patient = %s AND {dated('bl')}"
        " AND p.user_id = bl.person_id AND p.practitioner_key = %s",
        (key, identity(*who)),
    )
    return [who]


@decision("name-proxy")
def name_proxy(interaction, key, access):
    """Let a person, by the login, act for the patient; whom a legal representative names has no more than that one."""
    mandated = access.actor.person.patient == key
    end = None if mandated else of_patient(key)
    rows = execute(
        "SELECT p.user_id FROM person p JOIN auth_user u ON u.id = p.user_id"
        " WHERE u.username = %s AND p.kind = 'patient' AND u.is_active AND p.patient_key IS DISTINCT FROM %s",
        (given(interaction, "login"), key),
    )
    if not rows:
        raise errors.NotFound("A person with this login")
    execute(
        "INSERT INTO proxy (patient, person_id, kind, until)"
        " SELECT %s, %s, %s, CASE WHEN w.until > now() THEN w.until END FROM (SELECT %s::timestamptz AS until) w"
        f" WHERE NOT EXISTS (SELECT FROM proxy px WHERE px.patient = %s AND px.person_id = %s AND {dated('px')})",
        (key, rows[0][0], "mandated" if mandated else "delegated", end, key, rows[0][0]),
    )
    return []


@decision("end-proxy")
def end_proxy(interaction, key, access):
    """End what somebody who was named may do; a representative of the law is changed by the directory."""
    execute(
        f"UPDATE proxy px SET until = now() FROM auth_user u WHERE px.patient = %s AND {dated('px')}"
        " AND u.id = px.person_id AND u.username = %s AND px.kind <> 'representative'",
        (key, given(interaction, "login")),
    )
    return []


def about_record(name, column, value):
    """An operation that sets a column of the patient's row in `dossier`; an opposition ends what it is against."""
    against = [mode for mode, opposition in MODES.items() if opposition == column and value == "TRUE"]

    @decision(name)
    def set_it(interaction, key, access):
        execute(
            "INSERT INTO dossier (patient, opposes_emergency, opposes_regulation, policy_version)"
            " VALUES (%s, FALSE, FALSE, 1) ON CONFLICT (patient) DO NOTHING",
            (key,),
        )
        changed = f"{column} = {value}, policy_version = policy_version + 1"
        execute(f"UPDATE dossier SET {changed} WHERE patient = %s", (key,))
        if against:
            execute(
                "UPDATE opening SET until = now() WHERE patient = %s AND mode = ANY(%s) AND until > now()",
                (key, against),
            )
        return []


for _name, (_column, _value) in DOSSIER.items():
    about_record(_name, _column, _value)


@decision("report-access")
def report_access(interaction, key, access):
    """A doubt about an access, by the number of its AuditEvent, for the data-protection officers."""
    event, text = given(interaction, "event"), given(interaction, "text").strip()
    if not is_told(access, event, key):  # of one that is hidden, nobody learns that there is one
        raise errors.InvalidValue("event", event, "expected the id of an AuditEvent of this record")
    if len(text) < 5:
        raise errors.InvalidValue("text", text, "say what is doubtful")
    execute(
        "INSERT INTO doubt (patient, event, text, person_id) VALUES (%s, %s, %s, %s)",
        (key, int(event), text[:4000], access.actor.person.user),
    )
    return [("AuditEvent", event)]
