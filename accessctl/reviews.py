"""The queue of emergency openings that somebody must look at: listed and judged by staff who may change reviews.

For the pages; each call is recorded in the audit as what it is, a look into who opened whose record.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from records import errors
from records.database import as_system, atomic, execute
from records.interactions.interaction import Interaction, Outcome, Touched

from .audit import record, settle
from .audit.readers import holds
from .rights import VERDICTS

SHORTEST = 10  # characters of a conclusion
MOST = 200
QUEUE = (
    "SELECT op.id, op.since, op.until, op.mode, op.purpose, op.reason, u.username,"
    " coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username), p.profession, op.patient, pa.id,"
    " rv.reviewed, ru.username, rv.verdict, rv.conclusion FROM review rv JOIN opening op ON op.id = rv.opening_id"
    " JOIN auth_user u ON u.id = op.person_id JOIN person p ON p.user_id = op.person_id"
    " LEFT JOIN resource pa ON pa.identity = op.patient LEFT JOIN auth_user ru ON ru.id = rv.reviewer_id"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """An opening, as the reviewer sees it."""

    id: int
    since: datetime
    until: datetime
    mode: str
    purpose: str
    reason: str
    login: str
    name: str
    profession: str | None
    patient_key: int
    patient: str | None  # id
    reviewed: datetime | None
    reviewer: str | None
    verdict: str | None
    conclusion: str | None


def may_review(actor):
    """Is the actor staff with the permission to change reviews?"""
    return actor.person is not None and actor.person.kind == "staff" and holds(actor.person, "change_review")


def waiting(actor, limit=50, after=0):
    """Openings that nobody has reviewed, oldest first, behind the one of that id."""
    return listed(actor, "rv.reviewed IS NULL AND op.id > %s ORDER BY op.id LIMIT %s", (after, min(limit, MOST)))


def done(actor, limit=50, before=2**62):
    """Openings that were reviewed, newest first."""
    return listed(
        actor, "rv.reviewed IS NOT NULL AND op.id < %s ORDER BY op.id DESC LIMIT %s", (before, min(limit, MOST))
    )


def listed(actor, condition, params):
    allowed(actor)
    with as_system():
        found = [Opened(*row) for row in execute(f"{QUEUE} WHERE {condition}", params)]
    outcome = Outcome(200, touched=[Touched("Patient", o.patient or "", None, o.patient_key) for o in found])
    record(actor, Interaction("operation", "type", "Patient", operation="reviews"), outcome, uuid.uuid4())
    settle(outcome.recorded)
    return found


def review(actor, opening, verdict, conclusion):
    """Conclude; nobody judges the own opening, and a conclusion stays."""
    allowed(actor)
    if verdict not in dict(VERDICTS):
        raise errors.InvalidValue("verdict", verdict, f"expected one of {', '.join(dict(VERDICTS))}")
    if len(conclusion.strip()) < SHORTEST:
        raise errors.InvalidValue("conclusion", conclusion, f"say in at least {SHORTEST} characters why")
    with as_system(), atomic():
        rows = execute(
            "UPDATE review rv SET reviewed = now(), reviewer_id = %s, verdict = %s, conclusion = %s FROM opening op"
            " WHERE op.id = rv.opening_id AND op.id = %s AND rv.reviewed IS NULL AND op.person_id <> %s"
            " RETURNING op.patient",
            (actor.person.user, verdict, conclusion.strip(), opening, actor.person.user),
        )
        if not rows:
            raise errors.NotFound("An opening that waits for a review")
        named = execute("SELECT id FROM resource WHERE identity = %s", rows[0])
        touched = [Touched("Patient", named[0][0] if named else "", None, rows[0][0])]
        interaction = Interaction("operation", "type", "Patient", operation="review", method="POST")
        record(actor, interaction, Outcome(200, touched=touched), uuid.uuid4())


def allowed(actor):
    if not may_review(actor):
        raise errors.Forbidden("Reviewing what was opened in an emergency is for those who are charged with it.")
