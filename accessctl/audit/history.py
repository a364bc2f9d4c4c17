"""Patient/[id]/$access-history: who looked at a record, for whom, when, at what and why, in words. (CSP L1111-19)

A searchset of AuditEvents, newest first, each with a narrative in the language asked for (Accept-Language), bounded by
`start` and `end`, in pages. For the patient, a proxy, the attending doctor and data-protection officers.
"""

import json
from collections import Counter
from functools import cache
from typing import NamedTuple
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from records import errors
from records.database import as_system, execute
from records.definitions.structures import type_number
from records.interactions import paging
from records.interactions.interaction import Touched
from records.keys import identity
from records.operations import inputs, operation
from records.search.ranges import condition
from records.sql import FALSE, SQL, all_of

from ..pieces import own
from ..policy import DATA
from . import criteria, event
from .readers import TYPE, readable
from .reasons import Why, reasons
from .served import bundle, page

KNOWN = ("start", "end", "others-only", "_count", "_page")
DEFAULT = "en"
SERVICE = "system"  # the client of what the server does of itself
DID = {"vread": "read", "history-instance": "read", "search-type": "search", "search-system": "search",
       "history-type": "search", "history-system": "search", "patch": "update"}  # fmt: skip
ACCEPTED = 202  # an export that is asked for shows nothing yet


class Line(NamedTuple):
    """One access as a person reads it."""

    id: str  # of the AuditEvent
    when: object  # datetime
    who: str
    profession: str | None
    organization: str | None
    did: str
    why: Why
    reason: str
    text: str  # all of it in one sentence


@operation("access-history", "instance", on="Patient", needs=None, snapshot=True, before=inputs.taken)
def of_instance(interaction, access):
    """The history of one record; of a patient whose history the caller may not see, not-found."""
    return history(interaction, access, interaction.id)


@operation("access-history", "type", on="Patient", needs=None, snapshot=True, before=inputs.taken)
def of_type(interaction, access):
    """The history of the own record, or of the one that the caller represents."""
    actor = getattr(access, "actor", None)
    if actor is None or actor.person is None or actor.person.kind != "patient":
        raise errors.BadRequest("Name a patient, as Patient/[id]/$access-history.")
    mine = own(actor.person, with_proxies=actor.person.patient is None)
    with as_system():
        rows = execute(f"SELECT r.id FROM resource r WHERE r.identity = ANY({mine.text}) LIMIT 2", mine.params)
    if len(rows) != 1:
        raise errors.BadRequest("Name the patient, as Patient/[id]/$access-history.")
    return history(interaction, access, rows[0][0])


def history(interaction, access, id):
    """A page of it."""
    if readable(access, "search-type") == FALSE:
        raise errors.Forbidden(f"The access given does not cover the search of {TYPE}.")
    for name, _ in interaction.parameters:
        if name not in KNOWN:
            raise errors.UnknownParameter("$access-history", name, f"known: {', '.join(KNOWN)}")
    key = identity("Patient", id)
    if not reached(access, id, key):
        raise errors.NotFound(f"Patient/{id}")
    size, after = max(1, paging.count(interaction)), paging.position(interaction, access)
    found, following = page(interaction, access, wanted(interaction, access, key), after, size)
    language = chosen(interaction.language)
    told = lines([record for record, _ in found], [tree for _, tree in found], access, language)
    for (_, tree), line in zip(found, told, strict=True):
        narrate(tree, line, language)
    outcome = bundle(interaction, access, found, following)
    outcome.headers["Content-Language"] = language
    if not found:
        outcome.touched = [Touched("Patient", id, None, key)]
    return outcome


def reached(access, id, key):
    """Is it a patient, whose audit the caller may read?"""
    may = readable(access, "search-type")
    with as_system():
        return execute(
            "SELECT EXISTS (SELECT FROM (SELECT %s::bigint AS patient, 'read' AS interaction, 200 AS status) a"
            f" WHERE ({may.text}))"
            " AND EXISTS (SELECT FROM resource r WHERE r.identity = %s AND r.type = %s AND r.id = %s)",
            (key, *may.params, key, type_number("Patient"), id),
            prepare=False,
        )[0][0]


def wanted(interaction, access, key):
    """The records asked for."""
    found = [SQL("a.patient = %s", (key,))]
    for name, prefix in (("start", "ge"), ("end", "le")):
        if text := inputs.one(interaction.parameters, name):
            _, *bounds = criteria.moments(name, text)
            found.append(condition(prefix, *bounds, low="a.at", high="a.at"))
    others = inputs.one(interaction.parameters, "others-only")
    if others not in (None, "true", "false"):
        raise errors.InvalidValue("others-only", others, "expected true or false")
    if others == "true":
        found.append(SQL('a."user" IS DISTINCT FROM %s', (access.actor.user,)))
    return all_of(found)


# -- words ---------------------------------------------------------------------------------------------------------


@cache
def words():
    return json.loads((DATA / "history.json").read_text())


def chosen(accepted):
    """The language that is preferred among those there are. (RFC 9110 12.5.4)"""
    best, weight = DEFAULT, 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.strip().partition(";")
        try:
            given = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            given = 0.0
        language = tag.strip().lower().split("-")[0]
        if given > weight and language in words()["languages"]:
            best, weight = language, given
    return best


def lines(records, events, access, language):
    """A Line for each record, of which the AuditEvent is what the reader may be told."""
    said = words()["languages"][language]
    ctx = event.context(records, {}, False, "")
    found, actor = reasons(records, ctx), getattr(access, "actor", None)
    mine, own_record = getattr(actor, "user", None), getattr(getattr(actor, "person", None), "patient", None)
    others = {**said, "types": {**said["types"], "Patient": said["identity"]}}  # "your identity" is the patient's word
    return [
        line(record, tree, event.agent_of(record, ctx), found[record.seq],
             said if record.patient == own_record else others, mine)
        for record, tree in zip(records, events, strict=True)
    ]  # fmt: skip


def line(record, tree, agent, why, said, mine):
    when = event.moment(record).astimezone(ZoneInfo(words()["timeZone"]))
    profession = said["professions"].get(agent.profession) if agent and agent.profession else None
    organization = (agent.organization_name or agent.organization) if agent else None
    if record.received is not None:
        name = next((a["who"].get("display") or a["who"].get("reference") for a in tree.get("agent") or ()
                     if a.get("requestor") and a.get("who")), None) or record.client  # fmt: skip
    elif agent is None:
        name = said["service"] if record.client == SERVICE else said["application"].format(client=record.client)
    else:
        name = said["you"] if record.user == mine else agent.name or agent.login
    who = said["whoProfession"].format(name=name, profession=profession) if profession else name
    if organization:
        who = said["whoFor"].format(who=who, organization=organization)
    kind = "refused" if record.status >= event.FAILED else DID.get(record.interaction, record.interaction)
    if record.received is not None:
        kind = next((name for name, action in event.ACTIONS.items() if action == tree.get("action")), "operation")
    if kind == "$export" and record.status == ACCEPTED:
        kind = "ask-export"
    verb = said["did"].get(kind.removeprefix("$"), said["did"]["operation"])
    did = verb.format(about=about(tree, record, said))
    detail = {**why.detail}
    for place, among in (("kind", "kinds"), ("mode", "modes")):
        if place in detail:
            detail[place] = said[among].get(detail[place], detail[place])
    reason = said["why"][why.code].format(**detail)
    stamp = said["when"].format(day=day_of(when, said), time=when.strftime("%H:%M"))
    text = said["line"].format(when=stamp, who=who, did=did, why=reason)
    return Line(str(record.seq), when, name, profession, organization, did, why, reason, text)


def day_of(when, said):
    """A day as the language writes it: 1er décembre 2026."""
    day = said["first"] if when.day == 1 else when.day
    return said["day"].format(day=day, month=said["months"][when.month - 1], year=when.year)


def about(tree, record, said):
    """What it was about: how many of which kinds."""
    named = [(e.get("what") or {}).get("reference") for e in tree.get("entity") or ()]
    counted = Counter(reference.split("/")[0] for reference in named if reference)
    if len(counted) > 1 and counted.get("Patient") == 1:
        del counted["Patient"]  # each event names the patient it is about
    parts = []
    for type, count in counted.most_common():
        one, many = said["types"].get(type) or [each.format(type=type) for each in said["other"]]
        parts.append(one if count == 1 else f"{count} {many}")
    return said["and"].join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or said["record"]


def narrate(tree, line, language):
    """The line as the narrative of its event; the reason beside it as FHIR has it."""
    tree["language"] = language
    tree["text"] = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{language}" lang="{language}">'
        f"<p>{escape(line.text)}</p></div>",
    }
    purpose = {"text": line.reason}
    if line.why.code == "emergency":
        purpose = {"coding": [{"system": event.REASON, "code": "ETREAT", "display": "Emergency Treatment"}], **purpose}
    if line.why.code != "received":
        tree["purposeOfEvent"] = [purpose]
