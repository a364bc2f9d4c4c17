"""A qualified INS is one Patient; who feeds a record is told its id and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from accessctl.policy import policy
from records.database import execute
from records.population import people
from records.resources.rules.patient import key_of
from tests.api import Api

from .people import api, observation, person

SYSTEM = "urn:oid:1.2.250.1.213.1.4.10"


def patient(number=1, status="QUAL", kind="INS-NIR-TEST", use="official"):
    """A Patient with an INS for tests."""
    plain = f"2800175{number:06d}"
    found = next(
        e["resource"]
        for b in people(1, 1, method="POST")
        for e in b["entry"]
        if e["resource"]["resourceType"] == "Patient"
    )
    found["extension"][0]["extension"][0]["valueCoding"]["code"] = status
    ins = found["identifier"][0]
    ins["value"], ins["use"] = f"{plain}{key_of(plain):02d}", use
    ins["type"]["coding"][0]["code"] = kind
    del found["generalPractitioner"], found["managingOrganization"]
    return found


def test_the_second_create_finds_the_first(world):
    made = world.system.post("Patient", patient())
    assert made.status_code == 201
    id = made.tree["id"]
    for who in (world.doctor, world.stranger, world.system):
        answer = who.post("Patient", patient(), prefer="return=representation")
        assert (answer.status_code, answer.content) == (200, b""), answer.content
        assert answer.headers["Location"].endswith(f"/fhir/Patient/{id}")
        assert not {"ETag", "Last-Modified"} & set(answer.headers)
    assert world.doctor.get(f"Patient/{id}").status_code == 404
    assert execute('SELECT "user", status, entities FROM audit ORDER BY seq DESC OFFSET 2 LIMIT 1') == [
        ("stranger", 200, f"Patient/{id}")
    ]


def test_in_a_transaction_references_lead_to_it(world):
    id = world.system.post("Patient", patient()).tree["id"]
    urn = "urn:uuid:00000000-0000-4000-8000-000000000001"
    entries = [
        {"fullUrl": urn, "resource": patient(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": {**observation("x"), "subject": {"reference": urn}}, "request": {"method": "POST",
                                                                                     "url": "Observation"}},
    ]  # fmt: skip
    answer = world.doctor.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.content
    first, second = answer.tree["entry"]
    assert first["response"] == {"status": "200 OK", "location": f"Patient/{id}"} and "resource" not in first
    row = second["response"]["location"].split("/")[1]
    assert world.system.get(f"Observation/{row}").tree["subject"]["reference"] == f"Patient/{id}"


@pytest.mark.parametrize(
    "other", [{"status": "PROV"}, {"status": "RECUP"}, {"kind": "NH"}, {"use": "old"}, {"number": 2}]
)
def test_what_is_not_the_same_qualified_ins_is_another_patient(world, other):
    first = world.system.post("Patient", patient()).tree["id"]
    answer = world.system.post("Patient", patient(**other))
    assert answer.status_code == 201 and answer.tree["id"] != first


def test_no_update_makes_a_second_one(world):
    first = world.system.post("Patient", patient()).tree["id"]
    second = world.system.post("Patient", patient(2)).tree["id"]
    body = {**patient(), "id": second}
    assert world.system.put(f"Patient/{second}", body).status_code == 409
    assert world.system.put("Patient/named", {**patient(), "id": "named"}).status_code == 409
    assert world.system.put(f"Patient/{first}", {**patient(), "id": first, "active": False}).status_code == 200
    assert world.system.put(f"Patient/{first}", {**patient(3), "id": first}).status_code == 200
    assert world.system.put(f"Patient/{second}", body).status_code == 200
    world.system.delete(f"Patient/{second}")
    assert world.system.post("Patient", patient()).status_code == 201


def test_concurrent_creates_make_one(world):
    barrier = threading.Barrier(8)

    def create(_):
        mine = Api(token=world.system.token)
        barrier.wait()
        return mine.post("Patient", patient())

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(create, range(8)))
    assert sorted(a.status_code for a in answers) == [200] * 7 + [201]
    assert len({a.headers["Location"].partition("/Patient/")[2].split("/")[0] for a in answers}) == 1


def test_how_often(world, monkeypatch):
    monkeypatch.setitem(policy().insPerMinute, "person", 3)
    world.system.post("Patient", patient())
    answers = []
    while len(answers) < 12 and answers[-1:] != [429]:  # a minute may end in between
        answers.append(world.doctor.post("Patient", patient()).status_code)
    assert answers[-1] == 429 and set(answers[:-1]) == {200} and 3 <= len(answers) - 1 <= 6
    assert world.stranger.post("Patient", patient()).status_code == 200


def test_the_tables_are_closed_to_the_application(world):
    for text in ("SELECT * FROM ins", "DELETE FROM ins", "SELECT * FROM ins_resolution"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(text)


def test_who_may_create_no_patient_learns_nothing(world):
    world.system.post("Patient", patient())
    person("mia", "patient", patient="mia")
    for who in (api("mia"), world.clerk, api("doctor", scope="user/Patient.rs")):
        answer = who.post("Patient", patient())
        assert answer.status_code == 403 and "Location" not in answer.headers
