"""Conditions that search, asked by many at once: one resource each. (F15 F16 F17; http.html#ccreate #cond-update)"""

import json
import random
from collections import Counter
from itertools import pairwise

import pytest

from tests.faults.client import SYSTEM, bundle, crowd, entry, marked, marker

pytestmark = pytest.mark.xdist_group("races")
LONG = [pytest.param(20), pytest.param(1000, marks=pytest.mark.long)]


def criteria(mark):
    return f"identifier={SYSTEM}|{mark}"


@pytest.mark.parametrize("rounds", LONG)
def test_F15_twenty_conditional_creates_make_one_resource(server, rounds):
    """One 201, nineteen 200 with its id; over two web processes."""
    assert len(server.webs()) == 2
    with crowd(server, 20) as clients:
        for _ in range(rounds):
            mark = marker()
            answers = clients.all_at_once(
                lambda client, n, mark=mark: client.post(
                    "/Patient", marked("Patient", mark), If_None_Exist=criteria(mark)
                )
            )
            assert Counter(a.status for a in answers) == {201: 1, 200: 19}
            assert len({a.id for a in answers}) == 1
        found = clients.clients[0].get(f"/Patient?{criteria(mark)}&_summary=count").tree
    assert found["total"] == 1


@pytest.mark.parametrize("rounds", [pytest.param(3), pytest.param(100, marks=pytest.mark.long)])
def test_F15_criteria_that_the_indexer_must_answer_make_one_resource_too(server, rounds):
    """A name is indexed after the write; a conditional create waits for the index, or says 503, never creates twice."""
    with crowd(server, 10) as clients:
        for _ in range(rounds):
            mark = marker()
            body = {"resourceType": "Patient", "name": [{"family": mark}]}
            answers = clients.all_at_once(
                lambda client, n, mark=mark, body=body: client.post("/Patient", body, If_None_Exist=f"family={mark}")
            )
            told = Counter(a.status for a in answers)
            assert told[201] == 1 and set(told) <= {200, 201, 503}, told
            assert len({a.id for a in answers if a.status < 300}) == 1


@pytest.mark.parametrize("rounds", [pytest.param(3), pytest.param(100, marks=pytest.mark.long)])
def test_F16_conditional_updates_make_one_resource_and_a_version_each(server, rounds):
    with crowd(server, 20) as clients:
        for _ in range(rounds):
            mark = marker()
            answers = clients.all_at_once(
                lambda client, n, mark=mark: client.put(
                    f"/Patient?{criteria(mark)}", marked("Patient", mark, name=[{"family": f"Writer {n}"}])
                )
            )
            assert Counter(a.status for a in answers) == {201: 1, 200: 19}
            assert len({a.id for a in answers}) == 1
            assert sorted(a.version for a in answers) == list(range(1, 21))


@pytest.mark.parametrize("rounds", [pytest.param(5), pytest.param(200, marks=pytest.mark.long)])
def test_F16_a_conditional_update_meets_only_what_matches(server, rounds):
    """Others take the identifier away and give it back, by id: no version of theirs without it is overwritten."""
    client = server.client()
    mark = marker()
    id = client.post("/Patient", marked("Patient", mark)).id

    def send(client, n):
        for turn in range(rounds):
            if n % 2:
                answer = client.put(f"/Patient/{id}", marked("Patient", f"{mark}-{n}" if turn % 2 else mark, id=id))
            else:
                answer = client.put(f"/Patient?{criteria(mark)}", marked("Patient", mark, gender="other"))
            assert answer.status in (200, 201, 412, 503), answer.tree  # 412: it was made anew, and then given back

    with crowd(server, 8) as clients:
        clients.all_at_once(send)
    versions = [e["resource"] for e in client.get(f"/Patient/{id}/_history?_count=1000").tree["entry"]]
    assert len(versions) > rounds
    for after, before in pairwise(versions):
        if after.get("gender"):
            assert before["identifier"][0]["value"] == mark


@pytest.mark.parametrize("how", ["JSON Patch", "FHIRPath Patch", "in a transaction"])
def test_F16_no_patch_is_lost(server, how):
    client = server.client()
    mark = marker()
    id = client.post("/Patient", marked("Patient", mark)).id

    def patch(client, n):
        value = {"system": SYSTEM, "value": f"{mark}-{n}"}
        steps = [{"op": "add", "path": "/identifier/-", "value": value}]
        if how == "JSON Patch":
            return client.ask(
                "PATCH", f"/Patient/{id}", json.dumps(steps).encode(), Content_Type="application/json-patch+json"
            )
        parts = [
            {"name": "type", "valueCode": "add"},
            {"name": "path", "valueString": "Patient"},
            {"name": "name", "valueString": "identifier"},
            {"name": "value", "valueIdentifier": value},
        ]
        body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        if how == "FHIRPath Patch":
            return client.ask("PATCH", f"/Patient/{id}", body)
        return client.post("", bundle(entry("PATCH", f"Patient/{id}", body)))

    with crowd(server, 50) as clients:
        answers = clients.all_at_once(patch)
    assert Counter(a.status for a in answers) == {200: 50}
    stored = client.get(f"/Patient/{id}")
    assert stored.version == 51
    assert {i["value"] for i in stored.tree["identifier"]} == {mark, *(f"{mark}-{n}" for n in range(50))}


def test_F16_conditional_deletes_delete_once(server):
    client = server.client()
    for _ in range(5):
        mark = marker()
        id = client.post("/Patient", marked("Patient", mark)).id
        with crowd(server, 20) as clients:
            answers = clients.all_at_once(lambda client, n, mark=mark: client.delete(f"/Patient?{criteria(mark)}"))
        assert {a.status for a in answers} <= {200, 204, 404}
        assert client.get(f"/Patient/{id}").status == 410
        assert client.get(f"/Patient/{id}/_history").tree["total"] == 2


@pytest.mark.parametrize("each", [pytest.param(3), pytest.param(50, marks=pytest.mark.long)])
def test_F17_bundles_that_share_conditional_creates_refer_to_the_same_resources(server, each):
    """Ten clients, five carers named by all of them, in any order."""
    marks = [marker() for _ in range(5)]

    def send(client, n):
        chance = random.Random(n)
        answers = []
        for _ in range(each):
            carers = chance.sample(marks, 5)
            entries = [
                entry("POST", "Practitioner", marked("Practitioner", m), f"urn:uuid:{m[:8]}-0000-4000-8000-{m[-12:]}",
                      ifNoneExist=criteria(m)) for m in carers
            ]  # fmt: skip
            entries += [
                entry("POST", "Observation", marked("Observation", marker(), performer=[{"reference": e["fullUrl"]}]))
                for e in entries
            ]
            answers.append((carers, client.post("", bundle(*entries), Prefer="return=representation")))
        return answers

    with crowd(server, 10) as clients:
        answers = [a for found in clients.all_at_once(send) for a in found]
    assert Counter(a.status for _, a in answers) == {200: 10 * each}
    ids = {}
    for carers, answer in answers:
        given = [e["resource"] for e in answer.tree["entry"]]
        for mark, carer, observation in zip(carers, given[:5], given[5:], strict=True):
            ids.setdefault(mark, set()).add(carer["id"])
            assert observation["performer"] == [{"reference": f"Practitioner/{carer['id']}"}]
    assert [len(found) for found in ids.values()] == [1] * 5
