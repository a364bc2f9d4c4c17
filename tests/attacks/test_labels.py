"""Attacks by way of labels: what rises to a whole tells its writer nothing of a part that is hidden. (A03)"""

from accessctl.labels import CONFIDENTIALITY, SENSITIVITY, VISIBILITY
from records.database import execute
from records.keys import identity
from records.resources.labels import codings
from tests.accessctl.people import observation

from .test_access import ABSENT
from .test_binaries import MASK, binary, document

HIV = [(SENSITIVITY, "HIV")]
RAISED = {"resourceType": "Parameters", "parameter": [
    {"name": "meta", "valueMeta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}]}  # fmt: skip


def made(who, tree):
    answer = who.post("DocumentReference", tree)
    assert answer.status_code == 201, answer.content
    return answer.tree["id"] if answer.tree else answer.headers["Location"].split("/")[-3]


def labels(world, id):
    """Of the row, and of what anybody is shown."""
    [(bits,)] = execute("SELECT labels FROM resource WHERE identity = %s", (identity("DocumentReference", id),))
    security = world.system.get(f"DocumentReference/{id}").tree["meta"].get("security", ())
    assert {c["code"] for c in security} <= {c["code"] for c in codings(bits)}
    return {c["code"] for c in codings(bits)}


def about(world, reference):
    if reference.startswith("Binary/"):
        return document(world.a, reference.removeprefix("Binary/"))
    return document(world.a, "x", context={"related": [{"reference": reference}]})


def test_A03_no_label_tells_of_what_is_hidden(world):
    """An id that is used and one that is free look alike to who may not read, now and when a label comes later."""
    world.consents(to="Practitioner/dr-doctor")
    secret, plain = world.observation(security=HIV), world.observation(world.b)
    file = world.made(binary(world.a, meta={"security": [{"system": SENSITIVITY, "code": "HIV"}]}))
    hidden = (f"Observation/{secret}", f"Observation/{plain}", f"Binary/{file}")
    free = (f"Observation/{ABSENT}", f"Binary/{ABSENT}")
    for who in (world.doctor, world.stranger, world.nurse):
        for reference in hidden:
            assert who.get(reference).status_code == 404
        wholes = [made(who, about(world, reference)) for reference in (*hidden, *free)]
        assert [labels(world, id) for id in wholes] == [set()] * 5
        assert world.system.post(f"Observation/{plain}/$meta-add", RAISED).status_code == 200
        assert [labels(world, id) for id in wholes] == [set()] * 5
        assert world.system.post(f"Observation/{plain}/$meta-delete", RAISED).status_code == 200
    wholes = [made(world.stranger, about(world, reference)) for reference in free]
    for type, resource in (("Observation", observation(world.a, HIV)), ("Binary", binary(world.a))):
        high = resource | {"id": ABSENT, "meta": {"security": [{"system": SENSITIVITY, "code": "HIV"}]}}
        assert world.system.put(f"{type}/{ABSENT}", high).status_code == 201
    assert [labels(world, id) for id in wholes] == [set()] * 2


def test_what_a_person_sees_or_made_is_labelled_on(world):
    """Also what was given to a record that one may not read."""
    world.consents(to="Practitioner/dr-doctor", securityLabel=[{"system": SENSITIVITY, "code": "HIV"}])
    secret = world.observation(security=HIV)
    assert world.doctor.get(f"Observation/{secret}").status_code == 200
    assert labels(world, made(world.doctor, about(world, f"Observation/{secret}"))) == {"HIV"}
    own = world.observation(security=HIV, by=world.stranger)
    assert labels(world, made(world.stranger, about(world, f"Observation/{own}"))) == {"HIV"}
    assert labels(world, made(world.system, about(world, f"Observation/{secret}"))) == {"HIV"}


def test_A44_who_sees_no_part_takes_no_label_from_the_whole(world):
    """A part is one still when the whole is written by who does not see it, and when it comes only later."""
    hidden = world.observation(security=[*HIV, (VISIBILITY, "INVISIBLE_PATIENT")])
    tree = document(world.a, "x", context={"related": [
        {"reference": f"Observation/{hidden}"}, {"reference": f"Observation/{ABSENT}"}]})  # fmt: skip
    about = made(world.system, tree)
    assert labels(world, about) == {"HIV"}
    assert world.patient.get(f"Observation/{hidden}").status_code == 404
    masked = {**tree, "id": about, "meta": {"security": [MASK]}}
    assert world.patient.put(f"DocumentReference/{about}", masked).status_code == 200
    assert labels(world, about) == {"HIV", "MASQUE_PS"}
    assert world.system.post(f"Observation/{hidden}/$meta-add", RAISED).status_code == 200
    assert labels(world, about) == {"HIV", "MASQUE_PS", "R"}
    late = observation(world.a, [(SENSITIVITY, "PSY")]) | {"id": ABSENT}
    assert world.system.put(f"Observation/{ABSENT}", late).status_code == 201
    assert labels(world, about) == {"HIV", "MASQUE_PS", "R", "PSY"}
