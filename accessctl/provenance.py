"""X-Provenance: who really said what is written, kept as a Provenance of it in the same transaction. (provenance.html)

The server sets the targets: every version that the interaction wrote. Where somebody writes on behalf of a patient, or
a service on behalf of a person, there always is one: without the header the server makes it; with it, an agent must
name whom it acts for.
"""

from django.dispatch import receiver

from records import errors
from records.database import as_system, execute
from records.formats.json import parse
from records.interactions.interaction import Touched
from records.resources import store
from records.resources.intake import refusal
from records.resources.validation import check
from records.signals import resources_written

TYPE = "Provenance"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
LOGIN, CLIENT = "urn:fhirserver:login", "urn:fhirserver:client"
HEADER = "X-Provenance"
OURS = {"target": [{"display": "what is written"}], "recorded": "2000-01-01T00:00:00Z"}  # as it will have, for a check


@receiver(resources_written)
def resources_have_an_origin(batch, access, **_):
    """Within the transaction that writes, after everything else was judged."""
    written = [d for d in batch if d.type != TYPE]
    if not written:
        return
    if getattr(access, "actor", None) is None:
        return  # the system's own
    given, represented = access.provenance, whom(written, access.actor)
    if given is None and not represented and not access.actor.service:
        return
    if given is None:
        resource = made(access.actor, represented)
    else:
        access.provenance = None  # what is written below is not itself said by somebody
        resource = understood(given, represented, access.actor)
    resource["target"] = [{"reference": f"{d.type}/{d.id}/_history/{d.version}"} for d in written]
    resource.setdefault("recorded", store.instant(written[0].updated))
    done = store.write([store.Write("POST", TYPE, None, resource)], access)
    access.note(*(Touched(TYPE, d.id, d.version, d.alone) for d in done))
    with as_system():  # as of any write: it is judged as stored, by who may make it
        refused = given is not None and store.hidden_after(done, access, lambda d: "create")
    if refused:
        raise errors.Forbidden(f"The access given does not allow this create of {TYPE}.")


def understood(text, represented, actor):
    """The Provenance of the header, without target."""
    resource = parse(text.encode())
    if resource.get("resourceType") != TYPE:
        raise errors.InvalidStructure(f"{HEADER} holds a Provenance.", expression="Provenance.resourceType")
    if "target" in resource:
        raise errors.InvalidStructure(f"The server sets the target of what {HEADER} says.",
                                      expression="Provenance.target")  # fmt: skip
    if wrong := [i for i in check({**OURS, **resource}, TYPE) if i.severity in ("error", "fatal")]:
        raise refusal(wrong)
    named = {(each.get("onBehalfOf") or {}).get("reference") for each in resource["agent"]}
    if missing := [f"Patient/{id}" for id in represented if f"Patient/{id}" not in named]:
        raise errors.Invalid(f"This is written on behalf of {', '.join(missing)}: an agent must say so.",
                             expression="Provenance.agent.onBehalfOf")  # fmt: skip
    if actor.service and not any("onBehalfOf" in each for each in resource["agent"]):
        raise errors.Invalid(f"A service writes this on behalf of {actor.user}: an agent must say so.",
                             expression="Provenance.agent.onBehalfOf")  # fmt: skip
    resource.pop("id", None)
    return resource


def whom(written, actor):
    """Ids of the patients into whose records a proxy writes."""
    if actor.person is None or actor.person.kind != "patient":
        return []
    keys = {d.patient for d in written if d.patient is not None} - {actor.person.patient}
    several = [d.pk for d in written if d.shared]  # of these `d.patient` is the first alone
    if not keys and not several:
        return []
    with as_system():
        rows = execute(
            "SELECT r.id FROM resource r WHERE r.identity IN (SELECT unnest(%s::bigint[]) UNION"
            " SELECT c.patient FROM compartment c WHERE c.resource = ANY(%s)) AND r.identity IS DISTINCT FROM %s",
            (sorted(keys), several, actor.person.patient),
        )
    return sorted(id for (id,) in rows)


def made(actor, represented):
    """What the server knows itself: the login acts for them, and a service for the login."""
    login = {"identifier": {"system": LOGIN, "value": actor.user}}
    agents = [agent("author", login, {"reference": f"Patient/{id}"}) for id in represented]
    if actor.service:
        agents.append(agent("assembler", {"identifier": {"system": CLIENT, "value": actor.client}}, login))
    return {"resourceType": TYPE, "agent": agents}


def agent(part, who, behalf):
    return {"type": {"coding": [{"system": PARTICIPANT, "code": part}]}, "who": who, "onBehalfOf": behalf}
