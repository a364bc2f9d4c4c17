"""A row of the audit as an AuditEvent of IHE BALP. (auditevent.html; IHE ITI Basic Audit Log Patterns)

Nothing of it is stored as a resource: the row says who, what and when; people are looked up when it is served.
"""

import base64
from datetime import timedelta
from typing import NamedTuple

from records.database import as_system, execute
from records.definitions.structures import type_name
from records.formats.json import parse
from records.keys import identity
from records.resources.labels import codings
from records.resources.store import instant

from ..pieces import dated
from .encoding import EPOCH, Record

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
REST = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
PROFESSION = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
BALP = "https://profiles.ihe.net/ITI/BALP/"
TDE = "https://interop.esante.gouv.fr/ig/fhir/tde/StructureDefinition/tde-auditevent"
LOGIN = "urn:fhirserver:login"
CLIENT = "urn:fhirserver:client"
RECEIVED = {"system": "urn:fhirserver:audit", "code": "received"}  # tag: sent by somebody else, kept as it came

ACTIONS = {
    "create": "C", "read": "R", "vread": "R", "history-instance": "R", "update": "U", "patch": "U", "delete": "D",
}  # fmt: skip
OPERATION = "E"
PROFILES = {"create": "Create", "read": "Read", "vread": "Read", "update": "Update", "patch": "Update",
            "delete": "Delete", "search-type": "Query", "search-system": "Query"}  # fmt: skip
GLASS = {"$break-glass": ("110127", "Emergency Override Started"),
         "$end-break-glass": ("110138", "Emergency Override Stopped")}  # fmt: skip
ALERT = ("110113", "Security Alert")
READS = frozenset(("read", "vread", "history-instance"))
FAILED, SERIOUS = 400, 500  # statuses from which the outcome is a minor and a serious failure


class Agent(NamedTuple):
    """Who a login is, as an AuditEvent names it."""

    login: str
    name: str | None
    kind: str | None
    profession: str | None
    practitioner: str | None
    patient: str | None
    organization: str | None  # at the time
    organization_name: str | None = None

    @property
    def who(self):
        """The Reference."""
        found = {"display": self.name or self.login}
        if self.practitioner or self.patient:
            place = f"Practitioner/{self.practitioner}" if self.practitioner else f"Patient/{self.patient}"
            return {"reference": place, **found}
        return {"identifier": {"system": LOGIN, "value": self.login}, **found}


def action(interaction):
    return ACTIONS.get(interaction, OPERATION)


def outcome(status):
    return "0" if status < FAILED else "4" if status < SERIOUS else "8"


def code(interaction):
    """The code of http.html's interactions; an operation by its name stands beside it."""
    return "operation" if interaction.startswith("$") else interaction


def people(logins):
    """login -> Agent, without the organization, which depends on the time."""
    rows = execute(
        "SELECT u.username, nullif(trim(u.first_name || ' ' || u.last_name), ''), p.kind, p.profession, p.practitioner,"
        " p.patient, NULL FROM auth_user u LEFT JOIN person p ON p.user_id = u.id WHERE u.username = ANY(%s)",
        (sorted({login for login in logins if login}),),
    )
    return {row[0]: Agent(*row) for row in rows}


@as_system()
def organizations(pairs):
    """(login, seq) -> (reference, name) of the Organization for which the person acted, of (login, at, seq)."""
    pairs = [each for each in pairs if each[0]]
    if not pairs:
        return {}
    rows = execute(
        "SELECT w.login, w.seq, min(mb.party) FROM unnest(%s::text[], %s::timestamptz[], %s::int8[])"
        " AS w(login, at, seq) JOIN auth_user u ON u.username = w.login JOIN membership mb ON mb.person_id = u.id"
        f" WHERE mb.party LIKE 'Organization/%%' AND {dated('mb').replace('now()', 'w.at')} GROUP BY 1, 2",
        tuple(list(column) for column in zip(*pairs, strict=True)),
    )
    keys = sorted({identity(*party.split("/")) for _, _, party in rows})
    named = dict(
        execute("SELECT identity, convert_from(body, 'UTF8')::jsonb ->> 'name' FROM resource WHERE identity = ANY(%s)"
                " AND NOT deleted", (keys,))
    )  # fmt: skip
    return {(login, seq): (party, named.get(identity(*party.split("/")))) for login, seq, party in rows}


@as_system()
def patients(keys):
    """key -> id of each Patient."""
    keys = sorted({key for key in keys if key is not None})
    return dict(execute("SELECT identity, id FROM resource WHERE identity = ANY(%s)", (keys,))) if keys else {}


class Context(NamedTuple):
    """What the rows of a page need beside themselves."""

    agents: dict
    organizations: dict
    patients: dict
    labels: dict  # reference -> labels
    oversight: bool  # may the query be told?
    base: str


def context(records, labels, oversight, base):
    """The Context of some records."""
    return Context(
        people([r.user for r in records]), organizations([(r.user, moment(r), r.seq) for r in records]),
        patients([r.patient for r in records]), labels, oversight, base,
    )  # fmt: skip


def moment(record):
    return EPOCH + timedelta(microseconds=record.at)


def agent_of(record, ctx):
    """The Agent of a record, as of its time; None when no person asked."""
    if record.user is None:
        return None
    found = ctx.agents.get(record.user) or Agent(record.user, *(None,) * 6)
    party, name = ctx.organizations.get((record.user, record.seq), (None, None))
    return found._replace(organization=party, organization_name=name)


def event(record: Record, references, ctx):
    """The AuditEvent; `references` are those of its entities that the reader may be told."""
    if record.received is not None:
        return received(record)
    meta = {"versionId": "1", "lastUpdated": instant(moment(record))}
    if record.interaction in PROFILES and record.status < FAILED:
        kind = ("Patient" if record.patient is not None else "") + PROFILES[record.interaction]
        meta["profile"] = [f"{BALP}StructureDefinition/IHE.BasicAudit.{kind}"]
    if security := labelled(references, ctx.labels):
        meta["security"] = security
    found = {"resourceType": "AuditEvent", "id": str(record.seq), "meta": meta}
    if record.interaction in GLASS:
        found |= {"type": coding(DCM, *ALERT), "subtype": [coding(DCM, *GLASS[record.interaction])]}
    else:
        found |= {"type": coding(EVENT_TYPE, "rest", "Restful Operation"),
                  "subtype": [coding(REST, code(record.interaction))]}  # fmt: skip
    found |= {"action": action(record.interaction), "recorded": instant(moment(record)),
              "outcome": outcome(record.status)}  # fmt: skip
    if record.status >= FAILED:
        found["outcomeDesc"] = f"HTTP status {record.status}"
    found["agent"] = agents(record, ctx)
    found["source"] = {"site": ctx.base, "observer": {"display": "fhirserver"},
                       "type": [coding(SOURCE_TYPE, "4", "Application Server")]}  # fmt: skip
    found["entity"] = entities(record, references, ctx)
    return found


def coding(system, code, display=None):
    return {"system": system, "code": code} | ({"display": display} if display else {})


def agents(record, ctx):
    """The client, this server, the person, and the organization for which the person acted."""
    person = agent_of(record, ctx)
    asks, answers = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
    if record.interaction in READS:
        asks, answers = answers, asks
    found = [
        {"type": concept(DCM, *asks), "who": {"identifier": {"system": CLIENT, "value": record.client},
                                              "display": record.client}, "requestor": person is None},
        {"type": concept(DCM, *answers), "who": {"display": "fhirserver"}, "requestor": False},
    ]  # fmt: skip
    purpose = [concept(REASON, record.purpose)] if record.purpose else []
    if person is None:
        if purpose:
            found[0]["purposeOfUse"] = purpose
        return found
    user = {"type": concept(PARTICIPATION, "IRCP", "information recipient"), "who": person.who, "requestor": True}
    if person.profession:
        user["role"] = [concept(PROFESSION, person.profession)]
    if purpose:
        user["purposeOfUse"] = purpose
    found.append(user)
    if person.organization:
        who = {"reference": person.organization}
        if person.organization_name:
            who["display"] = person.organization_name
        found.append({"type": concept(ROLE_CLASS, "PROV", "healthcare provider"), "who": who, "requestor": False})
    return found


def concept(*given):
    return {"coding": [coding(*given)]}


def entities(record, references, ctx):
    """What was shown or changed, the patient, the query, the request."""
    patient = ctx.patients.get(record.patient)
    about = f"Patient/{patient}" if patient else None
    found = [
        {"what": {"reference": reference}, "type": coding(ENTITY_TYPE, "2", "System Object"),
         "role": coding(OBJECT_ROLE, "4", "Domain Resource")}
        for reference in references if reference != about
    ]  # fmt: skip
    if about:
        found.append({"what": {"reference": about}, "type": coding(ENTITY_TYPE, "1", "Person"),
                      "role": coding(OBJECT_ROLE, "1", "Patient")})  # fmt: skip
    if record.query is not None and ctx.oversight:
        asked = f"{type_name(record.type)}?{record.query}" if record.type is not None else f"?{record.query}"
        found.append({"type": coding(ENTITY_TYPE, "2", "System Object"), "role": coding(OBJECT_ROLE, "24", "Query"),
                      "query": base64.b64encode(asked.encode()).decode()})  # fmt: skip
    found.append({"what": {"identifier": {"value": str(record.request)}},
                  "type": coding(f"{BALP}CodeSystem/BasicAuditEntityType", "XrequestId")})  # fmt: skip
    return found


def labelled(references, labels):
    """The security labels of what it is about: a trace of a secret is one."""
    bits = 0
    for reference in references:
        bits |= labels.get(reference, 0)
    return codings(bits)


def tde(tree):
    """The same event in the form of ANS, Traçabilité d'événements: who asks and through what, and a period."""
    agents = sorted((a for a in tree.get("agent") or () if a.get("who")), key=lambda a: not a.get("requestor"))
    return {
        **tree,
        "meta": {**tree["meta"], "profile": [TDE]},
        **({"subtype": tree["subtype"][:1]} if tree.get("subtype") else {}),
        "period": {"start": tree["recorded"], "end": tree["recorded"], **(tree.get("period") or {})},
        "agent": agents[:2],
    }


def received(record):
    """What was sent, with the id and the time that it got here, and the mark that it came from elsewhere."""
    given = parse(record.received.encode())
    meta = {**(given.pop("meta", None) or {}), "versionId": "1", "lastUpdated": instant(moment(record))}
    meta["tag"] = [*(t for t in meta.get("tag") or () if t.get("system") != RECEIVED["system"]), RECEIVED]
    given.pop("id", None)
    return {"resourceType": given.pop("resourceType"), "id": str(record.seq), "meta": meta, **given}
