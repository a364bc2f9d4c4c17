"""The same request sent twice has one effect; one answer shows one moment. (F18 F20)"""

import threading
from collections import Counter

import pytest

from tests.faults.client import SYSTEM, Client, bundle, crowd, entry, marked, marker, visit

pytestmark = pytest.mark.xdist_group("races")


@pytest.mark.parametrize("rounds", [pytest.param(2), pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.parametrize("what", ["create", "transaction", "batch"])
def test_F18_one_key_sent_by_fifty_has_one_effect_and_one_answer(server, what, rounds):
    with crowd(server, 50) as clients:
        for _ in range(rounds):
            mark, key = marker(), marker()
            body, path = visit(mark), ""
            if what == "create":
                body, path = marked("Patient", mark), "/Patient"
            if what == "batch":
                body = bundle(entry("POST", "Patient", marked("Patient", mark)), type="batch")
            answers = clients.all_at_once(
                lambda client, n, body=body, path=path, key=key: client.post(path, body, Idempotency_Key=key)
            )
            assert len({(a.status, a.body) for a in answers}) == 1, Counter(a.status for a in answers)
            if what != "batch":
                assert sum("idempotent-replayed" not in a.headers for a in answers) == 1
            found = clients.clients[0].get(f"/Patient?identifier={SYSTEM}|{mark}&_summary=count").tree
            assert found["total"] == 1


def test_F18_another_body_under_the_key_is_refused(server):
    key = marker()
    with crowd(server, 10) as clients:
        answers = clients.all_at_once(
            lambda client, n: client.post("/Patient", marked("Patient", f"{key}-{n}"), Idempotency_Key=key)
        )
    assert Counter(a.status for a in answers) == {201: 1, 422: 9}


def test_F18_a_key_belongs_to_its_principal(server):
    key, mark = marker(), marker()
    first = server.client().post("/Patient", marked("Patient", mark), Idempotency_Key=key)
    other = issue(server, "another", "system/*.cruds")
    second = Client(server.up.port, other).post("/Patient", marked("Patient", mark), Idempotency_Key=key)
    assert (first.status, second.status) == (201, 201)
    assert first.id != second.id


def issue(server, client, scope):
    import subprocess

    from tests.test_up import ENVIRONMENT, MANAGE

    command = [*MANAGE, "issue_token", "--data", str(server.path), "--client", client, "--scope", scope]
    issued = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=True)
    return issued.stdout.splitlines()[-1]


READS = {
    "_id": "/Observation?_id={a},{b}",
    "identifier": "/Observation?identifier=" + SYSTEM + "|{mark}",
    "subject": "/Observation?subject=Patient/{patient}",
    "_include": "/Observation?_id={a}&_include=Observation:has-member",
    "transaction": None,
}


@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("reads", [pytest.param(60), pytest.param(3000, marks=pytest.mark.long)])
def test_F20_what_one_answer_shows_is_of_one_moment(server, how, reads):
    """A mover takes from one and gives to the other, in transactions: the sum that a reader sees never changes."""
    client, mark = server.client(), marker()
    patient, a, b = client.post("/Patient", marked("Patient", mark)).id, marker(), marker()

    def move(client, amount):
        about = {"subject": {"reference": f"Patient/{patient}"}}
        x = marked(
            "Observation", mark, id=a, valueInteger=amount, hasMember=[{"reference": f"Observation/{b}"}], **about
        )
        y = marked("Observation", mark, id=b, valueInteger=1000 - amount, **about)
        return client.post("", bundle(entry("PUT", f"Observation/{a}", x), entry("PUT", f"Observation/{b}", y)))

    assert move(client, 0).status == 200
    over = threading.Event()

    def mover():
        own, amount = server.client(), 0
        while not over.is_set():
            amount = (amount + 7) % 1000
            assert move(own, amount).status == 200

    thread = threading.Thread(target=mover)
    thread.start()
    try:
        with crowd(server, 3) as clients:

            def read(client, n):
                sums = Counter()
                for _ in range(reads // 3):
                    if how == "transaction":
                        answer = client.post("", bundle(*(entry("GET", f"Observation/{id}") for id in (a, b))))
                    else:
                        answer = client.get(READS[how].format(a=a, b=b, mark=mark, patient=patient))
                    assert answer.status == 200
                    values = [e["resource"]["valueInteger"] for e in answer.tree.get("entry", ())
                              if e["resource"]["resourceType"] == "Observation"]  # fmt: skip
                    sums[len(values), sum(values)] += 1
                return sums

            found = clients.all_at_once(read)
    finally:
        over.set()
        thread.join()
    assert sum(found, Counter()).keys() == {(2, 1000)}
