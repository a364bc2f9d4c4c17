"""The audit: nothing is shown without a record, and what is done to the records is named. A90, F44, F45."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from accessctl.audit import checkpoint, encoding, journal, proof, recorder, seal, source, verify
from accessctl.audit.recorder import NAMES, rows_of
from fhirserver.embedded.folder import SUPERUSER, Folder
from records.database import execute
from records.keys import identity
from tests.api import Api

PATIENT = {"resourceType": "Patient", "active": True}


@pytest.fixture
def api(database, settings, tmp_path):
    settings.AUDIT_FOLDER = str(tmp_path / "audit")
    return Api()


@pytest.fixture
def superuser(addresses):
    """Who rules the database, and has neither the keys nor DIR/audit."""
    with psycopg.connect(Folder.at(addresses["FHIRSERVER_DATA"]).url(SUPERUSER), autocommit=True) as connection:
        yield lambda text, *given: connection.execute(text, given)


@contextlib.contextmanager
def revoked(privilege, table):
    """The application role lacks it inside the block."""
    role = connections["default"].settings_dict["USER"]
    with connections["owner"].cursor() as owner:
        owner.execute(f"REVOKE {privilege} ON {table} FROM {role}")
        try:
            yield
        finally:
            owner.execute(f"GRANT {privilege} ON {table} TO {role}")


def test_what_a_conditional_reference_finds_is_recorded(api):
    """That there is such a patient, or such an entry, is told of the patient whose it is; of the directory nothing."""
    given = [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810001234567"}]
    assert api.post("Practitioner", {"resourceType": "Practitioner", "identifier": given}).status_code == 201
    patients = []
    for value in ("a", "b"):
        made = api.post("Patient", {**PATIENT, "identifier": [{"system": "urn:p", "value": value}]})
        patients.append(made.tree["id"])
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                      "subject": {"reference": "Patient?identifier=urn:p|a"},
                      "focus": [{"reference": "Patient?identifier=urn:p|b"}],
                      "performer": [{"reference": "Practitioner?identifier=810001234567"}]},
         "request": {"method": "POST", "url": "Observation"}},
    ]}  # fmt: skip
    before = execute("SELECT max(seq) FROM audit")[0][0]
    assert api.post("", bundle).status_code == 200
    told = dict(execute("SELECT patient, entities FROM audit WHERE seq > %s", (before,)))
    a, b = (identity("Patient", id) for id in patients)
    assert told.keys() == {a, b}
    assert f"Patient/{patients[0]}" in told[a] and "Observation/" in told[a]
    assert told[b] == f"Patient/{patients[1]}"


def test_the_meta_of_a_type_is_recorded_for_each_patient(api):
    """Whose labels and tags are told; one record for each patient."""
    patients = []
    for n in range(2):
        patients.append(api.post("Patient", PATIENT).tree["id"])
        for _ in range(2):
            api.post("Observation", {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                                     "meta": {"tag": [{"system": "urn:t", "code": str(n)}]},
                                     "subject": {"reference": f"Patient/{patients[n]}"}})  # fmt: skip
    last = execute("SELECT max(seq) FROM audit")[0][0]
    assert len(api.get("Observation/$meta").tree["parameter"][0]["valueMeta"]["tag"]) == 2
    found = execute("SELECT patient FROM audit WHERE seq > %s AND interaction = '$meta'", (last,))
    assert {patient for (patient,) in found} == {identity("Patient", id) for id in patients}


def findings(keys=None):
    wanted = verify.Verification(encoding.keys() if keys is None else keys, checkpoint.public_keys())
    return [str(found) for found in wanted.findings(source.database())]


def asked(api, count):
    """So many reads of nothing."""
    for _ in range(count):
        assert api.get("Patient/nobody").status_code == 404


def numbers():
    return [seq for (seq,) in execute("SELECT seq FROM audit ORDER BY seq")]


# -- A90: no way of asking leaves no record ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kept"),
    [
        ("HEAD", "Patient/nobody", None, 404, ("read", "Patient/nobody")),
        ("GET", "Patient/nobody", None, 404, ("read", "Patient/nobody")),
        ("GET", "Patient?birthdate=x", None, 400, ("search-type", "")),
        ("GET", "Patient?name=%00", None, 400, ("unread", "")),
        ("GET", "Patient?name=%ED%A0%80", None, 400, ("unread", "")),
        ("GET", "Nothing/1", None, 404, ("unread", "")),
        ("POST", "Patient", b"{", 400, ("unread", "")),
        ("PUT", "Patient/a", {"resourceType": "Patient", "id": "b"}, 400, ("update", "Patient/a")),
        ("POST", "Patient", {"resourceType": "Patient", "gender": "x"}, 422, ("create", "")),
        ("DELETE", "Patient/nobody", None, None, ("delete", "Patient/nobody")),
    ],
)
def test_A90_what_fails_is_recorded(api, method, path, body, status, kept):
    answer = api.request(method, path, body)
    assert status in (None, answer.status_code) and answer.status_code < 500
    rows = execute("SELECT interaction, entities, status FROM audit")
    assert rows == [(*kept, answer.status_code)]


def test_A90_what_is_refused_is_recorded(api):
    reader = Api("system/Observation.rs", name="reader")
    assert reader.get("Patient/nobody").status_code == 403
    assert execute("SELECT client, interaction, status FROM audit") == [("reader", "read", 403)]


def test_A90_without_its_record_nothing_is_shown_and_nothing_done(api):
    created = api.post("Patient", PATIENT).tree["id"]
    with revoked("INSERT", "audit"):
        for method in ("GET", "HEAD"):
            answer = api.request(method, f"Patient/{created}")
            assert answer.status_code == 503
            assert created.encode() not in answer.content and "ETag" not in answer.headers
        assert api.get("Patient/nobody").status_code == 503
        assert api.post("Patient", PATIENT).status_code == 503
        many = [{"resource": {**PATIENT, "id": str(n)}, "request": {"method": "PUT", "url": f"Patient/{n}"}}
                for n in range(20)]  # fmt: skip
        answer = api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": many})
        assert answer.status_code == 503 and answer.tree["resourceType"] == "OperationOutcome"
    assert execute("SELECT count(*) FROM resource") == [(1,)]
    assert api.get(f"Patient/{created}").status_code == 200


def test_the_application_only_adds(api):
    asked(api, 1)
    seal.seal()
    for table in ("audit", "audit_leaf", "audit_node", "audit_seal"):
        for text in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                execute(text)
    for text in ("audit SET status = 200", "audit_leaf SET seq = 1", "audit_seal SET note = ''"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(f"UPDATE {text}")


# -- F45: what a superuser does is named ----------------------------------------------------------------------------

COPY = (
    'INSERT INTO audit (seq, at, request, client, "user", purpose, interaction, type, patient, entities, query, status,'
    ' mac) SELECT %s, at, request, client, "user", purpose, interaction, type, patient, entities, query, status, mac'
    " FROM audit WHERE seq = %s"
)


@pytest.mark.parametrize("part", ["sealed", "tail"])
@pytest.mark.parametrize("deed", ["altered", "later", "patient", "removed", "reordered", "appended"])
def test_F45_one_record(api, superuser, part, deed):
    asked(api, 6)
    if part == "sealed":
        seal.seal()
        asked(api, 3)
        seal.seal()
    assert findings() == []
    one, two = numbers()[2:4]
    if deed == "altered":
        superuser("UPDATE audit SET status = 200 WHERE seq = %s", one)
    elif deed == "later":
        superuser("UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = %s", one)
    elif deed == "patient":
        superuser("UPDATE audit SET patient = 1 WHERE seq = %s", one)
    elif deed == "removed":
        superuser("DELETE FROM audit WHERE seq = %s", one)
    elif deed == "reordered":
        superuser("UPDATE audit SET seq = -1 WHERE seq = %s", one)
        superuser("UPDATE audit SET seq = %s WHERE seq = %s", one, two)
        superuser("UPDATE audit SET seq = %s WHERE seq = -1", two)
    else:
        superuser(COPY, 10**9, one)
        one = 10**9
    first = findings()[0]
    assert first.startswith(f"record {one}: {deed if deed not in ('later', 'patient') else 'altered'}")
    if deed == "reordered":
        assert f"written as {two}" in first


def test_F45_a_forged_record_is_named_after_it_was_sealed_too(api, superuser, caplog):
    asked(api, 3)
    superuser(COPY, 10**9, numbers()[0])
    seal.seal()
    assert "audit records not written by this server, or altered: 1000000000" in caplog.text
    assert findings() == ["record 1000000000: appended: its MAC is not ours, and was not when it was sealed"]


@pytest.mark.parametrize(
    ("deeds", "named"),
    [
        (("DELETE FROM audit_leaf WHERE position = 1",), "position 1: removed"),
        (("DELETE FROM audit_leaf WHERE position = 2",), "position 2: removed"),
        (("UPDATE audit_leaf SET hash = sha256('x') WHERE position = 2",), "record {2}: altered"),
        (
            ("UPDATE audit_leaf SET position = -1 WHERE position = 1",
             "UPDATE audit_leaf SET position = 1 WHERE position = 2",
             "UPDATE audit_leaf SET position = 2 WHERE position = -1"),
            "record {1}: reordered",
        ),
        (
            ("DELETE FROM audit WHERE seq = (SELECT seq FROM audit_leaf WHERE position = 5)",
             "DELETE FROM audit_leaf WHERE position = 5"),
            "position 5: removed",
        ),
        (("UPDATE audit_seal SET note = replace(note, 'number 1', 'number 3') WHERE number = 1",),
         "checkpoint 1: bad checkpoint"),
        (("DELETE FROM audit_seal WHERE number = 1",), "checkpoint 2: bad checkpoint"),
        (("UPDATE audit_seal SET size = 5 WHERE number = 1",), "checkpoint 1: bad checkpoint"),
        (
            ("DELETE FROM audit WHERE seq IN (SELECT seq FROM audit_leaf WHERE position > 2)",
             "DELETE FROM audit_leaf WHERE position > 2", "DELETE FROM audit_seal WHERE number = 2"),
            "checkpoint 2: cut: checkpoints.log has it, over 6 records; the database ends at 3",
        ),
        (
            ("DELETE FROM audit", "DELETE FROM audit_leaf", "DELETE FROM audit_node", "DELETE FROM audit_seal"),
            "checkpoint 1: cut",
        ),
    ],
)  # fmt: skip
def test_F45_the_tree(api, superuser, deeds, named):
    for _ in range(2):
        asked(api, 3)
        seal.seal()
    all = numbers()
    for _, named_then in journal.tail():  # all is sealed: the tail says nothing any more
        assert named_then
    for path, _ in journal.tail():
        path.unlink()
    for deed in deeds:
        superuser(deed)
    assert findings()[0].startswith(named.format(*all))


def test_F45_nothing_is_signed_on_top_of_a_tree_that_was_cut(api, superuser, caplog):
    for _ in range(2):
        asked(api, 2)
        seal.seal()
    superuser("DELETE FROM audit_leaf WHERE position > 1")
    superuser("DELETE FROM audit_seal WHERE number = 2")
    with pytest.raises(seal.Tampered, match="Checkpoint 2"):
        seal.seal()
    assert execute("SELECT max(number) FROM audit_seal") == [(1,)]


def test_F45_the_sealer_says_that_a_committed_record_is_gone(api, superuser, caplog, monkeypatch):
    asked(api, 3)
    gone = numbers()[1]
    superuser("DELETE FROM audit WHERE seq = %s", gone)
    monkeypatch.setattr(journal, "SETTLED", -2)
    seal.seal()
    assert f"audit records are missing: {gone}" in caplog.text
    assert findings()[0].startswith(f"record {gone}: removed")


def test_how_old_the_head_is(api):
    assert seal.head_age() == 0
    asked(api, 2)
    assert 0 < seal.head_age() < 60
    seal.seal()
    assert seal.head_age() == 0
    asked(api, 1)
    assert seal.head_age() > 0


def test_what_is_sealed_leaves_the_tail(api, monkeypatch):
    asked(api, 3)
    monkeypatch.setattr(journal, "SETTLED", -2)
    assert list(journal.tail())
    seal.seal()
    assert not list(journal.tail()) and findings() == []


# -- F44: writers in parallel, and a sealer that is killed ----------------------------------------------------------


def test_F44_one_record_for_each_access_and_one_place_for_each_record(api):
    created = [api.post("Patient", PATIENT).tree["id"] for _ in range(4)]
    over = threading.Event()

    def sealing():
        while not over.is_set():
            seal.seal()

    def writer(n):
        mine = Api(token=api.token)
        for turn in range(3):
            each = mine.get(f"Patient/{created[n % 4]}") if (n + turn) % 3 else mine.post("Patient", PATIENT)
            assert each.status_code in (200, 201)

    with ThreadPoolExecutor(34) as threads:
        sealers = [threads.submit(sealing) for _ in range(2)]
        for done in [threads.submit(writer, n) for n in range(32)]:
            done.result()
        over.set()
        for done in sealers:
            done.result()
    seal.seal()
    assert len(numbers()) == 4 + 32 * 3
    assert execute("SELECT count(*), min(position), max(position), count(DISTINCT seq) FROM audit_leaf") == [
        (100, 0, 99, 100)
    ]
    assert findings() == []
    logged = [number for number, _ in journal.checkpoints()]
    assert logged == list(range(1, len(logged) + 1))


def test_F44_numbers_that_a_crash_brought_back_are_used_once(api, superuser):
    """A crash takes the sequence back; what a process remembers of it may then be handed out again."""
    patient = api.post("Patient", {"resourceType": "Patient"}).tree["id"]
    assert api.get(f"Patient/{patient}").status_code == 200
    superuser("SELECT setval('audit_seq_seq', greatest(1, (SELECT max(seq) - 1 FROM audit)))")
    for _ in range(3):
        recorder.numbers.forget()
        assert api.get(f"Patient/{patient}").status_code == 200
        assert api.post("Patient", {"resourceType": "Patient"}).status_code == 201
    told = superuser("SELECT count(*), count(DISTINCT seq) FROM audit").fetchone()
    assert told[0] == told[1] >= 8


def test_F44_a_record_that_commits_late_is_sealed_then(api, addresses):
    asked(api, 2)
    role = addresses["DATABASE_URL"]
    with psycopg.connect(role) as late:
        (row,) = rows_of([encoding.Record(0, 1, uuid.uuid4(), "late", "read", "", 200)])
        names = ", ".join(f'"{name}"' for name in NAMES)
        late.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join(['%s'] * len(NAMES))})", row)
        asked(api, 2)
        assert seal.seal() == 4
        late.commit()
    assert seal.seal() == 1 and seal.seal() == 0
    assert execute("SELECT position FROM audit_leaf WHERE seq = %s", (row[0],)) == [(4,)]
    assert [found for found in findings() if "unsealed" not in found] == []


SEALING = """
import django; django.setup()
from accessctl.audit import seal
print("ready", flush=True)
while True: seal.seal()
"""


def test_F44_a_sealer_killed_in_the_middle_leaves_no_gap(api, addresses, settings, tmp_path):
    given = addresses | {"DJANGO_SETTINGS_MODULE": "fhirserver.settings", "FHIRSERVER_DATA": str(tmp_path)}
    given |= {name: getattr(settings, name) for name in ("FHIRSERVER_AUDIT_KEY", "FHIRSERVER_AUDIT_SIGNING_KEY")}
    process = subprocess.Popen([sys.executable, "-c", SEALING], env=given, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        asked(api, 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while seal.seal() is None and time.monotonic() < deadline:  # the session of the dead may hold the lock a moment
        time.sleep(0.05)
    assert findings() == []
    assert execute("SELECT count(*) = max(position) + 1, count(*) = (SELECT count(*) FROM audit) FROM audit_leaf") == [
        (True, True)
    ]


WRITING = """
import sys
import django; django.setup()
from tests.api import Api
api = Api(token=sys.argv[1])
print("ready", flush=True)
while True:
    made = api.post("Patient", {"resourceType": "Patient", "active": True})
    assert made.status_code == 201
    print(made.tree["id"], flush=True)
    api.get(f"Patient/{made.tree['id']}")
"""


def test_F44_killed_between_effect_and_record_there_is_never_one_without_the_other(api, addresses, settings, tmp_path):
    given = addresses | {"DJANGO_SETTINGS_MODULE": "fhirserver.settings", "FHIRSERVER_DATA": str(tmp_path)}
    given |= {name: getattr(settings, name) for name in ("FHIRSERVER_AUDIT_KEY", "FHIRSERVER_AUDIT_SIGNING_KEY")}
    given["FHIRSERVER_ALLOWED_HOSTS"] = "testserver"
    command = [sys.executable, "-c", WRITING, api.token]
    writers = [subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    acknowledged = []
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for n, writer in enumerate(writers):  # each at another moment of its work
        acknowledged += [writer.stdout.readline() for _ in range(3 + n)]
        time.sleep(0.003 * n)
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.communicate()[0].splitlines(keepends=True)
    acknowledged = [line.strip() for line in acknowledged if line.endswith("\n")]  # the last one may be torn
    rows = execute(
        "SELECT (SELECT count(*) FROM resource), (SELECT count(*) FROM audit WHERE interaction = 'create'),"
        " (SELECT count(*) FROM resource r WHERE NOT EXISTS (SELECT FROM audit a WHERE a.interaction = 'create'"
        " AND a.entities = 'Patient/' || r.id)), (SELECT count(*) FROM resource WHERE id = ANY(%s))",
        (acknowledged,),
    )
    stored, recorded, unrecorded, kept = rows[0]
    assert stored == recorded and not unrecorded and kept == len(set(acknowledged)) >= 12
    seal.seal()
    assert findings() == []


# -- outside -------------------------------------------------------------------------------------------------------


def run(*arguments):
    said = StringIO()
    call_command("verify_audit", *map(str, arguments), stdout=said, stderr=said, skip_checks=False)  # as a shell does
    return said.getvalue()


def test_an_export_is_verified_without_a_database(api, monkeypatch, tmp_path, superuser, settings):
    monkeypatch.setenv("DATABASE_URL", "what the test has")  # so that no server of a folder is looked for
    asked(api, 5)
    seal.seal()
    asked(api, 2)
    export, public = tmp_path / "audit.ndjson", checkpoint.shown(checkpoint.public_keys()[0])
    assert public in run("--export", export)
    assert export.stat().st_mode & 0o077 == 0
    said = run("--offline", export, "--key", public)
    assert "7 records, 2 of them not sealed yet; checkpoint 1" in said and "The audit is what was written." in said
    settings.FHIRSERVER_AUDIT_KEY = ""
    assert "MACs are not checked" in run("--offline", export, "--key", public)

    lines = export.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if '"leaf"' in line)
    entry = json.loads(lines[at + 1])
    entry["record"]["client"] = "nobody"
    altered = tmp_path / "altered.ndjson"
    altered.write_text("\n".join([*lines[: at + 1], json.dumps(entry), *lines[at + 2 :]]))
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--offline", altered, "--key", public, stdout=said, stderr=said)
    assert f"first bad: record {entry['seq']}: altered" in said.getvalue()
    with pytest.raises(CommandError):
        run("--offline", __file__)


def test_a_record_is_proved_to_who_has_the_public_key(api, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "what the test has")
    asked(api, 300)  # more than one stored node
    seal.seal()
    public, seq = checkpoint.public_keys()[0], numbers()[150]
    found = proof.proof(seq)
    assert proof.check(found, public).size == 300
    file = tmp_path / "proof.json"
    file.write_text(run("--proof", seq))
    assert f"Record {seq} is at position" in run("--offline", file, "--key", checkpoint.shown(public))
    found.record.status = 200
    with pytest.raises(proof.Wrong):
        proof.check(found, public)
    with pytest.raises(proof.Wrong):
        proof.check(proof.proof(seq), bytes(32))
    with pytest.raises(proof.NotSealed):
        proof.proof(10**9)


def test_keys_can_be_changed(api, settings):
    asked(api, 2)
    seal.seal()
    settings.FHIRSERVER_AUDIT_KEY = "new," + settings.FHIRSERVER_AUDIT_KEY
    settings.FHIRSERVER_AUDIT_SIGNING_KEY = "new," + settings.FHIRSERVER_AUDIT_SIGNING_KEY
    asked(api, 2)
    seal.seal()
    assert findings() == []
    settings.FHIRSERVER_AUDIT_KEY = "new"
    assert len(findings()) == 2
