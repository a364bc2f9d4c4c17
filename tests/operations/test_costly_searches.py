"""Query bombs: a time limit that is a 503, caps that are announced, long lists that work."""

import time

import pytest

from accessctl.audit.recorder import Recorder
from accessctl.models import AuditRecord
from tests.api import Api, indexed


@pytest.fixture
def api(database):
    api = Api()
    for n in range(3):
        body = {"resourceType": "Observation", "id": f"o{n}", "status": "final",
                "code": {"coding": [{"system": "urn:s", "code": f"c{n}"}]}}  # fmt: skip
        assert api.put(f"Observation/o{n}", body).status_code == 201
    indexed()
    return api


@pytest.fixture
def slow(monkeypatch, settings):
    """Statements may take 50 ms, and a search takes a second."""
    from django.db import connections

    from records.database import pool
    from records.search import compile, results

    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options['options']} -c statement_timeout=50")
    pool.reset()
    sound = compile.page

    def page(*args, **named):
        found = sound(*args, **named)
        return found._replace(text=f"SELECT * FROM ({found.text}) f, pg_sleep(1)")

    monkeypatch.setattr(results.compile, "page", page)
    yield
    monkeypatch.undo()
    pool.reset()


def test_the_time_limit_is_a_503(api, slow):
    answer = api.get("Observation?status=final")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    issue = answer.tree["issue"][0]
    assert issue["code"] == "transient" and "longer than the server allows" in issue["diagnostics"]
    assert api.get("Observation/$explain?status=final").status_code == 503
    assert api.get("Observation/o1").status_code == 200, "the connection is sound"


def test_a_deadline_that_has_passed_is_told_and_recorded(api, slow, settings, monkeypatch):
    assert api.get("Observation/o1").status_code == 200, "connected"
    settings.FHIRSERVER_DEADLINE_MS = 40
    sound = Recorder.inserted

    def late(self, records):
        time.sleep(0.1)  # longer than the deadline, shorter than the time that a record has of its own
        return sound(self, records)

    monkeypatch.setattr(Recorder, "inserted", late)
    before = AuditRecord.objects.count()
    answer = api.get("Observation?status=final")
    assert answer.status_code == 503 and "recorded" not in answer.tree["issue"][0]["diagnostics"]
    assert AuditRecord.objects.count() == before + 1


@pytest.mark.parametrize("values", [500, 2000])
def test_hundreds_of_values(api, values):
    many = ",".join(f"urn:s|x{n}" for n in range(values - 2)) + ",urn:s|c0,urn:s|c2"
    answer = api.request("POST", "Observation/_search", f"code={many}".encode(),
                         type="application/x-www-form-urlencoded")  # fmt: skip
    assert answer.status_code == 200, answer.content
    assert sorted(e["resource"]["id"] for e in answer.tree["entry"]) == ["o0", "o2"]


def test_more_parameters_than_can_be_meant(api):
    answer = api.get("Observation?" + "&".join(f"code=c{n}" for n in range(1100)))
    assert answer.status_code in (400, 414) and answer.tree["issue"][0]["code"] == "too-costly"


def test_a_page_larger_than_allowed_is_cut_and_said(api, settings):
    settings.FHIRSERVER_MAX_COUNT = 2
    tree = api.get("Observation?_count=100000").tree
    said = [e["resource"]["issue"][0]["diagnostics"] for e in tree["entry"] if e["search"]["mode"] == "outcome"]
    assert len(tree["entry"]) == 3 and "at most 2" in said[0]
