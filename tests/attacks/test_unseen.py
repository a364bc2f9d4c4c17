"""Attacks on the access history: who looks at a record leaves a line that its patient reads, whatever the way. (A76)"""

import pytest

from accessctl.people import Block
from records.database import execute
from tests.accessctl.people import observation
from tests.api import indexed

from .test_wall import user

CODE = {"coding": [{"system": "http://loinc.org", "code": "1"}]}


def told(world, who="doctor"):
    """(patient, interaction, entities) of the last request of that person."""
    rows = execute(
        "SELECT patient, entities FROM audit WHERE request = (SELECT request FROM audit WHERE \"user\" = %s"
        " ORDER BY at DESC LIMIT 1)", (who,),
    )  # fmt: skip
    return dict(rows)


@pytest.fixture
def shared(world):
    """A row of A's record that names B too; both consent to the doctor."""
    world.consents()
    world.consents(by=world.other, patient=world.b)
    id = world.observation(performer=[{"reference": f"Patient/{world.b}"}], code=CODE)
    indexed()
    return id


def other(world):
    from records.keys import identity

    return identity("Patient", world.b)


EXITS = ("Observation/ID", "Observation/ID/_history/1", "Observation/ID/_history", "Observation?_id=ID", "Observation",
         "Observation?status=final", "Patient/A/$everything", "Patient/B/$everything", "Patient/B/Observation",
         "Patient/A/$newest?_type=Observation", "Observation/$lastn?patient=A&code=1", "Observation/$meta",
         "Observation/ID/$meta", "Observation/ID/_history?_summary=count", "Observation?_summary=count",
         "Observation?_count=0&_total=accurate", "Observation?_id=ID&_summary=count", "?_id=ID&_summary=count",
         "Observation?code=1&_summary=count", "Observation?patient=A&_summary=count&_sort=-date",
         "Patient?_id=A&_revinclude=Observation:subject", "Observation/_history", "?_type=Observation,Condition",
         "Observation?_sort=-date&_count=1", "Observation/ID?_elements=status")  # fmt: skip


@pytest.mark.parametrize("path", EXITS)
def test_what_is_about_two_is_told_to_both(world, shared, path):
    """Else whoever is named second in a row, or the subject of it, would not learn who reads."""
    answer = world.doctor.get(path.replace("ID", shared).replace("/A/", f"/{world.a}/").replace("=A", f"={world.a}")
                              .replace("/B/", f"/{world.b}/"))  # fmt: skip
    assert answer.status_code == 200, answer.content
    found = told(world)
    for patient in (world.key, other(world)):
        assert f"Observation/{shared}" in found[patient].split(), path
    for who, id in ((world.patient, world.a), (world.other, world.b)):
        history = who.get(f"Patient/{id}/$access-history")
        assert f"Observation/{shared}" in history.content.decode()


def test_a_number_tells_of_its_patient(world):
    """What is counted is not shown, and told all the same: whether there is one HIV test is the HIV test."""
    world.consents(to="Practitioner/dr-doctor")
    for _ in range(22):
        world.observation(code=CODE)
    world.observation(code={"text": "rare"}, status="amended")
    indexed()
    for path, found in (
        (f"Observation?patient={world.a}&code=1&_summary=count", 22), (f"Observation?patient={world.a}&_count=0", 23),
        (f"Patient/{world.a}/Observation?_summary=count", 23), ("Observation?status=amended&_summary=count", 1),
        (f"Patient?_id={world.a}&_has:Observation:patient:code=1&_summary=count", 1),
        (f"Observation?subject=Patient/{world.a}&_summary=count&_total=estimate", 23),
    ):  # fmt: skip
        answer = world.doctor.get(path)
        assert answer.tree["total"] == found and "entry" not in answer.tree, path
        assert set(told(world)) == {world.key}, path
    # what is not found, or hidden, is about nobody
    for who, name in ((world.stranger, "stranger"), (world.doctor, "doctor")):
        code = 1 if who is world.stranger else 2
        assert who.get(f"Observation?patient={world.a}&code={code}&_summary=count").tree["total"] == 0
        assert set(told(world, name)) == {None}


def test_what_is_written_about_two_is_told_to_both(world, shared):
    row = world.doctor.get(f"Observation/{shared}").tree
    steps = (
        lambda: world.system.put(f"Observation/{shared}", row | {"issued": "2026-01-01T00:00:00Z"}),
        lambda: world.system.delete(f"Observation/{shared}"),
        lambda: world.system.post("Observation", observation(world.a, performer=[{"reference": f"Patient/{world.b}"}])),
    )
    for step in steps:
        before = execute("SELECT max(at) FROM audit")[0][0]
        assert step().status_code in (200, 201, 204)
        [*rows] = execute("SELECT patient FROM audit WHERE at > %s", (before,))
        assert {(world.key,), (other(world),)} <= set(rows)


def test_a_row_of_one_is_told_to_that_one_alone(world, shared):
    row = world.observation(world.b)
    world.doctor.get(f"Observation/{row}")
    assert told(world) == {other(world): f"Observation/{row}"}
    Block.objects.create(patient=world.key, person_id=user("doctor"))
    assert world.doctor.get(f"Observation/{shared}").status_code == 404
    assert told(world) == {None: f"Observation/{shared}"}
