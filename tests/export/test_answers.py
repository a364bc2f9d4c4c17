"""What an export answers: progress, manifest, files packed and plain, failure, cancel, expiry."""

import json
import threading
from email.utils import parsedate_to_datetime

import pytest
from django.db import connections

from accessctl.export import job as work
from accessctl.export import kept, walk
from accessctl.smart.tables import Client
from records import errors
from records.database import execute
from records.indexing import jobs
from tests.accessctl.people import World, observation

from .exports import below, content, exported, kicked, lines, manifest, named, resources, robot, worked


@pytest.fixture
def world(database):
    return World()


def rows():
    """How many rows each table of exports has."""
    return [execute(f"SELECT count(*) FROM {table}")[0][0]
            for table in ("export", "export_chunk", "export_content", "export_patient")]  # fmt: skip


def purged():
    while kept.purge():
        pass
    return rows()


def test_from_kick_off_to_files(world, monkeypatch):
    monkeypatch.setattr(walk, "WINDOW", 3)
    for _ in range(20):
        world.observation()
    api = robot("system/Patient.rs system/Observation.rs")
    status = kicked(api)
    assert status.startswith("$export-status?job=") and len(status.partition("=")[2]) > 40
    told = []
    while jobs.unfinished():
        answer = api.get(status)
        assert answer.status_code == 202 and not answer.content and int(answer.headers["Retry-After"]) > 0
        told.append(answer.headers["X-Progress"])
        jobs.advance()
    percent = [int(each.split()[0]) for each in told if each != "waiting"]
    assert told[0] == "waiting" and len(set(percent)) > 4 and max(percent) < 100
    answer = api.get(status, accept="application/json")
    assert parsedate_to_datetime(answer.headers["Expires"]) and answer.headers["Cache-Control"] == "no-store"
    found = json.loads(answer.content)
    assert set(found) == {"transactionTime", "request", "requiresAccessToken", "output", "deleted", "error"}
    assert found["request"] == "http://testserver/fhir/$export"
    assert [(item["type"], item["count"]) for item in found["output"]] == [("Observation", 20), ("Patient", 2)]
    assert len(named(resources(api, found))) == 22


def test_a_file_packed_and_plain(world):
    """The bytes are those of a read, accents and all."""
    id = world.observation(note=[{"text": "Fièvre à 39 °C, œdème — 漢字 \U0001f321"}])
    api = robot()
    (item,) = [item for item in exported(api)["output"] if item["type"] == "Observation"]
    plain = api.get(below(item["url"]), accept="application/fhir+ndjson")
    assert plain.headers["Content-Type"] == "application/fhir+ndjson" and "Content-Encoding" not in plain.headers
    assert plain.headers["Content-Disposition"] == 'attachment; filename="Observation-1.ndjson"'
    packed = api.get(below(item["url"]), accept="application/fhir+ndjson", accept_encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    stored = world.system.get(f"Observation/{id}").content
    assert content(plain) == content(packed) == stored + b"\n"
    assert lines(api, item) == [json.loads(stored)]


def test_files_of_a_type_end_and_others_begin(world, monkeypatch):
    """By lines and by bytes; each in chunks, which are one file to who fetches it."""
    monkeypatch.setattr(walk, "WINDOW", 4)
    monkeypatch.setattr(work, "MOST_LINES", 8)
    ids = {world.observation() for _ in range(20)}
    api = robot()
    told = exported(api, "$export?_type=Observation")
    assert [item["count"] for item in told["output"]] == [8, 8, 4]
    assert len({item["url"] for item in told["output"]}) == 3
    packed = resources(api, told, accept_encoding="gzip")
    assert {r["id"] for r in packed} == ids and packed == resources(api, told)
    monkeypatch.setattr(work, "MOST_BYTES", 1)
    told = exported(api, "$export?_type=Observation")
    assert [item["count"] for item in told["output"]] == [4] * 5


def test_large_resources(world, monkeypatch):
    """A slice takes so many bytes, and one resource that is larger; sent in pieces."""
    monkeypatch.setattr(walk, "LARGEST", 60_000)
    sizes = [10, 50_000, 300_000, 10, 40_000, 40_000]
    for n, size in enumerate(sizes):
        world.system.put(f"Basic/b{n}", {"resourceType": "Basic", "id": f"b{n}", "code": {"text": "x" * size}})
    api = robot()
    told = exported(api, "$export?_type=Basic")
    assert [len(r["code"]["text"]) for r in resources(api, told)] == sizes
    assert [count for (count,) in execute("SELECT count FROM export_chunk ORDER BY number")] == [2, 1, 2, 1]


def test_nothing_to_export(database):
    told = exported(robot())
    assert told["output"] == told["deleted"] == told["error"] == []


def test_cancelled(world, monkeypatch):
    """While it waits, runs, and when it is done: it is not there from then on, and its files go."""
    monkeypatch.setattr(walk, "WINDOW", 1)
    api = robot()
    for slices in (0, 1, 3, None):
        status = kicked(api)
        for _ in range(slices or 0):
            jobs.advance()
        if slices is None:
            worked()
            url = below(manifest(api, status)["output"][0]["url"])
            assert api.get(url).status_code == 200
        assert api.delete(status).status_code == 202
        assert api.get(status).status_code == 404 and api.delete(status).status_code == 404
        assert not jobs.advance()
        if slices is None:
            assert api.get(url).status_code == 404
        assert purged() == [0, 0, 0, 0]
    assert {state for (state,) in execute("SELECT state FROM job")} == {"cancelled", "done"}
    status = kicked(api)
    assert api.post(status.replace("status", "cancel"), None).status_code == 202
    assert api.get(status.replace("status", "cancel")).status_code == 405


def test_F35_a_cancel_while_it_ends(world):
    """Whoever is first: after it the export is not there, and nothing is left of it."""
    api = robot()
    for n in range(12):
        status = kicked(api)
        for _ in range(n % 6):
            jobs.advance()
        worker = threading.Thread(target=in_thread, args=(worked,), daemon=True)
        worker.start()
        assert api.delete(status).status_code == 202
        assert api.get(status).status_code == 404
        worker.join(30)
        assert not jobs.advance() and api.get(status).status_code == 404
    assert purged() == [0, 0, 0, 0]


def in_thread(work):
    work()
    connections.close_all()


def test_a_download_that_is_overtaken_by_its_end_does_not_end_well(world, monkeypatch):
    monkeypatch.setattr(walk, "WINDOW", 1)
    api = robot()
    status = kicked(api)
    worked()
    answer = api.get(below(manifest(api, status)["output"][-1]["url"]))
    pieces = iter(answer.streaming_content)
    next(pieces)
    api.delete(status)
    purged()
    with pytest.raises(Exception, match="not known"):
        list(pieces)


def test_over(world, settings):
    """Its time is that of the setting, from its end on; then nothing is left of it."""
    api = robot()
    status = kicked(api)
    worked()
    url = below(manifest(api, status)["output"][0]["url"])
    execute("UPDATE job SET finished = finished - interval '23 hours 59 minutes'")
    assert api.get(status).status_code == api.get(url).status_code == 200
    settings.FHIRSERVER_EXPORT_HOURS = 23
    assert {api.get(each).status_code for each in (status, url)} == {404} and api.delete(status).status_code == 404
    settings.FHIRSERVER_EXPORT_HOURS = 24
    assert purged()[:2] == [1, 1]
    execute("UPDATE job SET finished = finished - interval '1 minute'")
    assert api.get(status).status_code == 404
    assert purged() == [0, 0, 0, 0]


def failed(api, status):
    answer = api.get(status)
    return answer.status_code, answer.tree["issue"][0]["diagnostics"]


def test_a_fault_ends_it_and_its_words_are_for_administrators(world, monkeypatch):
    api = robot()
    status = kicked(api)
    monkeypatch.setattr(work, "of_type", lambda export, access: 1 / 0)
    worked()
    code, said = failed(api, status)
    assert code == 503 and "administrator" in said and "Zero" not in said
    assert "ZeroDivisionError" in jobs.listed()[0].error
    assert api.get("$export-file?file=Patient-1&" + status.partition("?")[2]).status_code == 404


LOST = [  # what becomes of the client, what is said of it
    ({"active": False}, "switched off"),
    ({"scopes": "system/Observation.rs"}, "have changed"),
    ({"scopes": "system/Patient.rs system/Observation.rs?category=x"}, "have changed"),
]


@pytest.mark.parametrize("change, said", LOST, ids=[said for _, said in LOST])
@pytest.mark.parametrize("slices", [0, 1, 3, 6])
def test_rights_that_end_meanwhile_end_it(world, monkeypatch, change, said, slices):
    """In whatever phase; and more rights than before change nothing."""
    monkeypatch.setattr(walk, "WINDOW", 1)
    world.observation()
    api = robot("system/Patient.rs system/Observation.rs")
    Client.objects.filter(name="robot").update(scopes="system/Patient.rs system/Observation.rs")
    status = kicked(api)
    for _ in range(slices):
        assert jobs.advance()
    Client.objects.filter(name="robot").update(**change)
    worked()
    [(state, error)] = execute("SELECT state, error FROM job")
    assert state == "failed" and said in error
    Client.objects.filter(name="robot").update(active=True, scopes="system/*.rs")
    code, told = failed(api, status)
    assert code == 403 and said in told
    assert jobs.OTHERS["export"].again(jobs.listed()[0])
    worked()
    assert len(named(resources(api, manifest(api, status)))) == 3, "it goes on where it was"


def test_two_exports_take_turns_and_neither_waits_for_the_index(world, monkeypatch):
    monkeypatch.setattr(walk, "WINDOW", 1)
    monkeypatch.setattr(jobs, "WINDOW", 1)
    for _ in range(5):
        world.observation()
    world.system.post("$reindex", None)
    one, other = robot(), robot(name="other")
    first, second = kicked(one), kicked(other, "$export?_type=Patient")
    jobs.advance()
    jobs.advance()
    assert {state for (state,) in execute("SELECT state FROM job")} == {"running"}, "three of them"
    while one.get(first).status_code == 202 and other.get(second).status_code == 202:
        assert jobs.advance()
    assert other.get(second).status_code == 200 and one.get(first).status_code == 202, "the small one is done first"
    worked()
    assert named(resources(one, manifest(one, first)))


def test_a_job_of_the_index_that_cannot_go_on_holds_up_no_export(world, monkeypatch):
    def busy(pks, keys=None):
        raise errors.Busy("The request took longer than the server allows.")

    monkeypatch.setattr(jobs, "renew", busy)
    world.system.post("$reindex", None)
    api = robot()
    status = kicked(api)
    jobs.advance()  # both begin
    while api.get(status).status_code == 202:
        assert jobs.advance()
    with pytest.raises(errors.Busy):
        jobs.advance()


def test_writes_go_first(world, monkeypatch):
    monkeypatch.setattr(jobs, "BUSY", 3)
    for n in range(4):
        world.system.put(f"Observation/o{n}", observation(world.a) | {"id": f"o{n}"})
    kicked(robot())
    assert not jobs.advance()
