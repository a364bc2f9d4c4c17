"""Patient/[id]/$newest: the newest of some types in a record, as its summary and its timeline show them."""

from datetime import date, timedelta

import pytest

from accessctl.labels import VISIBILITY
from tests.accessctl.people import World

MASKED = {"meta": {"security": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}}


def visit(patient, day, **more):
    return {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"}, "period": {"start": day}, **more}  # fmt: skip


def vaccine(patient, day, **more):
    return {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "tetanus"},
            "patient": {"reference": f"Patient/{patient}"}, "occurrenceDateTime": day, **more}  # fmt: skip


@pytest.fixture
def world(database):
    """A record with seven visits, a day apart, and three vaccines between them."""
    world = World()
    days = [(date(2020, 1, 1) + timedelta(days=n)).isoformat() for n in range(7)]
    world.visits = [world.made(visit(world.a, day)) for day in days][::-1]
    world.vaccines = [world.made(vaccine(world.a, f"{day}T12:00:00Z")) for day in days[:3]][::-1]
    world.made(visit(world.b, "2021-01-01"))
    return world


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [e["resource"]["id"] for e in answer.tree.get("entry", ()) if e["search"]["mode"] == "match"]


def pages(api, path):
    found = []
    while path:
        answer = api.get(path)
        found.append(ids(answer))
        path = next((link["url"] for link in answer.tree["link"] if link["relation"] == "next"), None)
        path = path and path.partition("/fhir/")[2]
    return found


def test_all_in_clinical_order_in_pages_of_any_size(world):
    whole = [*world.visits[:4]]
    for seen, given in zip(world.visits[4:], world.vaccines, strict=True):
        whole += [given, seen]
    for size in (1, 2, 3, 5, 10, 50):
        found = pages(world.patient, f"Patient/{world.a}/$newest?_type=Encounter,Immunization&_count={size}")
        assert [id for page in found for id in page] == whole, size
        assert {len(page) for page in found[:-1]} <= {size}


def test_so_many_of_each_type(world):
    path = f"Patient/{world.a}/$newest?_type=Encounter,Immunization"
    assert set(ids(world.patient.get(f"{path}&max=2"))) == {*world.visits[:2], *world.vaccines[:2]}
    found = ids(world.patient.get(f"{path}&max=Encounter|1&max=200"))
    assert set(found) == {world.visits[0], *world.vaccines}, "what is said of one counts more than what is of all"
    assert not [x for x in world.patient.get(f"{path}&max=1").tree["link"] if x["relation"] == "next"]


def test_what_is_hidden_is_as_what_is_not_there(world):
    world.consents(to="Practitioner/dr-doctor")
    path = f"Patient/{world.a}/$newest?_type=Encounter,Immunization&max=2"
    before = world.doctor.get(path)
    masked = world.made({**visit(world.a, "2024-01-01"), **MASKED})
    after = world.doctor.get(path)
    assert set(ids(before)) == {*world.visits[:2], *world.vaccines[:2]}
    assert after.content == before.content and masked in ids(world.patient.get(path))
    assert ids(world.stranger.get(path)) == ids(world.other.get(path)) == []
    assert ids(world.doctor.get(f"Patient/{world.a}/$newest?_type=Consent")) == [], "not for professionals"


def test_what_several_patients_share_is_in_each_record(world):
    both = world.made({
        "resourceType": "Observation", "status": "final", "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{world.a}"}, "performer": [{"reference": f"Patient/{world.b}"}],
        "effectiveDateTime": "2022-01-01",
    })  # fmt: skip
    for patient in (world.a, world.b):
        assert ids(world.system.get(f"Patient/{patient}/$newest?_type=Observation,Encounter&_count=1")) == [both]
    assert ids(world.patient.get(f"Patient/{world.a}/$newest?_type=Observation")) == [both]


@pytest.mark.parametrize(
    "query", ["", "?max=2", "?_type=Nothing", "?_type=Encounter&max=0", "?_type=Encounter&max=201",
              "?_type=Encounter&max=Immunization|2", "?_type=Encounter&max=x", "?_type=Encounter&_page=x"],
)  # fmt: skip
def test_refused(world, query):
    assert world.patient.get(f"Patient/{world.a}/$newest{query}").status_code == 400
