"""`manage.py load` and `demo`: every part once, nothing by halves, every refusal told with its place and reason."""

import bz2
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from records.database import execute as query
from records.formats.json import dump
from records.loading import inputs, ledger, lines, load, processes, progress, report, work
from records.population import people

ROOT = Path(__file__).resolve().parent.parent
PATIENT = {"resourceType": "Patient", "name": [{"family": "Lœuillet"}]}


def ndjson(*resources):
    return b"".join((r if isinstance(r, bytes) else dump(r)) + b"\n" for r in resources)


def bundle(kind, *entries):
    return dump({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def post(resource, **more):
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]} | more}


# -- reading ---------------------------------------------------------------------------------------------------------


def cut(text, done=()):
    return [(line.number, line.start, line.until) for chunk in lines.chunks(io.BytesIO(text), done) for line in chunk]


def test_lines_know_their_number_and_their_bytes():
    assert cut(b"a\nbb\nc") == [(1, 0, 2), (2, 2, 5), (3, 5, 6)]


def test_empty_lines_belong_to_the_line_before():
    assert cut(b"\n\na\n \r\nb\n\n") == [(3, 2, 7), (5, 7, 10)]
    assert cut(b"") == cut(b"\n\n") == []


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ([(0, 2)], [(2, 2, 5), (3, 5, 7)]),
        ([(2, 5)], [(1, 0, 2), (3, 5, 7)]),
        ([(0, 7)], []),
        ([(0, 2), (5, 7)], [(2, 2, 5)]),
    ],
)
def test_what_is_done_is_passed_over(done, left):
    assert cut(b"a\nbb\nc\n", done) == left


def test_chunks_are_bounded_and_hold_neighbours_only(monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_LINES", 2)
    text = b"".join(b"%d\n" % n for n in range(7))
    assert [len(chunk) for chunk in lines.chunks(io.BytesIO(text))] == [2, 2, 2, 1]
    assert [len(chunk) for chunk in lines.chunks(io.BytesIO(text), [(2, 4)])] == [1, 2, 2, 1]
    monkeypatch.setattr(lines, "CHUNK_BYTES", 3)
    assert [len(chunk) for chunk in lines.chunks(io.BytesIO(b"aaaa\nb\nc\n"))] == [1, 1, 1]


def test_a_line_without_end_is_not_kept_in_memory(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 10)
    monkeypatch.setattr(lines, "BLOCK", 4)
    found = [line for chunk in lines.chunks(io.BytesIO(b"a\n" + b"x" * 50 + b"\nb\n")) for line in chunk]
    assert [(line.number, line.start, line.until, line.data) for line in found] == [
        (1, 0, 2, b"a\n"), (2, 2, 53, None), (3, 53, 55, b"b\n"),
    ]  # fmt: skip


def test_inputs_are_found_in_folders(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.ndjson.gz", "a.json", "below/c.jsonl.bz2", "README.md", "d.xml", "archive.tar.gz"):
        (tmp_path / name).write_bytes(b"")
    found = inputs.find([tmp_path, tmp_path / "a.json"])
    assert [(i.path.relative_to(tmp_path).as_posix(), i.kind) for i in found] == [
        ("a.json", ".json"), ("b.ndjson.gz", ".ndjson"), ("below/c.jsonl.bz2", ".jsonl"), ("d.xml", ".xml"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["missing", "README.md", "empty"])
def test_nothing_to_load_is_said(tmp_path, name):
    (tmp_path / "README.md").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(inputs.NothingToLoad):
        inputs.find([tmp_path / name])


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_packed_inputs(tmp_path, suffix, pack):
    path = tmp_path / f"x.ndjson{suffix}"
    path.write_bytes(pack(b"a\nb\n" * 1000))
    source = inputs.Input.at(path)
    with source.open() as content:
        assert len(list(lines.lines(content))) == 2000
        assert inputs.position(content) == source.size


# -- processes -------------------------------------------------------------------------------------------------------


def test_work_is_spread_and_all_results_come():
    with processes.Pool(3, lambda n: (n * n, os.getpid())) as pool:
        found = list(pool.map(range(20)))
        assert sorted(square for square, _ in found) == [n * n for n in range(20)]
        assert len({pid for _, pid in found}) == 3
        assert list(pool.map([])) == []


def test_units_are_taken_one_by_one():
    given = []

    def units():
        for n in range(10):
            given.append(n)
            yield n

    with processes.Pool(2, lambda n: n) as pool:
        results = pool.map(units())
        next(results)
        assert len(given) <= 4  # never the whole input


def test_an_error_in_a_process_is_raised_here():
    def fail(n):
        raise ValueError(f"unit {n}")

    with processes.Pool(1, fail) as pool, pytest.raises(ValueError, match="unit 1"):
        list(pool.map([1]))


def test_a_process_that_is_killed_is_said():
    pool = processes.Pool(1, lambda n: os.kill(os.getpid(), signal.SIGKILL))
    with pool, pytest.raises(processes.ProcessEnded, match="SIGKILL"):
        list(pool.map([1]))


# -- loading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(database, tmp_path):
    """A function: write files into a folder, load the folder; (Summary, refusals)."""
    from fhirserver.system import execute

    def run(count=2, **files):
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name.replace("__", ".")).write_bytes(data)
        told = tmp_path / "refused.ndjson"
        told.unlink(missing_ok=True)
        with report.Report(told) as out:
            shown = progress.Progress(1, io.StringIO())
            summary = load.load(inputs.find([folder]), execute, out, shown, count)
        return summary, [json.loads(line) for line in told.read_bytes().splitlines()] if told.exists() else []

    return run


def stored():
    return query("SELECT count(*) FROM resource WHERE NOT deleted")[0][0]


def test_ndjson_updates_where_there_is_an_id_and_creates_where_there_is_none(loaded):
    text = ndjson(PATIENT | {"id": "a"}, PATIENT, PATIENT | {"id": "b"})
    summary, refused = loaded(x__ndjson=text)
    assert (summary.written, refused, stored()) == (3, [], 3)
    assert query("SELECT id FROM resource WHERE id IN ('a', 'b') ORDER BY id") == [("a",), ("b",)]


def test_a_second_run_does_nothing(loaded):
    files = {"x__ndjson": ndjson(PATIENT, PATIENT), "y__json": bundle("transaction", post(PATIENT))}
    assert loaded(**files)[0].written == 3
    again, _ = loaded()
    assert (again.written, again.finished_before, stored()) == (0, 2, 3)


def test_the_same_content_under_another_name_is_known(loaded):
    text = ndjson(PATIENT, PATIENT)
    loaded(x__ndjson=text)
    assert loaded(copy__ndjson=text)[0].written == 0
    assert stored() == 2


def test_one_content_twice_in_one_run_is_loaded_once(loaded):
    text = ndjson(PATIENT, PATIENT)
    assert loaded(x__ndjson=text, y__ndjson=text)[0].written == 2


def test_refused_lines_are_told_and_the_others_loaded(loaded):
    text = ndjson(
        PATIENT | {"id": "a"}, b'{"resourceType":', PATIENT | {"gendre": "male"}, b"", {"a": 1}, PATIENT | {"id": "b"},
        {"resourceType": "Nothing"},
    )  # fmt: skip
    summary, refused = loaded(x__ndjson=text)
    assert (summary.written, summary.refused, stored()) == (2, 4, 2)
    assert {r["place"]: r["status"] for r in refused} == {"line 2": 400, "line 3": 400, "line 5": 400, "line 7": 400}
    wrong = next(r for r in refused if r["place"] == "line 3")
    assert wrong["issue"][0]["expression"] == ["Patient.gendre"] and wrong["input"].endswith("in/x.ndjson")


def test_a_second_run_tries_what_was_refused_and_nothing_else(loaded):
    text = ndjson(PATIENT, b"{", PATIENT)
    loaded(x__ndjson=text)
    summary, refused = loaded()
    assert (summary.written, stored()) == (0, 2)
    assert [r["place"] for r in refused] == ["line 2"]


def test_two_states_of_one_resource_in_a_chunk_come_in_their_order(loaded):
    states = [PATIENT | {"id": "a", "gender": g} for g in ("male", "female", "other")]
    assert loaded(x__ndjson=ndjson(*states))[0].written == 3
    version, body = query("SELECT version, body FROM resource WHERE id = 'a'")[0]
    assert version == 3 and json.loads(bytes(body))["gender"] == "other"


def test_a_transaction_is_loaded_whole_or_not_at_all(loaded):
    bad = post(PATIENT | {"gender": "nonsense"})
    summary, refused = loaded(
        x__json=bundle("transaction", post(PATIENT), bad), y__json=bundle("transaction", post(PATIENT))
    )
    assert (summary.written, stored()) == (1, 1)
    assert len(refused) == 1 and refused[0]["input"].endswith("x.json")
    assert refused[0]["issue"][0]["expression"][0].startswith("Bundle.entry[1].resource")


def test_references_within_a_transaction_are_rewritten(loaded):
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": urn},
    }
    loaded(x__json=bundle("transaction", post(PATIENT) | {"fullUrl": urn}, post(observation)))
    patients = "SELECT count(*), count(DISTINCT patient), bool_or(patient = identity) FROM resource"
    assert query(patients) == [(2, 1, True)]


def test_every_entry_of_a_batch_stands_alone(loaded):
    text = bundle("batch", post(PATIENT), post(PATIENT | {"x": 1}), post(PATIENT))
    summary, refused = loaded(x__json=text)
    assert (summary.written, stored()) == (2, 2)
    assert [r["place"] for r in refused] == ["Bundle.entry[1]"]
    again, _ = loaded()
    assert (again.written, again.refused, stored()) == (0, 1, 2)


def test_collections_and_search_results_are_loaded(loaded):
    outcome = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    files = {
        "c__json": bundle("collection", {"resource": PATIENT | {"id": "c"}}, {"resource": PATIENT}),
        "s__json": bundle("searchset", {"resource": PATIENT | {"id": "s"}, "search": {"mode": "match"}}, outcome),
    }
    summary, refused = loaded(**files)
    assert (summary.written, refused, stored()) == (3, [], 3)


def test_other_bundles_are_refused_with_what_to_do(loaded):
    summary, refused = loaded(x__json=bundle("history"), y__json=b'{"resourceType":"Bundle"}')
    assert summary.written == 0
    assert all("NDJSON" in r["issue"][0]["diagnostics"] for r in refused) and len(refused) == 2


def test_single_resources_and_xml(loaded):
    xml = b'<Patient xmlns="http://hl7.org/fhir"><id value="x"/><gender value="male"/></Patient>'
    summary, refused = loaded(p__json=dump(PATIENT), p__xml=xml)
    assert (summary.written, refused) == (2, [])


def test_damaged_files_are_refused_and_the_rest_goes_on(loaded):
    packed = gzip.compress(ndjson(*[PATIENT | {"id": f"p{n}"} for n in range(2000)]))
    summary, refused = loaded(a__ndjson__gz=packed[: len(packed) // 2], b__json__gz=b"no gzip", c__json=dump(PATIENT))
    assert {Path(r["input"]).name for r in refused} == {"a.ndjson.gz", "b.json.gz"}
    assert summary.written == stored() > 1


def test_a_bundle_that_depends_on_a_later_one_is_tried_again(loaded):
    conditional = PATIENT | {"generalPractitioner": [{"reference": "Practitioner?identifier=urn:x|7"}]}
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": "urn:x", "value": "7"}]}
    files = {"a__json": bundle("transaction", post(conditional)), "b__json": bundle("transaction", post(doctor))}
    summary, refused = loaded(count=1, **files)
    assert (summary.written, refused) == (2, [])
    assert loaded()[0].finished_before == 2


def test_larger_transactions_than_a_client_may_send(loaded, settings):
    settings.FHIRSERVER_MAX_ENTRIES = 5
    summary, refused = loaded(x__json=bundle("transaction", *[post(PATIENT)] * 20))
    assert (summary.written, refused) == (20, [])


def test_only_one_load_at_a_time(database):
    command = [
        sys.executable,
        "-c",
        "import django; django.setup(); from records.loading import ledger; ledger.claimed().__enter__()",
    ]
    with ledger.claimed():
        other = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert "Another load writes to this database" in other.stderr


def test_ledger_is_written_with_what_it_tells_of(database):
    from records.database import atomic

    with pytest.raises(RuntimeError), atomic():
        ledger.note(1, [(0, 5)])
        raise RuntimeError
    ledger.note(1, [(5, 9), (0, 5)])
    assert ledger.done(1) == [(0, 9)]


def test_an_unexpected_error_names_itself_and_spares_the_others():
    def execute(asked, after):
        entries = asked.body["entry"]
        if any(e["resource"].get("id") == "bad" for e in entries):
            raise KeyError("secret value")
        return type("Answer", (), {"touched": [type("Touched", (), {"version": 1})] * len(entries)})

    some = [lines.Line(n, n, n + 1, dump(PATIENT | {"id": i})) for n, i in enumerate(("a", "b", "bad", "c", "d"))]
    result = work.load(work.Lines(1, inputs.Input(Path("x"), ".ndjson", 1, 1), some), execute)
    assert result.written == 4
    assert [(r.place, r.status) for r in result.refused] == [("line 2", 500)]
    assert "KeyError" in result.refused[0].issues[0].diagnostics
    assert "secret" not in result.refused[0].issues[0].diagnostics


# -- the commands ----------------------------------------------------------------------------------------------------


def environment():
    """What a process needs to reach the database of this test."""
    from django.conf import settings
    from django.db import connections

    given = dict(os.environ, DJANGO_SETTINGS_MODULE="fhirserver.settings", FHIRSERVER_SECRET_KEY=settings.SECRET_KEY)
    given["FHIRSERVER_AUDIT_KEY"] = settings.FHIRSERVER_AUDIT_KEY
    for name, alias in (("DATABASE_URL", "default"), ("FHIRSERVER_OWNER_DATABASE_URL", "owner")):
        at = connections.settings[alias]
        host = str(at["HOST"]).replace("/", "%2F")
        given[name] = f"postgresql://{at['USER']}:{at['PASSWORD']}@{host}/{at['NAME']}"
    return given


def manage(*arguments, **more):
    command = [sys.executable, "manage.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, **more)


def test_the_command_says_what_it_did_and_fails_when_something_was_refused(database, tmp_path):
    path, told = tmp_path / "x.ndjson", tmp_path / "told.ndjson"
    path.write_bytes(ndjson(PATIENT, b"{"))
    done = manage("load", path, "--data", tmp_path / "none", "--report", told)
    assert done.returncode == 1
    assert "1 inputs: 1 resources written" in done.stdout
    assert f"1 refused: {told}" in done.stderr
    assert json.loads(told.read_text())["place"] == "line 2"
    assert told.stat().st_mode & 0o777 == 0o600
    assert query("SELECT count(*) FROM pending") == [(0,)]  # and it is searchable


def test_killed_at_any_moment_nothing_is_lost_or_loaded_twice(database, tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_bytes(ndjson(*[PATIENT] * 3000))  # creates: a second time would be seen
    command = [sys.executable, "manage.py", "load", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    while process.poll() is None and stored() < 250:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert 250 <= stored() < 3000  # it was at work
    done = manage("load", path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert stored() == 3000
    assert query("SELECT finished IS NOT NULL FROM loaded_input") == [(True,)]
    assert query("SELECT count(*) FROM loaded_range") == [(0,)]


def test_demo_people_are_written_once_and_what_an_interrupted_run_left_is_completed(
    database, tmp_path, monkeypatch, capsys
):
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from fhirserver.system import execute
    from records.definitions.structures import type_number
    from records.interactions.interaction import Interaction

    monkeypatch.setenv("DATABASE_URL", environment()["DATABASE_URL"])
    for person in people(2, 1, method="PUT"):
        execute(Interaction("transaction", "system", method="POST", body=person, prefer_return="minimal"))
    call_command("demo", data=str(tmp_path))
    counts = "SELECT count(*) FILTER (WHERE type = %s), count(*), max(version) FROM resource"
    patients, resources, versions = query(counts, (type_number("Patient"),))[0]
    assert (patients, versions) == (40, 1) and resources > 2000
    path = tmp_path / "secrets" / "demo.json"
    logins = json.loads(path.read_text())
    assert {"patient", "proxy", "minor", "parent", "doctor", "doctor2", "emergency", "dpo", "administrator"} == set(
        logins
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert get_user_model().objects.get(username="dpo").check_password(logins["dpo"])
    call_command("demo", data=str(tmp_path))
    assert "already" in capsys.readouterr().out
    assert query(counts, (type_number("Patient"),)) == [(40, resources, 1)]
    assert json.loads(path.read_text()) == logins


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    out = io.StringIO()
    shown = progress.Progress(1000, out)
    shown.read(250)
    shown.wrote(1200, refused=3)
    shown.close()
    assert out.getvalue().startswith(" 25%  0 resources")
    assert "1,200 resources" in out.getvalue() and "3 refused" in out.getvalue() and "s left" in out.getvalue()
