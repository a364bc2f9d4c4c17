"""What patients and attending doctors are told: an outbox, emptied by the worker, each notice at least once.

A notice is written by the transaction of what it tells of: with the opening in an emergency, and, for the first access
of a professional to a record, with the seal over the audit record, which is within seconds and costs the access
nothing. A unique constraint keeps the second "first access" out. (CSP R1111-48; decree of 26 October 2023)

Delivery is an e-mail to each login that the notice is for. It is leased before it is sent and marked after, so that a
worker killed between sends it again, under the same Message-ID. For who has no address the notice stays in the outbox,
where the pages show it.
"""

import json
import logging
import uuid
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from records.database import as_system, atomic, execute
from records.interactions.interaction import Interaction, Outcome, Touched

from .actor import Actor
from .audit.history import day_of, words
from .pieces import dated, own
from .policy import DATA

log = logging.getLogger("accessctl.notices")
FIRST = "first-access"
LEASE = 60  # seconds in which who has taken a notice sends it
LONGEST = 3600  # seconds between two attempts
BATCH = 20
FAILED = 400  # statuses of accesses that were none
SYSTEM = Actor(client="system", user=None, scopes=())

TAKE = (
    "UPDATE notice SET due = now() + make_interval(secs => least(%s * 2 ^ least(attempts, 6), %s)),"
    " attempts = least(attempts + 1, 32767) WHERE id IN (SELECT id FROM notice WHERE delivered IS NULL AND due <= now()"
    " ORDER BY due LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id, patient, person_id, kind, created"
)
NOBODY = "UPDATE notice SET fault = 'no address', due = now() + interval '100 years' WHERE id = %s"
TO_PATIENT = (
    "SELECT u.email FROM person p JOIN auth_user u ON u.id = p.user_id WHERE p.patient_key = %s AND u.is_active"
    " UNION SELECT u.email FROM proxy px JOIN auth_user u ON u.id = px.person_id WHERE px.patient = %s AND u.is_active"
    f" AND {dated('px')} AND px.kind = 'representative'"
)
WAITING = (
    "UPDATE notice SET fault = NULL, due = now() WHERE delivered IS NULL AND fault = 'no address' AND (person_id = %s"
    " OR person_id IS NULL AND patient IN (SELECT p.patient_key FROM person p WHERE p.user_id = %s UNION ALL"
    f" SELECT px.patient FROM proxy px WHERE px.person_id = %s AND {dated('px')} AND px.kind = 'representative'))"
)  # the notices that an address of that login has been missing for
TO_PERSON = "SELECT u.email FROM auth_user u WHERE u.id = %s AND u.is_active"


class Notice(NamedTuple):
    """One to be delivered."""

    id: int
    patient: int
    person: int | None
    kind: str
    created: object

    @property
    def name(self):
        """The same at every attempt: the left side of a Message-ID."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"notice:{self.id}").hex

    def text(self):
        """What it says, in each language."""
        said = data()["doctor" if self.person else "patient"][self.kind]
        end = data()["doctorEnd" if self.person else "end"]
        at = self.created.astimezone(ZoneInfo(words()["timeZone"]))
        days = {each: day_of(at, words()["languages"][each]) for each in data()["languages"]}
        return "\n\n".join(f"{said[each].format(day=day)}\n{end[each]}" for each, day in days.items())


@cache
def data():
    return json.loads((DATA / "notices.json").read_text())


def first_accesses(records):
    """Within the transaction that seals these records: a notice for each professional who is new to a patient."""
    pairs = {
        (r.patient, r.user) for r in records
        if r.patient is not None and r.user is not None and r.status < FAILED and r.interaction != "create"
        and r.received is None
    }  # fmt: skip
    if pairs:
        patients, logins = (list(column) for column in zip(*sorted(pairs), strict=True))
        execute(
            "INSERT INTO notice (patient, kind, about_id) SELECT w.patient, %s, p.user_id"
            " FROM unnest(%s::int8[], %s::text[]) AS w(patient, login) JOIN auth_user u ON u.username = w.login"
            " JOIN person p ON p.user_id = u.id WHERE p.kind = 'professional' ON CONFLICT DO NOTHING",
            (FIRST, patients, logins),
        )


def deliver(send):
    """One round: each notice that is due, by `send(Notice, addresses)`; True when there may be more."""
    taken = [Notice(*row) for row in execute(TAKE, (LEASE, LONGEST, BATCH))]
    for notice in taken:
        try:
            addresses = recipients(notice)
            if not addresses:
                execute(NOBODY, (notice.id,))
                continue
            send(notice, addresses)
        except Exception as error:  # whatever a mail server does, the others are tried, and this one again
            log.error("notice %d could not be sent: %s", notice.id, type(error).__name__)
            execute("UPDATE notice SET fault = %s WHERE id = %s", (type(error).__name__[:200], notice.id))
        else:
            sent(notice)
    return len(taken) == BATCH


def inbox(person, limit=50):
    """[(id, kind, patient's key, when, the professional of a first access or an opening)] for a page of that person.

    Shown is told: what no e-mail could deliver is delivered by this.
    """
    mine = own(person)
    rows = execute(
        "SELECT n.id, n.kind, n.patient, n.created, coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''),"
        " u.username), n.delivered IS NULL FROM notice n LEFT JOIN opening op ON op.id = n.opening_id"
        " LEFT JOIN auth_user u ON u.id = coalesce(n.about_id, op.person_id)"
        f" WHERE n.person_id = %s OR (n.person_id IS NULL AND n.patient = ANY({mine.text}))"
        " ORDER BY n.id DESC LIMIT %s",
        (person.user, *mine.params, limit),
    )
    if untold := [row[0] for row in rows if row[-1]]:
        execute("UPDATE notice SET delivered = now() WHERE id = ANY(%s) AND delivered IS NULL", (untold,))
    return [row[:-1] for row in rows]


def send_to(user, address):
    """From now on notices for a login go to this address, those that waited for one too; "" for none."""
    execute("UPDATE auth_user SET email = %s WHERE id = %s", (address, user))
    if address:
        execute(WAITING, (user,) * 3)


def recipients(notice):
    """The addresses of the patient and the legal representatives, or of the one person whom it is for."""
    if notice.person is not None:
        rows = execute(TO_PERSON, (notice.person,))
    else:
        rows = execute(TO_PATIENT, (notice.patient, notice.patient))
    return sorted({address for (address,) in rows if address})


@as_system()
def sent(notice):
    """Mark it, and record in the audit that the patient, or the doctor, was told."""
    from .audit import record

    with atomic():
        execute("UPDATE notice SET delivered = now(), fault = NULL WHERE id = %s AND delivered IS NULL", (notice.id,))
        named = execute("SELECT id FROM resource WHERE identity = %s", (notice.patient,))
        touched = [Touched("Patient", named[0][0], None, notice.patient)] if named else []
        interaction = Interaction("operation", "type", "Patient", operation="notice", method="POST")
        record(SYSTEM, interaction, Outcome(200, touched=touched), uuid.uuid4())
