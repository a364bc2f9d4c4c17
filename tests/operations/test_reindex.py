"""$reindex at every level: who may, what it does, progress, end, and life going on meanwhile."""

import pytest

from records.database import execute
from records.indexing import drift, jobs, tasks
from tests.api import Api, indexed


def patient(n):
    return {"resourceType": "Patient", "id": f"p{n}", "gender": "female", "name": [{"family": "A"}]}


@pytest.fixture
def api(database):
    api = Api()
    for n in range(5):
        api.put(f"Patient/p{n}", patient(n))
    api.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d", "name": [{"family": "B"}]})
    indexed()
    return api


def told(answer):
    return {p["name"]: next(v for k, v in p.items() if k.startswith("value")) for p in answer.tree["parameter"]}


def work():
    while jobs.unfinished():
        jobs.advance()


CASES = [  # what is asked, strings of which types are there afterwards
    ("$reindex", "AB"),
    ("$reindex?type=Patient", "A"),
    ("$reindex?type=Patient&type=Practitioner", "AB"),
    ("Practitioner/$reindex", "B"),
    ("Practitioner/$reindex?parameter=family", "B"),
    ("Practitioner/$reindex?parameter=identifier", ""),
]


def test_every_level(api):
    for url, expected in CASES:
        execute("DELETE FROM string")
        answer = api.post(url, None)
        assert answer.status_code == 202, answer.content
        assert told(answer)["status"] == "waiting"
        work()
        status = api.get(answer.headers["Content-Location"].removeprefix("http://testserver/fhir/"))
        assert (told(status)["status"], told(status)["done"]) == ("done", told(status)["total"]), url
        found = {exact for (exact,) in execute("SELECT exact FROM string WHERE exact IS NOT NULL")}
        assert "".join(sorted(found)) == expected, url
    assert api.post("$reindex", {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": "X"}]}
                    ).status_code == 400  # fmt: skip
    assert len(api.get("$reindex-status").tree["parameter"]) == len(CASES)


def test_one_resource_at_once(api):
    execute("DELETE FROM token")
    assert api.post("Patient/p1/$reindex", None).status_code == 200
    assert execute("SELECT count(DISTINCT resource) FROM token") == [(1,)]
    assert api.post("Patient/nobody/$reindex", None).status_code == 404


REFUSED = [
    ("GET", "$reindex", 405),
    ("POST", "$reindex?typo=Patient", 400),
    ("POST", "$reindex?type=Nobody", 400),
    ("POST", "Patient/$reindex?parameter=nonsense", 400),
    ("GET", "$reindex-status?job=9", 404),
    ("GET", "$reindex-status?job=x", 404),
    ("POST", "$reindex-cancel", 404),
]


def test_refused(api):
    for method, url, status in REFUSED:
        assert api.request(method, url).status_code == status, url
    for scope in ("system/*.rs", "user/*.cruds", "system/Patient.cruds"):
        other = Api(scope, name="other")
        for method, url in (("POST", "$reindex"), ("POST", "Patient/p1/$reindex"), ("GET", "$reindex-status")):
            assert other.request(method, url).status_code == 403, (scope, url)


def test_in_slices_while_others_search_and_write(api, monkeypatch):
    monkeypatch.setattr(jobs, "SLICE", 2)
    monkeypatch.setattr(jobs, "WINDOW", 3)
    id = told(api.post("$reindex", None))["job"]
    seen = []
    for n in range(20):
        if not jobs.unfinished():
            break
        assert jobs.advance()
        seen.append(jobs.find(id).done)
        api.put(f"Patient/p{n % 5}", {**patient(n % 5), "gender": "male" if n % 2 else "other"})
        bundle = api.get("Patient?gender=female,male,other&_total=accurate").tree
        assert bundle["total"] == 5
    job = jobs.find(id)
    assert (job.state, job.done) == ("done", 6) and len(set(seen)) > 3
    indexed()
    assert not drift.check().differences


def test_killed_half_way_it_goes_on_where_it_was(api, monkeypatch):
    monkeypatch.setattr(jobs, "SLICE", 2)
    id = told(api.post("$reindex", None))["job"]
    for _ in range(2):
        jobs.advance()
    sound, calls = jobs.renew, []

    def dying(pks, keys=None):
        sound(pks, keys)
        calls.append(pks)
        raise KeyboardInterrupt  # as if the process had ended before its commit

    monkeypatch.setattr(jobs, "renew", dying)
    before = jobs.find(id)
    with pytest.raises(KeyboardInterrupt):
        jobs.advance()
    assert jobs.find(id)[:-1] == before[:-1]
    monkeypatch.setattr(jobs, "renew", lambda pks, keys=None: calls.append(pks) or sound(pks, keys))
    work()
    assert calls[0] == calls[1] and jobs.find(id).done == 6


def test_the_worker_s_sweep_does_it(api):
    id = told(api.post("$reindex", None))["job"]
    while tasks.sweep():
        pass
    assert jobs.find(id).state == "done"


def test_cancelled(api):
    id = told(api.post("$reindex", None))["job"]
    assert told(api.post(f"$reindex-cancel?job={id}", None))["status"] == "cancelled"
    assert not jobs.advance()
    assert api.post(f"$reindex-cancel?job={id}", None).status_code == 409


def test_a_fault_of_the_job_ends_it_and_not_the_worker(api, monkeypatch):
    id = told(api.post("$reindex", None))["job"]
    monkeypatch.setattr(jobs, "_slice", lambda job: 1 / 0)
    work()
    assert jobs.find(id).state == "failed" and "ZeroDivisionError" in jobs.find(id).error


def test_writes_go_first(api, monkeypatch):
    monkeypatch.setattr(jobs, "BUSY", 3)
    for n in range(4):
        api.put(f"Patient/q{n}", {**patient(n), "id": f"q{n}"})
    api.post("$reindex", None)
    assert not jobs.advance()
    indexed()
    assert jobs.advance()
