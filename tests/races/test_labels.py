"""A whole is written while a part of it is written: whoever is first, the whole has the labels of the part."""

import threading

import pytest
from django.db import connections

from accessctl.labels import CONFIDENTIALITY
from records.access import Everything
from records.database import atomic, execute
from records.keys import identity
from records.resources.labels import codings
from records.resources.store import Write, lock, write
from tests.api import Api

pytestmark = pytest.mark.xdist_group("races")

PART = "00000000-0000-4000-8000-00000000000c"
WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


def whole(type, part, patient):
    subject = {"subject": {"reference": f"Patient/{patient}"}}
    if type == "List":
        return {"resourceType": type, "status": "current", "mode": "working", **subject,
                "entry": [{"item": {"reference": part}}]}  # fmt: skip
    return {"resourceType": type, "status": "active", **subject, "medicationReference": {"reference": part}}


def put(type, id, resource):
    """What a write does, in the transaction that the caller holds."""
    current = lock([(type, id)], Everything(), "update").get((type, id))
    return write([Write("PUT", type, id, {**resource, "id": id}, current)], Everything())


def together(first, second):
    """`first` has written and not committed when `second` begins; it commits when that waits, or is done."""
    done, failed = threading.Event(), []

    def run():
        try:
            with atomic():
                second()
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()
            connections.close_all()

    thread = threading.Thread(target=run)
    with atomic():
        first()
        thread.start()
        while not (done.is_set() or execute(WAITING)[0][0]):
            pass
    thread.join(30)
    assert done.is_set() and not failed, failed


KNOWN = {  # what is there of the part before
    "nothing": lambda system, type, plain: None,
    "a version without the label": lambda system, type, plain: system.put(f"{type}/{PART}", plain),
    "what was deleted": lambda system, type, plain: (
        system.put(f"{type}/{PART}", plain), system.delete(f"{type}/{PART}")
    ),
}  # fmt: skip


@pytest.mark.parametrize("before", KNOWN)
@pytest.mark.parametrize("of, type", [("List", "Observation"), ("MedicationStatement", "Medication")])
@pytest.mark.parametrize("part_first", [True, False], ids=["part first", "whole first"])
def test_a_whole_and_its_part_at_once(database, of, type, before, part_first):
    system = Api()
    patient = system.post("Patient", {"resourceType": "Patient"}).headers["Location"].split("/")[-3]
    plain = {"resourceType": type, "id": PART, "code": {"text": "x"}}
    if type == "Observation":
        plain |= {"status": "final", "subject": {"reference": f"Patient/{patient}"}}
    KNOWN[before](system, type, plain)
    high = {**plain, "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}
    steps = [lambda: put(type, PART, high), lambda: put(of, "whole", whole(of, f"{type}/{PART}", patient))]
    together(*(steps if part_first else reversed(steps)))
    [(bits,)] = execute("SELECT labels FROM resource WHERE identity = %s", (identity(of, "whole"),))
    assert [c["code"] for c in codings(bits)] == ["R"]


def test_a_part_that_comes_back_has_its_label_still(database):
    system = Api()
    patient = system.post("Patient", {"resourceType": "Patient"}).headers["Location"].split("/")[-3]
    high = {"resourceType": "Observation", "id": PART, "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"Patient/{patient}"},
            "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}  # fmt: skip
    system.put(f"Observation/{PART}", high)
    system.delete(f"Observation/{PART}")
    assert system.put("List/whole", {**whole("List", f"Observation/{PART}", patient), "id": "whole"}).status_code == 201
    assert system.put(f"Observation/{PART}", high).status_code == 201
    [(bits,)] = execute("SELECT labels FROM resource WHERE identity = %s", (identity("List", "whole"),))
    assert [c["code"] for c in codings(bits)] == ["R"]
