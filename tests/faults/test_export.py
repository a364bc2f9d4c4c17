"""An export on a real server: its worker is killed in each phase, others write as fast as they can. (F33, F34)"""

import gzip
import hashlib
import json
import time
from collections import Counter

import psutil
import pytest

from records.definitions.structures import type_name
from tests.faults.checks import whole
from tests.faults.client import bundle, entry, marked, marker
from tests.faults.conftest import FAST
from tests.faults.load import Load
from tests.faults.server import Server, kill
from tests.test_up import eventually

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.long, pytest.mark.timeout(900)]
PATIENTS, EACH = 2000, 4


@pytest.fixture(scope="module")
def server():
    """Patients with a few observations each, and a Group of all of them."""
    server = Server(FAST)
    client, ids = server.client(120), [f"p{n}" for n in range(PATIENTS)]
    for at in range(0, PATIENTS, 500):
        entries = [entry("PUT", f"Patient/{id}", marked("Patient", marker(), id=id)) for id in ids[at : at + 500]]
        for id in ids[at : at + 500]:
            subject = {"subject": {"reference": f"Patient/{id}"}}
            entries += [entry("POST", "Observation", marked("Observation", marker(), **subject)) for _ in range(EACH)]
        assert client.post("", bundle(*entries)).status == 200
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
             "member": [{"entity": {"reference": f"Patient/{id}"}} for id in ids]}  # fmt: skip
    assert client.put("/Group/g", group).status == 201
    server.drained(120)
    yield server
    server.stop()


def kicked(client, url="/$export"):
    answer = client.get(url, Prefer="respond-async")
    assert answer.status == 202, answer.body
    return "/" + answer.headers["content-location"].partition("/fhir/")[2]


def done(client, status, within=300):
    """The manifest, when there is one."""
    answers = []

    def over():
        answers.append(client.get(status))
        return answers[-1].status != 202

    eventually(over, within)
    assert answers[-1].status == 200, answers[-1].body
    return json.loads(answers[-1].body)


def lines(client, told):
    """Counter of (type, id, version, digest of the line) of all files, fetched packed and plain."""
    found = Counter()
    for item in told["output"]:
        url = "/" + item["url"].partition("/fhir/")[2]
        plain, packed = client.get(url), client.get(url, Accept_Encoding="gzip")
        assert packed.headers["content-encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
        every = plain.body.split(b"\n")
        assert every.pop() == b"" and len(every) == item["count"]
        for line in every:
            tree = json.loads(line)
            found[
                tree["resourceType"], tree["id"], int(tree["meta"]["versionId"]), hashlib.sha256(line).hexdigest()
            ] += 1
    return found


def replayed(server, told, types=None):
    """The same of what the log of versions says there was at the moment."""
    rows = server.ask(
        "SELECT DISTINCT ON (v.resource) v.type, r.id, v.version, v.body FROM version v JOIN resource r"
        " ON r.pk = v.resource WHERE v.updated <= %s ORDER BY v.resource, v.version DESC",
        told["transactionTime"],
    )
    found = Counter()
    for type, id, version, body in rows:
        if body is not None and (types is None or type_name(type) in types):
            found[type_name(type), id, version, hashlib.sha256(bytes(body)).hexdigest()] += 1
    return found


def place(server):
    rows = server.ask("SELECT e.place, j.state FROM export e JOIN job j ON j.id = e.job ORDER BY e.job DESC LIMIT 1")
    return json.loads(rows[0][0]), rows[0][1]


def worker(server):
    """Its processes, as far as there are any."""
    try:
        return server.worker()
    except psutil.Error:  # one that has just died
        return []


def test_F34_the_worker_is_killed_in_each_phase(server):
    client = server.client()
    server.ask(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$"
    )
    server.ask("CREATE TRIGGER slow BEFORE UPDATE ON export FOR EACH ROW EXECUTE FUNCTION slow()")  # slices last
    status = kicked(client, "/Group/g/$export")
    killed = {}
    for slices in (0, 1, 3, 6, 9, 12, 14, 16, 18, 20):
        eventually(lambda n=slices: place(server)[0]["slices"] >= n or place(server)[1] == "done", 60)
        now, state = place(server)
        if state == "done":
            break
        assert client.get(status).status == 202, "no part of it is there"
        for process in worker(server):
            kill(process.pid)
        phase = "told" if now["patient"] is not None else "walked" if now["chosen"] else state
        killed[phase] = killed.get(phase, 0) + 1
        eventually(lambda: worker(server), 30)
    server.ask("DROP TRIGGER slow ON export")
    told = done(client, status)
    assert {"walked", "told"} <= set(killed)
    assert lines(client, told) == replayed(server, told)
    records = server.ask(
        "SELECT patient, count(*), sum(array_length(string_to_array(entities, ' '), 1)) FROM audit"
        " WHERE interaction = '$export' AND status = 200 GROUP BY patient"
    )
    assert len(records) == PATIENTS and {count for _, count, _ in records} == {1}, "each is told once"
    assert {int(entities) for _, _, entities in records} == {1 + EACH + 1}, "of all that is about them"


@pytest.mark.parametrize("seconds", [20])
def test_F33_under_load(server, seconds):
    client = server.client()
    with Load(server, writers=6, seed=33) as load:
        exports, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            before = len(load.log)
            told = done(client, kicked(client))
            assert len(load.log) > before
            assert lines(client, told) == replayed(server, told)
            exports += 1
    assert exports and set(load.statuses()) <= {200, 201, 204, 404, 409, 410, 412, 503}
    whole(server)
    assert server.log() == []
