"""Answers under Idempotency-Keys are forgotten after their time, and not before."""

from accessctl import replay
from records.database import execute
from tests.api import Api

PATIENT = {"resourceType": "Patient", "active": True}


def test_purge(database, monkeypatch):
    api = Api()
    for key in ("old", "new"):
        assert api.post("Patient", PATIENT, idempotency_key=key).status_code == 201
    execute("UPDATE replay SET at = now() - interval '25 hours' WHERE key = 'old'")
    monkeypatch.setattr(replay, "BATCH", 1)
    assert replay.purge() and not replay.purge()
    assert execute("SELECT key FROM replay") == [("new",)]
    answers = [api.post("Patient", PATIENT, idempotency_key=key) for key in ("new", "old")]
    assert ["Idempotent-Replayed" in a.headers for a in answers] == [True, False]


def test_another_condition_is_another_request(database):
    """Under the same key the answer to the first would say that the second was done."""
    api, said = Api(), '{"resourceType": "Provenance", "agent": [{"who": {"display": "%s"}}]}'
    for headers in ({"if_none_exist": "identifier=a|%s"}, {"x_provenance": said}):
        one, other = ({name: text % value for name, text in headers.items()} for value in "12")
        key = next(iter(headers))
        statuses = [api.post("Patient", PATIENT, idempotency_key=key, **h).status_code for h in (one, one, other, {})]
        assert statuses == [201, 201, 422, 422]
