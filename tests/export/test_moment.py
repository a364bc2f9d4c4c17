"""An export is of one moment, whatever is written meanwhile, and in whatever order it commits. (faults F32, F33)"""

import random
import threading
import time
from datetime import datetime

import pytest
from django.db import connections

from accessctl.export import job as work
from accessctl.export import walk
from records.access import Everything
from records.database import as_system, atomic, execute
from records.indexing import jobs
from records.resources import store
from tests.accessctl.people import observation
from tests.api import Api
from tests.running import Running

from .exports import exported, kicked, manifest, named, resources, robot, worked


@pytest.fixture
def api(database):
    return Api()


def history(api):
    """(type, id) -> [(time, version, resource or None)] of everything, oldest first, as the history tells it."""
    found, url = {}, "_history?_count=1000"
    while url:
        page = api.get(url).tree
        for entry in page.get("entry", ()):
            type, id = entry["fullUrl"].split("/")[-2:]
            response = entry["response"]
            moment = datetime.fromisoformat(response["lastModified"])
            version = response["etag"].split('"')[1]
            found.setdefault((type, id), []).append((moment, version, entry.get("resource")))
        url = next((link["url"].partition("/fhir/")[2] for link in page["link"] if link["relation"] == "next"), None)
    return {key: sorted(versions, key=lambda v: v[0]) for key, versions in found.items()}


def replayed(api, told, since=None):
    """What the history says there was at the moment of a manifest: (resources, deleted since)."""
    moment = datetime.fromisoformat(told["transactionTime"])
    there, gone = {}, set()
    for (type, id), versions in history(api).items():
        until = [v for v in versions if v[0] <= moment]
        if not until or (since and until[-1][0] <= since):
            continue
        _, version, resource = until[-1]
        if resource is None:
            gone.add(f"{type}/{id}")
        else:
            there[type, id, version] = resource
    return there, gone


def agrees(api, exporter, told, since=None):
    """The files are what the replay says: nothing after, nothing missing, nothing deleted, nothing twice."""
    there, gone = replayed(api, told, since)
    found = resources(exporter, told)
    assert named(found) == set(there)
    assert {(r["resourceType"], r["id"], r["meta"]["versionId"]): r for r in found} == there
    deleted = [e["request"] for b in resources(exporter, told, "deleted") for e in b["entry"]]
    assert {d["method"] for d in deleted} <= {"DELETE"}
    assert sorted(d["url"] for d in deleted) == sorted(gone if since else ())


class Writers(Running):
    """Programs that write, update and delete until they are stopped."""

    def __init__(self, count):
        super().__init__()
        self.written = 0
        self.threads = [threading.Thread(target=self.run, args=(Api(), n), daemon=True) for n in range(count)]

    def run(self, api, n):
        dice, mine = random.Random(n), []
        patient = {"resourceType": "Patient", "id": f"w{n}"}
        api.put(f"Patient/w{n}", patient)
        while not self.over.is_set():
            what = dice.random()
            if what < 0.4 or not mine:
                id = f"o{n}-{len(mine)}"
                answer = api.put(f"Observation/{id}", observation(f"w{n}") | {"id": id})
                mine.append(id)
            elif what < 0.8:
                id = dice.choice(mine)
                answer = api.put(
                    f"Observation/{id}", observation(f"w{n}", valueInteger=dice.randrange(9**9)) | {"id": id}
                )
            else:
                answer = api.delete(f"Observation/{dice.choice(mine)}")
            assert answer.status_code < 300, answer.content
            self.written += 1
        connections.close_all()


def test_F33_an_export_while_others_write(api, monkeypatch):
    """Then another of what came since, which takes up where the first ended."""
    monkeypatch.setattr(walk, "WINDOW", 7)
    exporter = robot()
    with Writers(4) as writers:
        while writers.written < 60:
            time.sleep(0.01)
        status = kicked(exporter)
        before = writers.written
        while jobs.unfinished():
            jobs.advance()
        during = writers.written - before
    assert during, "they wrote meanwhile"
    first = manifest(exporter, status)
    agrees(api, exporter, first)
    second = exported(exporter, f"$export?_since={first['transactionTime']}")
    agrees(api, exporter, second, datetime.fromisoformat(first["transactionTime"]))
    assert second["output"] and second["deleted"]


class Slow(Everything):
    """Who writes through it stops when the time of the write is read, before its rows are there."""

    def __init__(self):
        self.reached, self.gate = threading.Event(), threading.Event()

    @property
    def author(self):
        self.reached.set()
        assert self.gate.wait(30)
        return None


def written(access, resource):
    with as_system(), atomic():
        store.write([store.Write("POST", resource["resourceType"], None, resource)], access)


def test_F33_what_commits_late_is_waited_for(api):
    """A write that got its time before the export began, and commits after it."""
    api.put("Patient/before", {"resourceType": "Patient", "id": "before"})  # a sequence's first number takes one itself
    slow, exporter = Slow(), robot()
    status = kicked(exporter)
    writer = threading.Thread(target=written, args=(slow, {"resourceType": "Patient"}), daemon=True)
    writer.start()
    assert slow.reached.wait(30)
    assert jobs.advance() and not jobs.advance() and not jobs.advance(), "it began, and waits"
    api.put("Patient/later", {"resourceType": "Patient", "id": "later"})
    assert not jobs.advance(), "what ended meanwhile does not matter"
    slow.gate.set()
    writer.join(30)
    worked()
    told = manifest(exporter, status)
    agrees(api, exporter, told)
    assert len(resources(exporter, told)) == 2


def test_a_job_of_the_index_waits_for_what_began_before_it(api):
    """Whatever number the database had given last to a transaction that has ended."""
    slow = Slow()
    api.post("Patient/$reindex", None)
    writer = threading.Thread(target=written, args=(slow, {"resourceType": "Patient"}), daemon=True)
    writer.start()
    assert slow.reached.wait(30)
    assert jobs.advance() and not jobs.advance()
    slow.gate.set()
    writer.join(30)
    worked()


def test_each_resource_is_as_it_was(api):
    """Deleted after the moment, deleted before it, come back, changed."""
    exporter = robot()
    for id in ("stays", "goes", "gone", "back", "changes"):
        api.put(f"Patient/{id}", {"resourceType": "Patient", "id": id})
    api.delete("Patient/gone")
    api.delete("Patient/back")
    api.put("Patient/back", {"resourceType": "Patient", "id": "back", "gender": "female"})
    status = kicked(exporter)
    jobs.advance()
    api.delete("Patient/goes")
    api.put("Patient/changes", {"resourceType": "Patient", "id": "changes", "gender": "male"})
    api.put("Patient/new", {"resourceType": "Patient", "id": "new"})
    api.put("Patient/gone", {"resourceType": "Patient", "id": "gone"})
    worked()
    told = manifest(exporter, status)
    assert named(resources(exporter, told)) == {
        ("Patient", "stays", "1"), ("Patient", "goes", "1"), ("Patient", "back", "3"), ("Patient", "changes", "1"),
    }  # fmt: skip
    agrees(api, exporter, told)


def test_since(api):
    exporter = robot()
    for id in ("a", "b", "c"):
        api.put(f"Patient/{id}", {"resourceType": "Patient", "id": id})
    first = exported(exporter)["transactionTime"]
    assert first.endswith("Z") and len(first) == 24, "an instant, with milliseconds"
    api.put("Patient/b", {"resourceType": "Patient", "id": "b", "gender": "other"})
    api.delete("Patient/c")
    told = exported(exporter, f"$export?_since={first}")
    assert named(resources(exporter, told)) == {("Patient", "b", "2")}
    assert [item["type"] for item in told["deleted"]] == ["Bundle"]
    (bundle,) = resources(exporter, told, "deleted")
    assert bundle == {"resourceType": "Bundle", "type": "transaction",
                      "entry": [{"request": {"method": "DELETE", "url": "Patient/c"}}]}  # fmt: skip
    zone = told["transactionTime"].replace("Z", "+00:00")  # a + that became a space
    third = exported(exporter, f"$export?_since={zone}")
    assert third["output"] == third["deleted"] == third["error"] == []
    assert third["request"].endswith(f"$export?_since={zone}") and third["requiresAccessToken"] is True


def test_the_moment_is_over_when_it_is_named(api):
    """Of the millisecond that runs others may still write."""
    api.put("Patient/a", {"resourceType": "Patient", "id": "a"})
    execute("UPDATE resource SET updated = now() + interval '1 hour'")
    kicked(robot())
    jobs.advance()
    [(moment, now, whole)] = execute("SELECT moment, now(), date_trunc('milliseconds', moment) = moment FROM export")
    assert moment < now and whole
    assert work.DELETED not in {file for (file,) in execute("SELECT file FROM export_chunk")}
