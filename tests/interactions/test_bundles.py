"""Batch and transaction. (http.html#transaction)"""

import base64
import gzip
import json
from pathlib import Path

import pytest

from tests.api import Api

SYNTHEA = Path(__file__).parents[3] / "shared" / "data" / "synthea"


@pytest.fixture
def api(database):
    return Api()


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method, url, resource=None, full_url=None, **request):
    found = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        found["resource"] = resource
    if full_url:
        found["fullUrl"] = full_url
    return found


def patient(**more):
    return {"resourceType": "Patient", "name": [{"family": "Noël"}], **more}


def observation(subject, **more):
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": "weight"},
        "subject": {"reference": subject}, **more,
    }  # fmt: skip


def statuses(answer):
    return [e["response"]["status"][:3] for e in answer.tree["entry"]]


def test_references_between_entries_whatever_their_order(api):
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    answer = api.post("", bundle("transaction",
        entry("POST", "Observation", observation(urn), "urn:uuid:04121321-4af5-424c-a0e1-ed3aab1c349d"),
        entry("POST", "Patient", patient(), urn),
    ))  # fmt: skip
    assert answer.status_code == 200, answer.content
    assert answer.tree["type"] == "transaction-response" and statuses(answer) == ["201", "201"]
    location = answer.tree["entry"][1]["response"]["location"].split("/_history")[0]
    stored = api.get(answer.tree["entry"][0]["response"]["location"].split("/_history")[0]).tree
    assert stored["subject"]["reference"] == location


def test_all_or_nothing_and_every_fault_named(api):
    wrong = {"resourceType": "Patient", "nonsense": 1}
    answer = api.post("", bundle("transaction", entry("POST", "Patient", patient()), entry("POST", "Patient", wrong),
                                 entry("POST", "Observation", {"resourceType": "Observation"})))  # fmt: skip
    assert answer.status_code in (400, 422)
    named = [i["expression"][0] for i in answer.tree["issue"]]
    assert any(n.startswith("Bundle.entry[1].resource") for n in named)
    assert any(n.startswith("Bundle.entry[2].resource") for n in named)
    assert "entry" not in api.get("_history").tree


def test_batch_entries_stand_alone(api):
    id = api.post("Patient", patient()).tree["id"]
    answer = api.post("", bundle("batch",
        entry("GET", f"Patient/{id}"),
        entry("GET", "Patient/absent"),
        entry("POST", "Patient", {"resourceType": "Patient", "nonsense": 1}),
        entry("POST", "Patient", patient()),
        entry("DELETE", f"Patient/{id}"),
        entry("FLY", "Patient/1"),
        entry("GET", "Nonsense/1"),
    ))  # fmt: skip
    assert answer.tree["type"] == "batch-response"
    assert statuses(answer) == ["200", "404", "400", "201", "204", "400", "404"]
    assert answer.tree["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_deletes_come_before_creates_and_reads_last(api):
    api.put("Patient/p", patient(id="p"))
    answer = api.post("", bundle("transaction",
        entry("GET", "Patient/q"),
        entry("PUT", "Patient/q", patient(id="q")),
        entry("DELETE", "Patient/p"),
    ))  # fmt: skip
    assert statuses(answer) == ["200", "201", "204"]
    assert answer.tree["entry"][0]["resource"]["id"] == "q"
    assert api.get("Patient/p").status_code == 410


def test_one_resource_twice_is_refused(api):
    answer = api.post(
        "", bundle("transaction", entry("PUT", "Patient/p", patient(id="p")), entry("DELETE", "Patient/p"))
    )
    assert answer.status_code == 400 and "twice" in answer.tree["issue"][0]["diagnostics"]
    same = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    answer = api.post(
        "", bundle("transaction", entry("POST", "Patient", patient(), same), entry("POST", "Patient", patient(), same))
    )
    assert answer.status_code == 400


def test_an_unresolved_urn_is_named(api):
    answer = api.post("", bundle("transaction", entry("POST", "Observation", observation("urn:uuid:nobody"))))
    assert answer.status_code == 400
    assert answer.tree["issue"][0]["expression"] == ["Bundle.entry[0].resource.subject.reference"]


def test_if_match_in_an_entry(api):
    api.put("Patient/p", patient(id="p"))
    answer = api.post(
        "", bundle("transaction", entry("PUT", "Patient/p", patient(id="p", gender="male"), ifMatch='W/"3"'))
    )
    assert answer.status_code == 412


def test_json_patch_in_an_entry(api):
    api.put("Patient/p", patient(id="p"))
    patch = base64.b64encode(json.dumps([{"op": "add", "path": "/gender", "value": "female"}]).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": patch}
    answer = api.post("", bundle("transaction", entry("PATCH", "Patient/p", binary)))
    assert statuses(answer) == ["200"], answer.content
    assert api.get("Patient/p").tree["gender"] == "female"


def test_prefer_representation_gives_resources(api):
    answer = api.post("", bundle("transaction", entry("POST", "Patient", patient())), prefer="return=representation")
    assert answer.tree["entry"][0]["resource"]["resourceType"] == "Patient"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"resourceType": "Patient"}, "batch or transaction"),
        ({"resourceType": "Bundle", "type": "searchset"}, "searchset"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": [{}]}, "no request"),
        ({"resourceType": "Bundle", "type": "transaction", "nope": 1}, "nope"),
        (bundle("transaction", entry("POST", "Patient")), "needs a resource"),
        (bundle("transaction", entry("GET", "http://elsewhere.example/fhir/Patient/1")), "not on this server"),
        (bundle("transaction", entry("POST", "", bundle("transaction"))), "cannot hold another"),
    ],
)
def test_what_is_no_bundle_to_work_on(api, body, says):
    answer = api.post("", body)
    assert answer.status_code == 400 and says in answer.tree["issue"][0]["diagnostics"]


def test_too_many_entries_are_refused_clearly(api, settings):
    settings.FHIRSERVER_MAX_ENTRIES = 3
    answer = api.post("", bundle("transaction", *[entry("POST", "Patient", patient())] * 4))
    assert answer.status_code == 413 and "at most 3" in answer.tree["issue"][0]["diagnostics"]


def test_an_empty_bundle_is_no_error(api):
    assert api.post("", bundle("transaction")).tree == {"resourceType": "Bundle", "type": "transaction-response"}


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the Synthea bundles stand beside the checkout")
def test_synthea_patient(api):
    path = min(SYNTHEA.glob("[0-9a-f]*-*.json.gz"), key=lambda p: p.stat().st_size)
    body = gzip.decompress(path.read_bytes())
    answer = api.post("", body)
    assert answer.status_code == 200, answer.content[:2000]
    assert set(statuses(answer)) == {"201"}
    assert len(answer.tree["entry"]) == len(json.loads(body)["entry"])
