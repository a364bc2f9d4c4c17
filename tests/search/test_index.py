"""The queue and the index rows: made once, replaced, removed; a poison resource stands alone."""

import pytest

from records import keys
from records.access import Everything
from records.database import execute
from records.indexing import extract as extraction
from records.indexing.extract import CannotIndex, extract
from records.indexing.index import Indexed, backlog, catch_up, index_pending, replace
from records.indexing.rows import TABLES
from records.resources.store import Write, lock, write
from records.search import search, select

from .conftest import put

pytestmark = pytest.mark.usefixtures("store")
PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:s", "value": "1"}], "gender": "male"}
BLOOD_PRESSURE = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9", "display": "Blood pressure"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2020-01-01",
}


def stored(*resources, method="PUT"):
    """Written, not indexed."""
    current = lock([(r["resourceType"], r["id"]) for r in resources], Everything(), "update")
    return write(
        [Write(method, r["resourceType"], r["id"], r, current.get((r["resourceType"], r["id"]))) for r in resources],
        Everything(),
    )


def snapshot():
    return {table: sorted(execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def ids(query):
    type, _, text = query.partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in text.split("&")]
    return sorted(row.id for row in search(type, pairs, Everything()).rows)


def test_a_write_is_found_after_it_is_indexed_and_its_identifier_at_once():
    stored(PATIENT)
    assert ids("Patient?identifier=urn:s|1") == ["p"]
    assert [s.id for s in select("Patient", [("identifier", "1")], Everything())] == ["p"]
    assert ids("Patient?gender=male") == []
    assert backlog(["Patient"]) == 1
    assert catch_up(["Patient"], None, 1000) == 0
    assert ids("Patient?gender=male") == ["p"]
    assert index_pending() == 0


def test_catch_up_of_one_type_or_patient_leaves_the_others():
    stored(PATIENT, BLOOD_PRESSURE)
    assert catch_up(["Observation"], keys.identity("Patient", "p"), 1000) == 0
    assert ids("Observation?code=85354-9") == ["o"]
    assert backlog() == 1
    assert catch_up(["Patient"], None, 0) == 1, "no budget: it says what remains"


def test_an_update_replaces_the_rows():
    put(PATIENT, BLOOD_PRESSURE)
    changed = PATIENT | {"gender": "female", "identifier": [{"system": "urn:s", "value": "2"}]}
    stored(changed)
    assert ids("Patient?identifier=urn:s|1") == []
    assert ids("Patient?identifier=urn:s|2") == ["p"]
    index_pending()
    assert ids("Patient?gender=male") == []
    assert ids("Patient?gender=female") == ["p"]
    assert ids("Observation?patient=p") == ["o"]


def test_a_new_clinical_date_moves_the_rows():
    put(BLOOD_PRESSURE)
    put_again = BLOOD_PRESSURE | {"effectiveDateTime": "2021-06-01"}
    stored(put_again)
    index_pending()
    assert ids("Observation?code=85354-9&date=2021-06-01") == ["o"]
    assert ids("Observation?code=85354-9&date=2020") == []


def test_a_deleted_resource_leaves_no_rows():
    put(PATIENT)
    row = lock([("Patient", "p")], Everything(), "delete")["Patient", "p"]
    write([Write("DELETE", "Patient", "p", None, row)], Everything())
    assert ids("Patient?gender=male") == [], "not even before the indexer comes"
    index_pending()
    assert all(not rows for rows in snapshot().values())


def test_indexing_twice_changes_nothing():
    done = put(PATIENT, BLOOD_PRESSURE)
    before = snapshot()
    batch = [Indexed(w.pk, w.type, w.patient, w.occurred, w.resource) for w in done]
    replace(batch)
    replace(batch)
    assert snapshot() == before


def test_a_second_look_at_a_pending_write_changes_nothing():
    done = put(PATIENT)
    before = snapshot()
    execute("INSERT INTO pending (resource, type, attempts) VALUES (%s, 1, 0)", (done[0].pk,))
    assert index_pending() == 1
    assert snapshot() == before


def test_a_poison_resource_is_set_aside_with_its_reason(monkeypatch):
    sound = extraction.extract

    def poisoned(resource, type):
        if resource["id"] == "bad":
            raise CannotIndex("Patient/bad: gender: KeyError('x')")
        return sound(resource, type)

    monkeypatch.setattr("records.indexing.index.extract", poisoned)
    stored(PATIENT, PATIENT | {"id": "bad"}, PATIENT | {"id": "q"})
    assert index_pending() == 3
    assert ids("Patient?gender=male") == ["p", "q"]
    [(attempts, reason, later)] = execute("SELECT attempts, reason, retry_at > now() FROM pending")
    assert (attempts, later) == (1, True) and "gender" in reason
    assert index_pending() == 0, "it waits for its time"
    assert backlog() == 0, "nobody waits for it"
    monkeypatch.undo()
    execute("UPDATE pending SET retry_at = now() - interval '1 s'")
    assert index_pending() == 1
    assert ids("Patient?gender=male") == ["bad", "p", "q"]


def test_rows_that_the_database_refuses_are_set_aside_too(monkeypatch):
    sound = extraction.extract

    def poisoned(resource, type):
        rows = sound(resource, type)
        if resource["id"] == "bad":
            rows.string.add((1, "a\x00b", None))
        return rows

    monkeypatch.setattr("records.indexing.index.extract", poisoned)
    stored(PATIENT, PATIENT | {"id": "bad"}, PATIENT | {"id": "q"})
    assert index_pending() == 3
    assert ids("Patient?gender=male") == ["p", "q"]
    assert len(execute("SELECT reason FROM pending WHERE reason IS NOT NULL")) == 1


def test_extraction_says_which_parameter_failed():
    with pytest.raises(CannotIndex, match=r"Patient/x: .*birthdate"):
        extract({"resourceType": "Patient", "id": "x", "birthDate": "1980-13-45"}, "Patient")
