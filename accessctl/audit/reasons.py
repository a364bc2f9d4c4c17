"""Why an access of the past was allowed: from the dated rows, as they were at its time.

The reason of a record is not kept with it: the row stays narrow, and what it would say is in the tables already.
"""

from typing import NamedTuple

from records.database import execute

from ..pieces import dated
from .event import FAILED, agent_of, moment

MEMBERS = f"SELECT mb.party, mb.party_key FROM membership mb WHERE mb.person_id = u.id AND {dated('mb')}"
REASONS = f"""
SELECT w.seq, p.patient_key IS NOT NULL AND p.patient_key = w.patient,
  (SELECT px.kind FROM proxy px WHERE px.person_id = u.id AND px.patient = w.patient AND {dated("px")} LIMIT 1),
  (SELECT jsonb_build_array(op.mode, op.reason) FROM opening op WHERE op.person_id = u.id AND op.patient = w.patient
   AND {dated("op")} ORDER BY op.id DESC LIMIT 1),
  EXISTS (SELECT FROM attending_doctor ad WHERE ad.person_id = u.id AND ad.patient = w.patient AND {dated("ad")}),
  (SELECT jsonb_build_array(c.consent, c.to_whom) FROM (
     SELECT k.kept ->> 'consent' AS consent, CASE (k.kept ->> 'grantee')::bigint WHEN 0 THEN 'everybody'
       WHEN p.practitioner_key THEN '' ELSE coalesce((SELECT split_part(m.party, '/', 1) FROM ({MEMBERS}) m
       WHERE m.party_key = (k.kept ->> 'grantee')::bigint LIMIT 1), '-') END AS to_whom
     FROM (SELECT DISTINCT ON (rc.key) rc.kept FROM right_change rc WHERE rc.relation = 'consent_rule'
       AND rc.about = w.patient AND rc.at <= now() ORDER BY rc.key, rc.seq DESC) k
     WHERE k.kept IS NOT NULL AND (k.kept ->> 'permit')::boolean
       AND coalesce((k.kept ->> 'since')::timestamptz <= now(), TRUE)
       AND coalesce((k.kept ->> 'until')::timestamptz > now(), TRUE)) c
   WHERE c.to_whom <> '-' ORDER BY c.to_whom LIMIT 1)
FROM unnest(%s::int8[], %s::text[], %s::int8[], %s::timestamptz[]) AS w(seq, login, patient, at)
JOIN auth_user u ON u.username = w.login JOIN person p ON p.user_id = u.id
""".replace("now()", "w.at")
KINDS = {"": "consent", "Organization": "consent-organization", "CareTeam": "consent-team",
         "everybody": "consent-everybody"}  # fmt: skip


class Why(NamedTuple):
    """A reason by its name in data/history.json, and what belongs to its sentence."""

    code: str
    detail: dict = {}
    consent: int | None = None  # Resource.number of the Consent


def reasons(records, ctx):
    """seq -> Why of each record."""
    asked = [r for r in records if r.user is not None and r.patient is not None]
    found = {}
    if asked:
        columns = ([r.seq for r in asked], [r.user for r in asked], [r.patient for r in asked], [*map(moment, asked)])
        found = {seq: facts for seq, *facts in execute(REASONS, columns, prepare=False)}
    return {record.seq: why(record, agent_of(record, ctx), found.get(record.seq)) for record in records}


def why(record, agent, facts):
    """The first reason that holds; who asks decides which are possible."""
    if record.received is not None:
        return Why("received")
    if record.status >= FAILED:
        return Why("refused")
    if record.interaction == "$export":
        return Why("export")
    if agent is None or agent.kind is None:
        return Why("system")
    if agent.kind == "staff" or facts is None:
        return Why("officer" if agent.kind == "staff" else "unknown")
    own, proxy, opening, attends, consent = facts
    if own:
        return Why("own")
    if proxy:
        return Why("proxy", {"kind": proxy})
    if record.interaction == "create":
        return Why("deposit")
    if record.interaction == "$end-break-glass":
        return Why("ended")
    if opening and record.interaction not in ("update", "patch", "delete"):
        return Why("emergency", {"mode": opening[0], "reason": opening[1]})
    if consent:
        return Why(KINDS.get(consent[1], "consent"), {}, int(consent[0]))
    return Why("attending" if attends else "grant")
