"""X-Provenance: kept with what it is about, in one transaction; made by the server where a proxy writes."""

import json

import pytest

from accessctl.labels import VISIBILITY
from records.database import execute

from .people import consent, observation

AGENT = {"who": {"display": "Dr Far"}}


def said(**more):
    return json.dumps({"resourceType": "Provenance", "recorded": "2026-01-02T03:04:05Z", "agent": [AGENT], **more})


def kept(world):
    bundle = world.system.get("Provenance?_sort=_lastUpdated")
    return [e["resource"] for e in bundle.tree.get("entry", ())]


@pytest.mark.parametrize("who", ["system", "doctor"])
def test_it_is_kept_with_its_target(world, who):
    api = getattr(world, who)
    made = api.post("Observation", observation(world.a), x_provenance=said())
    assert made.status_code == 201, made.content
    id = made.headers["Location"].split("/")[-3]
    (found,) = kept(world)
    assert found["target"] == [{"reference": f"Observation/{id}/_history/1"}]
    assert found["recorded"] == "2026-01-02T03:04:05Z" and found["agent"] == [AGENT]
    assert any(f"Provenance/{found['id']}" in e for (e,) in execute("SELECT entities FROM audit"))


def test_each_way_of_writing(world):
    row = world.observation()
    body = {**observation(world.a), "id": row, "note": [{"text": "x"}]}
    assert world.system.put(f"Observation/{row}", body, x_provenance=said()).status_code == 200
    patch = [{"op": "add", "path": "/note/-", "value": {"text": "y"}}]
    world.system.patch(f"Observation/{row}", patch, type="application/json-patch+json", x_provenance=said())
    world.system.delete(f"Observation/{row}", x_provenance=said())
    entries = [{"resource": observation(world.a), "request": {"method": "POST", "url": "Observation"}}] * 2
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert world.system.post("", bundle, x_provenance=said()).status_code == 200
    targets = [[t["reference"] for t in each["target"]] for each in kept(world)]
    assert targets[:3] == [[f"Observation/{row}/_history/{n}"] for n in (2, 3, 4)] and len(targets[3]) == 2
    world.system.get(f"Patient/{world.a}", x_provenance=said())
    assert len(kept(world)) == 4


@pytest.mark.parametrize(
    ("text", "status"),
    [("{", 400), ('{"resourceType": "Patient"}', 400), (said(target=[{"reference": "Patient/1"}]), 400),
     (said(agent=[]), 400), (said(activity=1), 400), (said(agent=[{**AGENT, "onBehalfOf": "x"}]), 400),
     (said(agent="x"), 400), (said(agent=[{**AGENT, "onBehalfOf": {"reference": []}}]), 400)],
)  # fmt: skip
def test_what_is_none_refuses_the_write(world, text, status):
    answer = world.system.post("Observation", observation(world.a), x_provenance=text)
    assert answer.status_code == status and answer.tree["resourceType"] == "OperationOutcome"
    assert world.system.get("Observation?_summary=count").tree["total"] == 0


def test_without_the_right_to_write_it_nothing_is_written(world):
    from tests.api import Api

    narrow = Api("system/Observation.c", name="narrow")
    assert narrow.post("Observation", observation(world.a), x_provenance=said()).status_code == 403
    assert world.system.get("Observation?_summary=count").tree["total"] == 0


def test_not_for_a_batch(world):
    entry = {"resource": observation(world.a), "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    assert world.system.post("", bundle, x_provenance=said()).status_code == 400
    assert execute("SELECT interaction, status FROM audit ORDER BY seq DESC LIMIT 1") == [("transaction", 400)]


def test_a_proxy_writes_on_behalf_of_somebody(world):
    """There always is one that says so."""
    assert world.proxy.post("Consent", consent(world.a, to="Practitioner/dr-doctor")).status_code == 201
    (found,) = kept(world)
    agent = found["agent"][0]
    assert agent["onBehalfOf"] == {"reference": f"Patient/{world.a}"} and agent["who"]["identifier"]["value"] == "paul"
    mask = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [
        {"system": VISIBILITY, "code": "MASQUE_PS"}]}}]}  # fmt: skip
    row = world.observation()
    answer = world.proxy.post(f"Observation/{row}/$meta-add", mask, x_provenance=said())
    assert answer.status_code == 422 and "onBehalfOf" in answer.tree["issue"][0]["expression"][0]
    behalf = said(agent=[{**AGENT, "onBehalfOf": {"reference": f"Patient/{world.a}"}}])
    assert world.proxy.post(f"Observation/{row}/$meta-add", mask, x_provenance=behalf).status_code == 200
    assert len(kept(world)) == 2
    assert world.patient.post("Consent", consent(world.a, to="Practitioner/nurse")).status_code == 201
    assert len(kept(world)) == 2


def test_also_of_what_lies_in_the_own_record_too(world):
    """Whichever of the two is named first."""
    from accessctl.people import Person, Proxy

    Proxy.objects.create(patient=world.key, person=Person.objects.get(user__username="bob"), kind="mandated")
    for number, (first, second) in enumerate(((world.a, world.b), (world.b, world.a)), 1):
        both = observation(first, performer=[{"reference": f"Patient/{second}"}])
        assert world.other.post("Observation", both).status_code == 201
        assert len(kept(world)) == number
    id = world.observation(world.b, by=world.other)
    assert len(kept(world)) == 2
    assert world.other.delete(f"Observation/{id}").status_code == 204 and len(kept(world)) == 2
    assert {a["onBehalfOf"]["reference"] for each in kept(world) for a in each["agent"]} == {f"Patient/{world.a}"}
