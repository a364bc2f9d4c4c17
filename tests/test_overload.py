"""Who asks too much is told at once and when to come back."""

import pytest

from fhirserver import overload
from records import errors
from tests.api import Api

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.10"}]}
BUNDLE = {"resourceType": "Bundle", "type": "transaction"}


def test_a_client_has_its_rate_and_a_second_saved_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(overload, "monotonic", lambda: now[0])
    allowance = overload.Allowance(10)
    for _ in range(10):
        allowance.take("a")
    with pytest.raises(errors.TooManyRequests) as told:
        allowance.take("a")
    assert told.value.headers["Retry-After"] == "1"
    allowance.take("b")
    now[0] += 0.11
    allowance.take("a")
    now[0] += 60
    for _ in range(10):
        allowance.take("a")
    with pytest.raises(errors.TooManyRequests):
        allowance.take("a")


def test_entries_are_counted_singly(database, monkeypatch):
    monkeypatch.setattr(overload.allowance, "rate", 5)
    monkeypatch.setattr(overload.allowance, "left", {})
    api = Api()
    entry = {"request": {"method": "GET", "url": "Patient/1"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 20}
    statuses = [e["response"]["status"][:3] for e in api.post("", batch).tree["entry"]]
    assert statuses.count("404") >= 5 and "429" in statuses
    refused = api.get("Patient/1")
    assert refused.status_code == 429 and refused.headers["Retry-After"]
    assert refused.tree["issue"][0]["code"] == "throttled"
    assert Api(name="another").get("Patient/1").status_code == 404


def test_a_full_gate_refuses_at_once():
    gate = overload.Gate(running=1, waiting=0, patience=5)
    with gate, pytest.raises(errors.Busy), gate:
        pass
    with gate:
        pass
