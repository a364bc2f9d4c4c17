"""A sandbox is put back as it was, by ordinary writes; nothing else ever is."""

import json

import pytest
from django.contrib.auth import get_user_model

from accessctl.models import AuditRecord
from accessctl.people import AttendingDoctor, Person
from fhirserver import demonstration, sandbox
from fhirserver.management.commands import demo
from fhirserver.system import execute
from records.errors import Forbidden
from records.indexing import jobs
from records.interactions.interaction import Interaction
from records.keys import identity
from records.population import people
from tests.accessctl.people import api, observation
from tests.api import Api, indexed


@pytest.fixture
def folder(database, settings, tmp_path):
    """The data folder of a demonstration, and in the database two of its people."""
    settings.FHIRSERVER_ENVIRONMENT, settings.FHIRSERVER_DATA = "demo", str(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps({"demo": True, demonstration.MARK: True}))
    for bundle in people(2, demo.SEED, method="PUT"):
        execute(Interaction("transaction", "system", method="POST", body=bundle, prefer_return="minimal"))
    indexed()
    return tmp_path


def state(api):
    """{type/id: what it says} of all that is there."""
    found, path = {}, "?_count=500"
    while path:
        bundle = api.get(path).tree
        found |= {f"{r['resourceType']}/{r['id']}": {k: v for k, v in r.items() if k != "meta"}
                  for r in (e["resource"] for e in bundle.get("entry", ()))}  # fmt: skip
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        path = path and path.partition("/fhir")[2].lstrip("/")
    return found


def done():
    while jobs.advance():
        pass
    indexed()
    return sandbox.latest()


def test_what_others_wrote_goes_and_what_was_there_comes_back(folder):
    tester = Api(name="vendor")
    before = state(tester)
    first = {type: next(n for n in before if n.startswith(type)) for type in ("Patient", "Observation", "Practitioner")}
    own = tester.post("Observation", observation(first["Patient"].partition("/")[2])).headers["Location"]
    own = own.split("/_history")[0].rpartition("/")[2]
    assert tester.delete(first["Observation"]).status_code == 204
    assert tester.put(first["Practitioner"], before[first["Practitioner"]] | {"gender": "other"}).status_code == 200
    patient = tester.get(first["Patient"]).tree
    assert tester.put(first["Patient"], patient | {"active": False}).status_code == 200
    indexed()
    assert state(tester) != before
    records = AuditRecord.objects.count()
    asked = sandbox.ask("tester")
    assert sandbox.ask("tester") == asked, "one at a time"
    job = done()
    assert (job.state, job.failed, job.error) == ("done", 0, None)
    assert state(tester) == before, "and the token still answers"
    assert tester.get(f"Observation/{own}").status_code == 410
    assert len(tester.get(f"{first['Practitioner']}/_history").tree["entry"]) == 3, "history stays"
    assert AuditRecord.objects.filter(client="system", interaction="delete", entities=f"Observation/{own}").exists()
    assert AuditRecord.objects.count() > records
    sandbox.ask("tester")
    done()
    assert len(tester.get(f"{first['Practitioner']}/_history").tree["entry"]) == 3, "what is as it was is not written"


def test_what_was_opened_and_refused_by_hand_ends(folder):
    patient, doctor = (
        next(n for n in state(Api()) if n.startswith(type)).partition("/")[2] for type in ("Patient", "Practitioner")
    )
    for login, kind, named in (
        ("patient", "patient", {"patient": patient}), ("proxy", "patient", {}), ("doctor2", "professional", {}),
        ("doctor", "professional", {"profession": "10", "practitioner": doctor}),
    ):  # fmt: skip
        user = get_user_model().objects.create(username=login)
        Person.objects.create(user=user, kind=kind, **named)
    execute(Interaction("create", "type", "Consent", method="POST", body=demo.consent(patient, doctor)))
    demonstration.rights()
    demonstration.rights()
    path = f"Patient/{patient}"
    assert api("doctor").get(path).status_code == api("proxy").get(path).status_code == 200
    mine = api("patient")
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "practitioner", "valueString": f"Practitioner/{doctor}"}],
    }
    assert mine.post(f"{path}/$block", body).status_code == 200
    assert mine.post(f"{path}/$close-record", {"resourceType": "Parameters"}).status_code == 200
    assert api("doctor").get(path).status_code == 404
    sandbox.ask("patient|")
    assert done().state == "done"
    assert api("doctor").get(path).status_code == api("proxy").get(path).status_code == 200
    assert AttendingDoctor.objects.filter(patient=identity("Patient", patient), until=None).count() == 1


@pytest.mark.parametrize(
    "mark, environment", [({}, "demo"), ({"sandbox": True}, "production"), ({"sandbox": True}, "sandbox")]
)
def test_nothing_else_is_put_back(folder, settings, mark, environment):
    asked = sandbox.ask("tester")
    (folder / "state.json").write_text(json.dumps({"demo": True} | mark))
    settings.FHIRSERVER_ENVIRONMENT = environment
    with pytest.raises(Forbidden):
        sandbox.ask("tester")
    before = state(Api())
    Api(name="vendor").post("Basic", {"resourceType": "Basic", "code": {"text": "mine"}})
    job = done()
    assert job.id == asked and job.state == "failed", "not even what was asked for before"
    assert len(state(Api())) == len(before) + 1


def test_without_a_folder_there_is_no_sandbox(database, settings):
    settings.FHIRSERVER_ENVIRONMENT, settings.FHIRSERVER_DATA = "demo", ""
    assert not sandbox.is_one()
