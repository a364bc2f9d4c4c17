"""Bulk export: who may not ask, what is not given beside what was asked, whose jobs and files they are. (A50 to A54)"""

import base64
import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client as Http

from accessctl.smart.tables import Client
from records.database import asked_by, execute
from records.database.asking import statement
from records.keys import key
from tests.accessctl.people import api
from tests.api import Api
from tests.export.exports import (
    ASYNC,
    below,
    content,
    exported,
    kicked,
    manifest,
    parameters,
    resources,
    robot,
    worked,
)  # fmt: skip
from tests.smart.clients import Backend

LEVELS = ("$export", "Patient/$export", "Group/g/$export")
ADDRESSES = (
    ("GET", "$export-status"), ("DELETE", "$export-status"), ("POST", "$export-status"), ("POST", "$export-cancel"),
    ("GET", "$export-file"), ("POST", "$export-file"), ("HEAD", "$export-file"),
)  # fmt: skip


@pytest.fixture
def group(world):
    """A Group of A alone, and something in each record."""
    world.of_a, world.of_b = world.observation(), world.observation(world.b)
    world.system.put("Group/g", {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
                                 "member": [{"entity": {"reference": f"Patient/{world.a}"}}]})  # fmt: skip
    return world


def told(answer):
    """All that an answer says, but the number of the request."""
    return answer.status_code, answer.content, {k: v for k, v in answer.headers.items() if k != "X-Request-Id"}


def test_A50_no_token_of_a_person_or_a_patient_exports(group):
    """Nor does one that a service has on behalf of somebody; and nobody without a token."""
    on_behalf = Backend(scopes="user/*.cruds", behalf=get_user_model().objects.get(username="doctor"))
    get_user_model().objects.create(username="nobody")
    asking = [
        group.patient, group.proxy, group.doctor, group.clerk,
        api("doctor", "system/*.cruds"), api("nobody", "system/*.rs"),
        api("alice", "patient/*.cruds", patient=group.a), robot("patient/*.rs", patient=group.a), robot("user/*.rs"),
        robot("patient/*.cruds user/*.cruds", patient=group.a), Api(token=on_behalf.token("user/*.rs")),
    ]  # fmt: skip
    for who in asking:
        for url in LEVELS:
            for method, body in (("GET", None), ("POST", parameters())):
                answer = who.request(method, url, body, **ASYNC)
                assert answer.status_code == 403, (who.token, url, answer.content)
        for method, url in ADDRESSES:
            answer = who.request(method, f"{url}?job=x&file=Patient-1")
            assert answer.status_code == 403, (method, url, answer.content)
    for url in (*LEVELS, *(url for _, url in ADDRESSES)):
        assert Http().get(f"/fhir/{url}", HTTP_PREFER="respond-async").status_code == 401
    assert not execute("SELECT FROM job") and not execute("SELECT FROM export")


OVER = [  # scopes, URL, parameters of a POST, what is said
    ("system/Patient.rs", "$export?_type=Condition", None, "Condition"),
    ("system/Patient.rs", "$export?_type=Patient,Condition", None, "Condition"),
    ("system/Patient.rs system/Observation.r", "$export?_type=Observation", None, "Observation"),
    ("system/Patient.rs system/Observation.s", "$export?_type=Observation", None, "Observation"),
    ("system/Patient.rs patient/Observation.rs", "$export?_type=Observation", None, "Observation"),
    ("system/Patient.rs user/Observation.rs", "$export?_type=Observation", None, "Observation"),
    ("system/Patient.rs system/Observation.rs?status=final", "$export?_type=Observation", None, "query"),
    ("system/Patient.rs system/Observation.rs?status=final", "$export", None, "query"),
    ("system/*.cud", "$export", None, "no type"),
    ("system/Group.rs system/Observation.rs", "Group/g/$export", None, "Patient"),
    ("system/Patient.rs system/Observation.rs", "Group/g/$export", None, "Group"),
    ("system/*.rs", "Group/g/$export", [("patient", "Patient/{b}")], "no member"),
    ("system/*.rs", "Group/g/$export", [("patient", "Patient/{a}"), ("patient", "Patient/{b}")], "no member"),
    ("system/Observation.rs", "Patient/$export", [("patient", "Patient/{a}")], "Patient"),
]


@pytest.mark.parametrize("scope, url, given, said", OVER, ids=lambda v: str(v)[:40])
def test_A51_more_than_the_scopes_or_the_group_is_refused_by_name(group, scope, url, given, said):
    body = given and parameters(*((n, v.format(a=group.a, b=group.b)) for n, v in given))
    for prefer in ("respond-async", "respond-async, handling=lenient"):
        answer = robot(scope, patient=group.a).request("POST" if given else "GET", url, body, prefer=prefer)
        assert answer.status_code == 403 and said in answer.tree["issue"][0]["diagnostics"], answer.content
    assert not execute("SELECT FROM job")


def test_A51_without_types_it_is_those_that_are_covered(group):
    """Of patient/ and user/ scopes of the same token nothing counts."""
    who = robot("system/Patient.rs patient/*.rs user/*.rs", patient=group.a)
    assert {r["resourceType"] for r in resources(who, exported(who))} == {"Patient"}
    who = robot("system/Patient.rs system/Observation.rs system/Group.rs")
    found = resources(who, exported(who, "Group/g/$export"))
    assert {r["id"] for r in found} == {group.a, group.of_a, "g"}


def test_A51_a_group_that_is_hidden_has_no_members(group):
    """As one that is not there."""
    hidden, absent = (robot().get(f"Group/{id}/$export", **ASYNC) for id in ("h", "i"))
    assert told(hidden)[0] == 404 and told(hidden)[1].replace(b"/h", b"/i") == told(absent)[1]


def started(world, finished=True):
    """(who asks, the query that names an export of all, one of its files)."""
    who = robot()
    status = kicked(who)
    if finished:
        worked()
        manifest(who, status)
    return who, status.partition("?")[2]


@pytest.mark.parametrize("finished", [False, True])
def test_A52_the_export_of_another_client_is_not_there(group, finished):
    """Byte for byte as one that never was, by all addresses; and nothing happens to it."""
    who, name = started(group, finished)
    absent = "job=" + "x" * len(name.partition("=")[2])
    for other in (group.system, robot(name="robot2"), robot("system/*.cruds", name="Robot")):
        for method, url in ADDRESSES:
            one, none = (other.request(method, f"{url}?{query}&file=Patient-1") for query in (name, absent))
            assert told(one) == told(none) and one.status_code == 404, (method, url)
            body = parameters(("job", name.partition("=")[2]), ("file", "Patient-1"))
            if method == "POST":
                assert told(other.post(url, body)) == told(none)
    assert who.get(f"$export-status?{name}").status_code == (200 if finished else 202)
    if finished:
        assert content(who.get(f"$export-file?{name}&file=Patient-1"))


def test_A52_the_database_itself_shows_it_to_its_client_alone(group):
    """Behind the predicate of the queries: row-level security."""
    started(group)
    tables = ("export", "export_chunk")
    counts = lambda: [execute(f"SELECT count(*) FROM {table}")[0][0] > 0 for table in tables]  # noqa: E731
    assert counts() == [True, True]
    with asked_by(statement("client", author=key("client", "robot"))):
        assert counts() == [True, True]
        assert not execute("UPDATE export SET client = 'other' RETURNING 1")
        assert not execute("DELETE FROM export_chunk RETURNING 1")
    for kind in ("client", "bound", "professional", "patient", "staff", ""):
        with asked_by(statement(kind, author=key("client", "test"), person=1)):
            assert counts() == [False, False]
    for kind in ("professional", "patient", "staff", "bound"):
        with asked_by(statement(kind, author=key("client", "robot"), person=1)):
            assert counts() == [False, False]


TRICKS = (
    "", "file=", "file=Patient", "file=Patient-2", "file=Patient-01", "file=patient-1", "file=Patient-1%20",
    "file=../Patient-1", "file=/etc/passwd", "file=Patient-1/../Patient-1", "file=Patient-1%00", "file=%25",
    "file=Patient-1&file=Patient-1", "file=' OR 1=1 --", "file=Patient-%C2%B9",
)  # fmt: skip


def test_A53_files_by_no_token_guessed_or_by_tricks(group):
    who, name = started(group)
    good = f"$export-file?{name}&file=Patient-1"
    assert who.get(good).status_code == 200
    for url in (good, f"$export-status?{name}"):
        assert Http().get(f"/fhir/{url}").status_code == 401
        assert Http().get(f"/fhir/{url}", HTTP_AUTHORIZATION="Bearer x").status_code == 401
        assert Http().get(f"/fhir/{url}&access_token={who.token}").status_code == 401
    [(job,)] = execute("SELECT job FROM export")
    given = name.partition("=")[2]
    for guess in (str(job), "", given[:-1], given + "A", given.swapcase(), given + "%20", "*", "%25"):
        for method, url in ADDRESSES:
            assert who.request(method, f"{url}?job={guess}&file=Patient-1").status_code in (404,), (method, url, guess)
    for trick in TRICKS:
        assert who.get(f"$export-file?{name}&{trick}").status_code in (400, 404), trick
    for path in (f"$export-file/Patient-1?{name}", f"export/{job}/Patient-1.ndjson", f"$export-file/../Patient?{name}"):
        assert who.get(path).status_code == 404, path
    assert Http().get(f"/export/{given}/Patient-1.ndjson").status_code == 404


def test_A53_a_file_needs_what_the_kick_off_needed(group):
    """The client, switched on; a token that covers all that it was about, which ends at once."""
    who, name = started(group)
    urls = (f"$export-status?{name}", f"$export-file?{name}&file=Patient-1")
    less = robot("system/Patient.rs")
    assert {less.get(url).status_code for url in urls} == {403}
    assert {robot("patient/*.rs", patient=group.a).get(url).status_code for url in urls} == {403}
    assert {robot("system/*.cruds").get(url).status_code for url in urls} == {200}, "another token of the client"
    Client.objects.filter(name="robot").update(active=False)
    assert {who.get(url).status_code for url in urls} == {401}
    Client.objects.filter(name="robot").update(active=True)
    assert {who.get(url).status_code for url in urls} == {200}
    execute("UPDATE token_access SET revoked = now()")
    assert {who.get(url).status_code for url in urls} == {401}


def test_A53_after_its_time(group):
    who, name = started(group)
    execute("UPDATE job SET finished = finished - interval '25 hours'")
    absent = "job=" + "x" * len(name.partition("=")[2])
    for method, url in ADDRESSES:
        assert told(who.request(method, f"{url}?{name}&file=Patient-1")) == told(
            who.request(method, f"{url}?{absent}&file=Patient-1")
        )


def test_A54_a_binary_of_an_export_is_reached_no_other_way(group):
    """By its id it is judged as ever; the export makes no Binary and no other address of it."""
    data = base64.b64encode(b"secret of A").decode()
    id = group.made({"resourceType": "Binary", "contentType": "text/plain", "data": data,
                     "securityContext": {"reference": f"Patient/{group.a}"}})  # fmt: skip
    who, name = started(group)
    found = resources(who, manifest(who, f"$export-status?{name}"))
    assert [r["data"] for r in found if r["resourceType"] == "Binary"] == [data]
    given = name.partition("=")[2]
    for other in (group.other, group.stranger, group.doctor, robot("system/Patient.rs", name="other")):
        for url in (f"Binary/{id}", f"Binary/{id}/_history/1", f"Binary/{given}", "Binary/Binary-1"):
            assert other.get(url).status_code in (400, 403, 404), url  # its name may be no id at all
        assert other.get(f"$export-file?{name}&file=Binary-1").status_code in (403, 404)
    assert group.system.get(f"Binary/{given}").status_code in (400, 404)
    less = robot("system/Patient.rs system/Binary.rs")
    assert less.get(f"$export-file?{name}&file=Binary-1").status_code == 403
    assert "Binary" not in {r["resourceType"] for r in resources(less, exported(less, "$export?_type=Patient"))}
    for item in manifest(who, f"$export-status?{name}")["output"]:
        assert below(item["url"]).startswith("$export-file?job=")
    assert json.loads(group.patient.get(f"Binary/{id}", accept="application/fhir+json").content)["data"] == data
