"""What a kick-off asks: parameters good and bad, levels, members of a Group."""

import pytest

from accessctl.export import kept
from records.database import execute
from records.indexing import jobs
from records.keys import identity
from tests.accessctl.people import World

from .exports import ASYNC, exported, kicked, manifest, named, parameters, resources, robot, worked


@pytest.fixture
def world(database):
    world = World()
    world.of_a, world.of_b = world.observation(), world.observation(world.b)
    world.shared = world.observation(performer=[{"reference": f"Patient/{world.b}"}])
    world.system.put("Organization/clinic", {"resourceType": "Organization", "id": "clinic", "name": "Clinic"})
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
             "member": [{"entity": {"reference": f"Patient/{world.a}"}}]}  # fmt: skip
    world.group = group
    assert world.system.put("Group/g", group).status_code == 201
    return world


GOOD = [  # method, URL or parameters, types in the answer
    ("GET", "$export", "Group Observation Organization Patient"),
    ("POST", "$export", "Group Observation Organization Patient"),
    ("GET", "$export?_type=Patient", "Patient"),
    ("GET", "$export?_type=Patient,Observation", "Observation Patient"),
    ("GET", "$export?_type=Patient&_type=Organization,%20Group", "Group Organization Patient"),
    ("GET", "$export?_type=Condition", ""),
    ("GET", "$export?_outputFormat=application/fhir%2Bndjson&_type=Patient", "Patient"),
    ("GET", "$export?_outputFormat=application/fhir+ndjson&_type=Patient", "Patient"),
    ("GET", "$export?_outputFormat=application/ndjson&_type=Patient", "Patient"),
    ("GET", "$export?_outputFormat=ndjson&_type=Patient", "Patient"),
    ("GET", "$export?_since=2999-01-01T00:00:00Z", ""),
    ("GET", "$export?_since=2020-01-01T00:00:00%2B01:00&_type=Patient", "Patient"),
    ("GET", "Patient/$export", "Group Observation Patient"),
    ("GET", "Patient/$export?_type=Observation", "Observation"),
    ("GET", "Group/g/$export", "Group Observation Patient"),
    ("POST", [("_type", "Patient"), ("_outputFormat", "ndjson"), ("_since", "2020-01-01T00:00:00Z")], "Patient"),
]


@pytest.mark.parametrize("method, asked, types", GOOD, ids=lambda v: str(v)[:60])
def test_good(world, method, asked, types):
    url, body = (asked, None) if isinstance(asked, str) else ("$export", parameters(*asked))
    if method == "POST" and body is None:
        body = parameters()
    told = exported(robot(), url, body)
    assert " ".join(item["type"] for item in told["output"]) == types
    assert told["deleted"] == told["error"] == []


BAD = [  # URL or parameters of a POST, status, what is named
    ("$export?_type=Nobody", 400, "_type"),
    ("$export?_type=", 400, "_type"),
    ("$export?_type=Parameters", 400, "_type"),
    ("$export?_type=AuditEvent", 400, "_type"),
    ("$export?_outputFormat=text/csv", 400, "_outputFormat"),
    ("$export?_outputFormat=ndjson&_outputFormat=ndjson", 400, "_outputFormat"),
    ("$export?_since=yesterday", 400, "_since"),
    ("$export?_since=2020&_since=2021", 400, "_since"),
    ("$export?_elements=id", 400, "_elements"),
    ("$export?_typeFilter=Patient%3Fgender%3Dmale", 400, "_typeFilter"),
    ("$export?includeAssociatedData=LatestProvenanceResources", 400, "includeAssociatedData"),
    ("$export?organizeOutputBy=Patient", 400, "organizeOutputBy"),
    ("$export?typo=1", 400, "typo"),
    ("$export?patient=Patient/x", 400, "patient"),
    ("Patient/$export?patient=Patient/x", 400, "patient"),
    ("Patient/$export?_type=Organization", 400, "_type"),
    ("Group/g/$export?_type=Practitioner,Patient", 400, "_type"),
    ("Group/nobody/$export", 404, "Group/nobody"),
    (("$export", [("patient", "Patient/{a}")]), 400, "patient"),
    (("Patient/$export", [("patient", "Patient/nobody")]), 404, "Patient/nobody"),
    (("Patient/$export", [("patient", "Observation/x")]), 400, "patient"),
    (("Patient/$export", [("patient", "http://elsewhere/Patient/x")]), 400, "patient"),
    (("Group/g/$export", [("patient", "Patient/{b}")]), 403, "patient"),
    (("Group/g/$export", [("patient", "Patient/nobody")]), 403, "patient"),
    (("$export", [("_type", "Nobody")]), 400, "_type"),
]


@pytest.mark.parametrize("asked, status, what", BAD, ids=lambda v: str(v)[:60])
def test_bad(world, asked, status, what):
    url, given = (asked, None) if isinstance(asked, str) else asked
    body = given and parameters(*((n, v.format(a=world.a, b=world.b)) for n, v in given))
    answer = robot().request("GET" if body is None else "POST", url, body, **ASYNC)
    assert answer.status_code == status, answer.content
    (issue,) = answer.tree["issue"]
    assert what in issue["diagnostics"] or what in issue.get("expression", ())
    assert not jobs.unfinished()


def test_what_is_not_a_kick_off(world):
    api = robot()
    for url in ("$export", "Patient/$export", "Group/g/$export"):
        for prefer in ({}, {"prefer": "return=minimal"}, {"prefer": "handling=lenient"}):
            answer = api.get(url, **prefer)
            assert answer.status_code == 400 and "respond-async" in answer.tree["issue"][0]["diagnostics"]
        assert api.put(url, {"resourceType": "Patient"}, **ASYNC).status_code == 405
        assert api.delete(url, **ASYNC).status_code == 405
        assert api.request("HEAD", url, **ASYNC).status_code == 405, "it would begin one"
    for body in ({"resourceType": "Patient"}, [], {"resourceType": "Parameters", "parameter": [{"name": "_type"}]},
                 {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueReference": {}}]}):  # fmt: skip
        assert api.post("$export", body, **ASYNC).status_code == 400
    for url in ("Observation/$export", "Group/$export", "Patient/x/$export", "Group/g/_history/1/$export"):
        assert api.get(url, **ASYNC).status_code == 404, url
    entry = {"request": {"method": "GET", "url": "$export"}}
    for kind in ("batch", "transaction"):
        answer = api.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]}, **ASYNC)
        assert b"not in a Bundle" in answer.content
    assert not jobs.unfinished()


def test_lenient_ignores_and_says_so(world):
    told = exported(robot(), "$export?_elements=id&_type=Patient&typo=1", prefer="respond-async, handling=lenient")
    said = [issue for outcome in resources(robot(), told, "error") for issue in outcome["issue"]]
    assert [item["type"] for item in told["error"]] == ["OperationOutcome"]
    assert {issue["severity"] for issue in said} == {"warning"}
    assert "_elements" in said[0]["diagnostics"] and "typo" in said[1]["diagnostics"] and len(said) == 2
    assert len(resources(robot(), told)) == 2
    bad = robot().get("$export?_type=Nobody", prefer="respond-async; handling=lenient")
    assert bad.status_code == 400, "what is wrong is not ignored"


def ids(told):
    """Of what is in records; a Group is in those of its members."""
    return {r["id"] for r in resources(robot(), told) if r["resourceType"] != "Group"}


def test_records_of_all_patients_and_of_some(world):
    assert ids(exported(robot(), "Patient/$export")) == {world.a, world.b, world.of_a, world.of_b, world.shared}
    told = exported(robot(), "Patient/$export", parameters(("patient", f"Patient/{world.b}")))
    assert ids(told) == {world.b, world.of_b, world.shared}, "what is of several patients is of each"
    both = parameters(("patient", f"Patient/{world.a}"), ("patient", f"Patient/{world.b}"), ("_type", "Patient"))
    assert ids(exported(robot(), "Patient/$export", both)) == {world.a, world.b}


def test_a_group_is_its_members(world):
    third = world.made({"resourceType": "Patient"})
    told = exported(robot(), "Group/g/$export")
    assert ids(told) == {world.a, world.of_a, world.shared} and not told["error"]
    members = [
        {"entity": {"reference": f"Patient/{world.a}"}, "inactive": True},
        {"entity": {"reference": f"Patient/{third}"}, "period": {"end": "2020-01-01"}},
        {"entity": {"reference": f"http://testserver/fhir/Patient/{world.b}"}, "period": {"start": "2020-01-01"}},
        {"entity": {"reference": "Practitioner/x"}},
        {"entity": {"reference": "Patient/nobody"}},
    ]
    assert world.system.put("Group/g", world.group | {"member": members}).status_code == 200
    told = exported(robot(), "Group/g/$export")
    assert ids(told) == {world.b, world.of_b, world.shared}
    said = [issue["diagnostics"] for outcome in resources(robot(), told, "error") for issue in outcome["issue"]]
    assert len(said) == 2 and said[0].startswith("1 members") and said[1].startswith("1 patients")
    told = exported(robot(), "Group/g/$export", parameters(("patient", f"Patient/{world.b}"), ("_type", "Patient")))
    assert named(resources(robot(), told)) == {("Patient", world.b, "1")}
    asked = parameters(("patient", f"Patient/{world.b}"), ("_type", "Patient"))
    status = kicked(robot(), "Group/g/$export", asked)
    empty = {k: v for k, v in world.group.items() if k != "member"}
    world.system.put("Group/g", empty)
    worked()
    left = manifest(robot(), status)
    assert not left["output"] and "have left" in resources(robot(), left, "error")[0]["issue"][0]["diagnostics"]
    assert exported(robot(), "Group/g/$export")["output"] == []


def test_a_group_is_as_it_was_at_the_moment(world):
    """And so is what was in a record that it has left since, also of several patients."""
    api = robot()
    status = kicked(api, "Group/g/$export")
    jobs.advance()
    world.system.put("Group/g", world.group | {"member": [{"entity": {"reference": f"Patient/{world.b}"}}]})
    for id in (world.of_a, world.shared):
        body = {k: v for k, v in world.system.get(f"Observation/{id}").tree.items() if k != "performer"}
        world.system.put(f"Observation/{id}", body | {"subject": {"reference": f"Patient/{world.b}"}})
    worked()
    assert ids(manifest(api, status)) == {world.a, world.of_a, world.shared}
    [(row,)] = execute("SELECT patient FROM resource WHERE id = %s", (world.of_a,))
    assert row == identity("Patient", world.b)


def test_so_many_at_a_time(world, monkeypatch):
    monkeypatch.setattr(kept, "MOST_KEPT", 2)
    api, other = robot(), robot(name="other")
    first = kicked(api)
    worked()
    kicked(api)
    answer = api.get("$export", **ASYNC)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    kicked(other)
    assert api.delete(first).status_code == 202
    kicked(api)
