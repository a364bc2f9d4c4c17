"""One resource or two, written by many at once: every answer fits one serial order. (F12 F13 F14 F19)"""

import random
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.faults.checks import whole
from tests.faults.client import bundle, crowd, entry, marked, marker

pytestmark = pytest.mark.xdist_group("races")


@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(50, marks=pytest.mark.long)])
def test_F13_two_hundred_updates_of_one_version_have_one_winner(server, rounds):
    client = server.client()
    with crowd(server, 200) as clients:
        for _ in range(rounds):
            id = client.post("/Patient", marked("Patient", marker())).id
            answers = clients.all_at_once(
                lambda client, n, id=id: client.put(
                    f"/Patient/{id}", marked("Patient", f"{n}", id=id), If_Match='W/"1"'
                )
            )
            assert Counter(a.status for a in answers) == {200: 1, 412: 199}, why(answers)
            (winner,) = (n for n, a in enumerate(answers) if a.status == 200)
            history = client.get(f"/Patient/{id}/_history").tree
            assert history["total"] == 2
            assert history["entry"][0]["resource"]["identifier"][0]["value"] == f"{winner}"


def why(answers):
    """What those were told that were refused for another reason."""
    return Counter(a.tree["issue"][0]["diagnostics"] for a in answers if a.status >= 400)


@pytest.mark.parametrize("loops", [pytest.param(10), pytest.param(200, marks=pytest.mark.long)])
def test_F12_transactions_in_opposite_order_all_happen(server, loops):
    """Known rows, ids that are new to all, patches between updates, the same criteria: no 500, no lost write."""
    client = server.client()
    a, b = (client.post("/Patient", marked("Patient", marker())).id for _ in range(2))
    writers, marks, fresh = 8, set(), [[marker() for _ in range(6)] for _ in range(loops)]

    def patch(id, mark):
        parts = [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "Patient.identifier[0].value"},
            {"name": "value", "valueString": mark},
        ]
        body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        return entry("PATCH", f"Patient/{id}", body)

    def send(client, n):
        found = []
        for loop in range(loops):
            mark = marker()
            first, second = (a, b) if n % 2 else (b, a)
            put = lambda id, mark=mark: entry("PUT", f"Patient/{id}", marked("Patient", mark, id=id))  # noqa: E731
            one = patch(first, mark) if n % 4 < 2 else put(first)
            ids = fresh[loop] if n % 2 else fresh[loop][::-1]
            found.append((mark, client.post("", bundle(one, put(second), *(put(id) for id in ids)))))
        return found

    with crowd(server, writers) as clients:
        for found in clients.all_at_once(send):
            for mark, answer in found:
                assert answer.status == 200, answer.tree
                marks.add(mark)
    assert len(marks) == writers * loops
    for id in (a, b):
        assert client.get(f"/Patient/{id}").version == 1 + writers * loops
    assert client.get(f"/Patient/{a}").tree["identifier"] == client.get(f"/Patient/{b}").tree["identifier"]
    for ids in fresh:
        assert {client.get(f"/Patient/{id}").version for id in ids} == {writers}
    whole(server)


@dataclass
class Op:
    """What one request did to a register, and when it was under way."""

    kind: str  # put | delete | get
    began: float
    ended: float
    status: int
    version: int | None  # None: absent
    mark: str | None = None


def run_ops(server, ids, writers, each, seed):
    """Unconditional PUT, GET and DELETE at random; id -> [Op]."""

    def work(client, n):
        chance = random.Random(f"{seed}/{n}")
        done = []
        for _ in range(each):
            id, draw = chance.choice(ids), chance.random()
            mark, began = marker(), time.monotonic()
            if draw < 0.45:
                kind, answer = "put", client.put(f"/Basic/{id}", marked("Basic", mark, id=id))
            elif draw < 0.9:
                kind, answer = "get", client.get(f"/Basic/{id}")
                mark = answer.tree["identifier"][0]["value"] if answer.status == 200 else None
            else:
                kind, answer, mark = "delete", client.delete(f"/Basic/{id}"), None
            version = answer.version if "etag" in answer.headers else None
            done.append((id, Op(kind, began, time.monotonic(), answer.status, version, mark)))
        return done

    found = {id: [] for id in ids}
    with crowd(server, writers) as clients:
        for done in clients.all_at_once(work):
            for id, op in done:
                found[id].append(op)
    return found


def check_register(ops, history):
    """The versions are one serial order that agrees with every answer and with real time. (linearizability)

    `history` is {version: marker, None where deleted}. A version names the moment of each write and each read that
    saw it; what ended before another began must not come after it.
    """
    puts = [op for op in ops if op.kind == "put"]
    assert {op.status for op in puts} <= {200, 201}, Counter(op.status for op in puts)
    assert len({op.version for op in puts}) == len(puts), "two acknowledged writes have one version"
    for op in puts:
        assert history[op.version] == op.mark
        before = history.get(op.version - 1)
        assert (op.status == 201) == (before is None), "201 where something was, or 200 where nothing was"
    gone = [0, *(version for version, mark in history.items() if mark is None)]
    settled, latest = sorted(ops, key=lambda op: op.ended), 0
    floor = {}  # op -> highest version settled before it began
    position = 0
    for op in sorted(ops, key=lambda op: op.began):
        while position < len(settled) and settled[position].ended < op.began:
            latest = max(latest, settled[position].version or 0)
            position += 1
        floor[id(op)] = latest
    for op in ops:
        lowest = floor[id(op)]
        if op.kind == "put":
            assert op.version > lowest, f"version {op.version} written after {lowest} was known"
        elif op.kind == "get" and op.status == 200:
            assert history[op.version] == op.mark, "a read that shows another version's content"
            assert op.version >= lowest, f"read {op.version} after {lowest} was known"
        else:
            assert op.status in (204, 404, 410), op
            assert any(version >= lowest for version in gone), "absent, and was not"


@pytest.mark.parametrize("each", [pytest.param(100), pytest.param(6000, marks=pytest.mark.long)])
def test_F14_puts_gets_and_deletes_are_linearizable_for_each_id(server, each):
    """16 clients on 4 ids; the long form is 96,000 operations."""
    ids = [marker() for _ in range(4)]
    found = run_ops(server, ids, 16, each, seed=each)
    for id, ops in found.items():
        history = {
            version: bytes(body).split(b'"value":"')[1].split(b'"')[0].decode() if body else None
            for version, body in server.ask(
                "SELECT v.version, v.body FROM version v JOIN resource r ON r.pk = v.resource WHERE r.id = %s", id
            )
        }
        assert sorted(history) == list(range(1, len(history) + 1))
        check_register(ops, history)
        deletions = [version for version, mark in history.items() if mark is None]
        assert not {v + 1 for v in deletions} & set(deletions), "deleted what was deleted"
    whole(server)


def test_F14_the_checker_finds_what_is_not_linearizable():
    """A checker that accepts everything checks nothing."""
    put = lambda version, began, ended, mark: Op("put", began, ended, 201 if version == 1 else 200, version, mark)  # noqa: E731
    get = lambda version, began, ended, mark: Op("get", began, ended, 200, version, mark)  # noqa: E731
    history = {1: "a", 2: "b"}
    good = [put(1, 0, 1, "a"), put(2, 2, 3, "b"), get(1, 2.5, 2.6, "a"), get(2, 4, 5, "b")]
    check_register(good, history)
    for wrong in (
        [put(2, 0, 1, "b"), put(1, 2, 3, "a")],  # the later write has the lower version
        [put(1, 0, 1, "a"), put(1, 0, 1, "a")],  # two writes, one version
        [*good, get(1, 4, 5, "a")],  # stale read
        [*good, get(2, 4, 5, "a")],  # the other version's content
        [*good, Op("get", 6, 7, 404, None)],  # lost
    ):
        with pytest.raises(AssertionError):
            check_register(wrong, history)


@pytest.mark.parametrize("rounds", [pytest.param(10), pytest.param(300, marks=pytest.mark.long)])
def test_F19_delete_against_upsert_leaves_some_serial_order(server, rounds):
    client = server.client()
    with crowd(server, 12) as clients:
        for _ in range(rounds):
            id, marks = marker(), [marker() for _ in range(12)]

            def request(client, n, id=id, marks=marks):
                if n % 2:
                    return client.delete(f"/Basic/{id}")
                return client.put(f"/Basic/{id}", marked("Basic", marks[n], id=id))

            answers = clients.all_at_once(request)
            entries = client.get(f"/Basic/{id}/_history?_count=50").tree["entry"][::-1]
            states = [e.get("resource", {}).get("identifier", [{}])[0].get("value") for e in entries]
            assert not any(x is None and y is None for x, y in pairwise(states))
            assert states[0] is not None
            for n, answer in enumerate(answers):
                if n % 2:
                    assert answer.status in (204, 404), answer.status
                else:
                    assert states[answer.version - 1] == marks[n]
                    fresh = answer.version == 1 or states[answer.version - 2] is None
                    assert answer.status == (201 if fresh else 200)
