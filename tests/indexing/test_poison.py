"""A resource that cannot be indexed: seen with its reason, alone, tried again, cleared; nothing else waits for it."""

import pytest

from records.database import execute
from records.indexing import extract, jobs
from tests.api import Api, indexed

REASON = "Patient/bad: gender: ZeroDivisionError('division by zero')"


@pytest.fixture
def api(database):
    return Api()


@pytest.fixture
def poison(monkeypatch):
    """Indexing Patient/bad raises."""
    sound = extract.extract

    def poisoned(resource, type):
        if resource["id"] == "bad":
            raise extract.CannotIndex(REASON)
        return sound(resource, type)

    monkeypatch.setattr("records.indexing.index.extract", poisoned)
    return monkeypatch


def patient(id):
    return {"resourceType": "Patient", "id": id, "gender": "female"}


def gauges(api):
    lines = api.http.get("/metrics").content.decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.partition(" ") for line in lines)
        if name.startswith("fhir_index_")
    }


def ids(api):
    return sorted(e["resource"]["id"] for e in api.get("Patient?gender=female").tree.get("entry", ()))


def test_the_others_go_through_and_it_is_seen(api, poison):
    for id in ("a", "bad", "c"):
        api.put(f"Patient/{id}", patient(id))
    found = gauges(api)
    assert found["fhir_index_pending"] == 3 and found["fhir_index_lag_seconds"] > 0
    assert ids(api) == ["a", "c"]
    assert gauges(api) == {"fhir_index_pending": 0, "fhir_index_failed": 1, "fhir_index_lag_seconds": 0}
    assert execute("SELECT reason FROM pending") == [(REASON,)]
    assert api.get("Patient/bad").status_code == 200
    assert api.get("Patient?_id=bad").tree["total"] == 1


def test_tried_again_later_and_later(api, poison):
    api.put("Patient/bad", patient("bad"))
    waits = []
    for _ in range(4):
        indexed()
        waits.append(execute("SELECT extract(epoch FROM retry_at - now())::int FROM pending")[0][0])
        execute("UPDATE pending SET retry_at = now() - interval '1 second'")
    assert all(abs(wait - 30 * 2**n) <= 2 for n, wait in enumerate(waits)), waits
    poison.undo()
    indexed()
    assert ids(api) == ["bad"] and gauges(api)["fhir_index_failed"] == 0


def test_reindex_tells_the_reason_and_clears_it(api, poison):
    for id in ("a", "bad"):
        api.put(f"Patient/{id}", patient(id))
    indexed()
    answer = api.post("Patient/bad/$reindex", None)
    assert answer.status_code == 422 and REASON in answer.tree["issue"][0]["diagnostics"]
    api.post("$reindex", None)
    while jobs.unfinished():
        jobs.advance()
    assert jobs.listed()[0].failed == 1
    assert execute("SELECT count(*), max(attempts) FROM pending")[0][0] == 1
    poison.undo()
    assert api.post("Patient/bad/$reindex", None).status_code == 200
    assert ids(api) == ["a", "bad"] and gauges(api)["fhir_index_failed"] == 0


def test_a_write_that_heals_it(api, poison):
    api.put("Patient/bad", patient("bad"))
    indexed()
    poison.undo()
    api.put("Patient/bad", {**patient("bad"), "active": True})
    assert ids(api) == ["bad"]
    indexed()
    assert gauges(api)["fhir_index_failed"] == 0


def test_a_stored_body_that_is_damaged(api):
    for id in ("a", "bad"):
        api.put(f"Patient/{id}", patient(id))
    execute("UPDATE resource SET body = 'no JSON' WHERE id = 'bad'")
    assert ids(api) == ["a"]
    assert "stored body" in execute("SELECT reason FROM pending")[0][0]


def test_administrators_see_which_and_why(api, poison):
    api.put("Patient/bad", patient("bad"))
    indexed()
    [failed] = api.get("$reindex-status").tree["parameter"]
    told = {part["name"]: next(v for k, v in part.items() if k != "name") for part in failed["part"]}
    assert (told["resource"], told["reason"]) == ({"reference": "Patient/bad"}, REASON)


def test_the_metrics_without_a_database(api, monkeypatch):
    from records import errors

    def away():
        raise errors.Busy("The database cannot be reached now.")

    monkeypatch.setattr("fhirserver.metrics.state", away)
    assert api.http.get("/metrics").status_code == 200
