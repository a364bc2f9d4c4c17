"""The second wall alone: the attacks once more with the predicate out of order, and who may say `system`.

The switch that turns the predicate off is this file's monkeypatch; the server has none.
"""

import ast
import re
import threading
from pathlib import Path

import psycopg
import pytest

from accessctl import sources, wall
from accessctl.audit import served
from accessctl.groups import DIRECTORY, REST
from accessctl.labels import VISIBILITY
from accessctl.people import AttendingDoctor, Block, Dossier, Proxy
from records.database import asking, atomic, execute, pool
from records.definitions.structures import type_number
from records.keys import identity
from records.sql import TRUE
from tests.accessctl.people import SCOPE, api, observation
from tests.api import Api, indexed

from . import test_access, test_search
from .test_access import same

ROOT = Path(__file__).resolve().parents[2]
AGAIN = [
    test_access.test_A01_A05_A25_A26_A32_reads,
    test_access.test_A01_every_type,
    test_access.test_A03_what_a_patient_restricts_is_told_to_no_professional,
    test_access.test_A04_a_version_is_judged_on_its_own_patient,
    test_access.test_A04_A05_histories,
    test_access.test_A05_the_meta_of_a_type_is_of_what_is_visible,
    test_access.test_A06_a_tombstone_tells_nothing,
    test_access.test_A07_A08_A10_includes,
    test_access.test_A13_A14_A15_A18_A19_A20_what_search_infers,
    test_access.test_A15_an_order_by_reference_tells_nothing_of_its_target,
    test_access.test_A13_no_hierarchy_leads_over_what_is_hidden,
    test_access.test_A28_A29_A30_A31_bundles_and_conditions,
    test_access.test_A33_A34_A45_writes_to_what_is_hidden,
    test_access.test_A42_a_revocation_between_two_pages,
    test_search.test_A16_words_that_only_a_hidden_row_has,
    test_search.test_A17_lists,
]


@pytest.fixture
def alone(monkeypatch):
    """Every ceiling holds, everything is permitted, nothing denied: what is hidden now, PostgreSQL hides."""
    monkeypatch.setattr(sources, "formula", lambda actor, *asked, without=(): TRUE)
    monkeypatch.setattr(sources, "records", lambda actor, code, type: None)
    monkeypatch.setattr(served, "readable", lambda access, code: TRUE)


@pytest.mark.parametrize("attack", AGAIN, ids=lambda attack: attack.__name__.removeprefix("test_"))
def test_without_the_predicate(world, alone, attack):
    attack(world)


# -- every way of hiding that the wall knows --------------------------------------------------------------------------

WORD = "Zephyrine"
MASK = [(VISIBILITY, "MASQUE_PS")]


def record(world, *consenting, **more):
    """An observation of A in two versions, another in A's and B's record, and their index; the id of the first."""
    id = world.observation(note=[{"text": WORD}], **more)
    body = world.system.get(f"Observation/{id}").tree
    assert world.system.put(f"Observation/{id}", body | {"issued": "2026-01-01T00:00:00Z"}).status_code == 200
    for who in consenting:
        world.consents(to=f"Practitioner/dr-{who}")
    indexed()
    return id


def shut_out(world, how):
    """(who, id): somebody who would see the observation but for one reason."""
    if how == "nobody asked":
        return world.doctor, record(world)
    if how == "a consent to somebody else":
        return world.doctor, record(world, "stranger")
    if how == "blocked":
        id = record(world, "doctor")
        Block.objects.create(patient=world.key, person_id=user("doctor"))
        return world.doctor, id
    if how == "closed":
        id = record(world, "doctor")
        Dossier.objects.create(patient=world.key, closed="2026-01-01T00:00:00Z")
        return world.doctor, id
    if how == "masked":
        return world.doctor, record(world, "doctor", security=MASK)
    if how == "from the patient":
        return world.patient, record(world, security=[(VISIBILITY, "INVISIBLE_PATIENT")])
    if how == "from the representative":
        return world.proxy, record(world, security=[(VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX")])
    if how == "from whom the representative named":
        Proxy.objects.update(kind="delegated")
        return world.proxy, record(world, security=[(VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX")])
    if how == "shared with who does not consent":
        return world.doctor, record(world, "doctor", performer=[{"reference": f"Patient/{world.b}"}])
    if how == "another context":
        return api("alice", "patient/*.cruds", patient=world.b), record(world)
    if how == "an application in another context":
        return Api("patient/*.cruds", patient=world.b), record(world)
    if how == "a forbidden purpose":
        return api("doctor", SCOPE, purpose="HMARKT"), record(world, "doctor")
    return world.clerk, record(world)


WAYS = ("nobody asked", "a consent to somebody else", "blocked", "closed", "masked", "from the patient",
        "from the representative", "from whom the representative named", "shared with who does not consent",
        "another context", "an application in another context", "a forbidden purpose", "staff")  # fmt: skip


def user(login):
    return execute("SELECT id FROM auth_user WHERE username = %s", (login,))[0][0]


@pytest.mark.parametrize("how", WAYS)
def test_each_way_of_hiding_holds_without_the_predicate(world, alone, how):
    """Reads, versions, searches, totals, what comes along; a consent's dates, labels and data are the predicate's."""
    who, id = shut_out(world, how)
    for path in ("Observation/ID", "Observation/ID/_history", "Observation/ID/_history/1", "Observation/ID/$meta"):
        assert same(who, path, id) == 404
    assert same(who, "Observation/ID", id, if_none_match='W/"2"') == 404
    for path in ("Observation", "Observation?status=final", "Observation?_sort=-_lastUpdated", "Observation/_history",
                 f"Patient?_id={world.a}&_revinclude=Observation:subject", f"Observation?patient={world.a}",
                 f"Patient/{world.a}/*", f"Observation?_id={id}",
                 "Patient?_has:Observation:patient:status=final"):  # fmt: skip
        answer = who.get(path)
        assert answer.status_code == 200, answer.content
        assert WORD.encode() not in answer.content and id not in ids(answer), path
    assert who.get("Observation?_summary=count").tree["total"] == 0
    assert world.system.get("Observation?_summary=count").tree["total"] == 1


def ids(answer):
    return {e["resource"]["id"] for e in answer.tree.get("entry", ()) if e["resource"]["resourceType"] == "Observation"}


def test_the_switch_turns_the_predicate_off(world, monkeypatch):
    """Else the tests above would show nothing: what the predicate alone hides is shown."""
    id = world.observation(security=[("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")])
    world.consents()
    assert world.doctor.get(f"Observation/{id}").status_code == 404
    monkeypatch.setattr(sources, "formula", lambda actor, *asked, without=(): TRUE)
    assert world.doctor.get(f"Observation/{id}").status_code == 200


def test_the_audit_is_told_to_whom_it_is_about(world, alone):
    id = world.observation()
    assert world.patient.get(f"Observation/{id}").status_code == 200
    [(seq,)] = execute("SELECT seq FROM audit WHERE \"user\" = 'alice' AND interaction = 'read'")
    assert world.patient.get(f"AuditEvent/{seq}").status_code == 200
    for who in (world.other, world.doctor, world.stranger, world.clerk):
        assert who.get(f"AuditEvent/{seq}").status_code == 404
        assert "entry" not in who.get(f"AuditEvent?patient=Patient/{world.a}").tree
    AttendingDoctor.objects.create(patient=world.key, person_id=user("doctor"))
    world.consents()
    assert world.doctor.get(f"AuditEvent/{seq}").status_code == 200


# -- who asks ---------------------------------------------------------------------------------------------------------

TABLES = ("resource", "version", "compartment", "audit")


def counts():
    return [execute(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


def test_who_names_nobody_sees_nothing_and_changes_nothing(world):
    world.observation(performer=[{"reference": f"Patient/{world.b}"}])
    assert all(counts())
    with asking.asked_by(asking.NOBODY):
        assert counts() == [0, 0, 0, 0]
        with atomic():
            assert counts() == [0, 0, 0, 0]
        assert not execute("UPDATE resource SET labels = 0 RETURNING pk")
        assert not execute("SELECT FROM resource FOR UPDATE")
        assert not execute("DELETE FROM compartment RETURNING resource")
        for text in (
            "INSERT INTO compartment (patient, resource) VALUES (1, 1)",
            "INSERT INTO version (resource, version, type, method, updated) VALUES (1, 1, 1, 1, now())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                execute(text)


def test_an_actor_writes_no_row_by_oneself(world):
    """Rows of resources are the store's; who asks can neither change nor lock one, and none is ever removed."""
    world.observation()
    with asking.asked_by(of("alice")):
        assert execute("SELECT count(*) FROM resource WHERE patient = %s", (world.key,)) > [(1,)]
        assert not execute("UPDATE resource SET labels = 0 RETURNING pk")
        assert not execute("SELECT FROM resource FOR UPDATE")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), asking.asked_by(of("alice")):
        execute("INSERT INTO compartment (patient, resource) VALUES (1, 1)")
    assert not execute("DELETE FROM resource RETURNING pk")


def of(login, **more):
    """The statement that names a person."""
    from accessctl.explain import actor_of

    return wall.asked_by(actor_of(login, SCOPE, **more))


def test_a_request_that_forgets_to_name_its_actor_is_answered_with_nothing(world, monkeypatch):
    id = world.observation()
    assert world.patient.get(f"Observation/{id}").status_code == 200
    monkeypatch.setattr("fhirserver.endpoint.asked_by", lambda who: asking.asked_by(asking.NOBODY))
    for who in (world.patient, world.system):
        assert who.get(f"Observation/{id}").status_code == 404
        assert "entry" not in who.get("Observation").tree
        assert who.get("Observation?_summary=count").tree["total"] == 0


def test_no_name_outlives_its_transaction(world, monkeypatch):
    """One connection for everybody: after an answer, an error, or a savepoint undone it knows nobody, or who it was."""
    id = world.observation()
    left = "SELECT " + ", ".join(f"coalesce(current_setting('access.{name}', true), '')" for name in ("kind", "person"))

    def known():
        return execute(left, prepare=False)

    one = pool.Pool(pool.parameters(), 1)
    monkeypatch.setattr(pool, "_pool", one)
    for who, method, path, *body in (
        (world.patient, "GET", f"Observation/{id}"), (world.patient, "GET", "Observation/x"),
        (world.patient, "GET", "Observation?x"), (world.doctor, "POST", "Observation", observation(world.a)),
    ):  # fmt: skip
        who.request(method, path, *body)
        with asking.asked_by(asking.NOBODY):
            assert known() == [("", "")] and counts()[0] == 0
    with asking.asked_by(asking.NOBODY):
        with pytest.raises(psycopg.errors.DivisionByZero), asking.asked_by(of("alice")), atomic():
            assert counts()[0]
            execute("SELECT 1 / 0")
        assert known() == [("", "")]
        with asking.asked_by(of("alice")), atomic():
            with pytest.raises(ZeroDivisionError), atomic(), asking.as_system():
                assert known() == [("system", "")]
                raise ZeroDivisionError
            assert known() == [("patient", str(user("alice")))]
            with asking.asked_by(asking.NOBODY):
                assert known() == [("", "")]
        with atomic():
            with asking.as_system():
                assert counts()[0]
            assert counts()[0] == 0
    one.close()


def test_two_actors_over_one_connection(world, monkeypatch):
    """Threads that take turns at the same connection see each their own, whatever the order."""
    mine, own = world.observation(), world.observation(world.b)
    one = pool.Pool(pool.parameters(), 1)
    monkeypatch.setattr(pool, "_pool", one)
    wrong = []

    def reads(login, shown, hidden):
        with asking.asked_by(named[login]):
            for _ in range(100):
                found = {id for (id,) in execute("SELECT id FROM resource WHERE id = ANY(%s)", ([shown, hidden],))}
                if found != {shown}:
                    wrong.append((login, found))

    named = {login: of(login) for login in ("alice", "bob")}
    threads = [threading.Thread(target=reads, args=asked) for asked in (("alice", mine, own), ("bob", own, mine)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    assert not wrong


def test_who_sees_a_row_sees_all_its_members(world):
    """Else "no patient of the row refuses" were true of a patient whom the wall hides."""
    id = world.observation(performer=[{"reference": f"Patient/{world.b}"}])
    members = "SELECT c.patient FROM resource r JOIN compartment c ON c.resource = r.pk WHERE r.id = %s"
    both = {(world.key,), (identity("Patient", world.b),)}
    world.consents()
    with asking.asked_by(of("doctor")):
        assert not execute(members, (id,)) and counts()[2] == 0
    with asking.asked_by(of("alice")):
        assert set(execute(members, (id,))) == both
    assert world.doctor.get(f"Observation/{id}").status_code == 404
    world.consents(by=world.other, patient=world.b)
    with asking.asked_by(of("doctor")):
        assert set(execute(members, (id,))) == both
    assert world.doctor.get(f"Observation/{id}").status_code == 200


def test_a_period_of_history_knows_also_the_versions_that_are_hidden(world):
    """_at asks when a version was superseded, though it was by one in another patient's record."""
    id = world.observation(world.b)
    for patient in (world.a, world.b):
        world.system.put(f"Observation/{id}", observation(patient) | {"id": id})
    [(_, second), (_, third)] = execute(
        "SELECT v.version, v.updated FROM version v JOIN resource r ON r.pk = v.resource WHERE r.id = %s"
        " AND v.version > 1 ORDER BY 1", (id,),
    )  # fmt: skip
    for at, versions in ((second, set()), (third, {"3"})):
        found = world.other.get(f"Observation/{id}/_history?_at={at.isoformat()[:23]}Z").tree
        assert {e["resource"]["meta"]["versionId"] for e in found.get("entry", ())} == versions


def test_the_policies_know_the_types_as_the_predicate_does(world):
    [(text,)] = execute("SELECT qual FROM pg_policies WHERE tablename = 'resource' AND policyname = 'seen'")
    for types in (DIRECTORY, REST):
        assert "{" + ",".join(str(n) for n in sorted(map(type_number, types))) + "}" in text


def test_the_tables_are_walled(world):
    owner = "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    exports = {"export", "export_chunk", "export_content", "export_patient"}  # tests/attacks/test_export.py
    assert {name for (name,) in execute(owner)} == {*TABLES, *exports}


# -- who may say system -----------------------------------------------------------------------------------------------

SYSTEM = {
    "accessctl/audit/event.py": "names of organisations and ids of patients, for who may read the record of the access",
    "accessctl/audit/history.py": "which Patient a key is; who may read its history was asked of the people's tables",
    "accessctl/audit/record.py": "all patients of what was shown or changed: each of them is told",
    "accessctl/audit/proof.py": "the proof of a record, for the command",
    "accessctl/audit/seal.py": "the worker seals every record",
    "accessctl/circle.py": "ids of those who let a professional into their record, for that professional",
    "accessctl/emergency.py": "who breaks the glass has no access yet",
    "accessctl/explain.py": "administrators ask about what somebody else may see",
    "accessctl/export/kept.py": "an export is begun, removed and purged; whose it is was asked before",
    "accessctl/files.py": "the judgement of a write: which Binaries of nobody its writer made, and their record",
    "accessctl/guard.py": "the judgement of a write compares with the version before",
    "accessctl/identities.py": "the judgement of a write compares with the version before",
    "accessctl/majority.py": "the birth date of a represented patient, for the end of the representation",
    "accessctl/notices.py": "the worker delivers",
    "accessctl/provenance.py": "the judgement of a write; ids of the patients whom a proxy writes for",
    "accessctl/reviews.py": "the queue of openings, for who may review",
    "fhirserver/management/commands/demo.py": "a command",
    "fhirserver/management/commands/verify_audit.py": "a command",
    "fhirserver/sandbox.py": "a durable job puts the demo data of a sandbox back, all of it",
    "fhirserver/web/admin/audit.py": "for data-protection officers: the audit is verified, and counted over time",
    "fhirserver/web/admin/identities.py": "is there such a Patient or Practitioner?",
    "fhirserver/web/admin/parameters.py": "ids of SearchParameters in use",
    "fhirserver/web/admin/rights.py": "the rights on a record, for who administers them; nothing of its content",
    "fhirserver/web/admin/why.py": "whose record is it that was explained, for the audit",
    "fhirserver/web/care.py": "ids of patients in notices to their doctor; when that doctor was here last",
    "fhirserver/web/me/access.py": "which entries grants are about; those that the reader does not see are left out",
    "fhirserver/web/me/history.py": "which of the accesses that are shown were looks",
    "fhirserver/web/me/space.py": "ids of the own record and of those represented",
    "records/indexing/drift.py": "the index of every row is compared",
    "records/indexing/index.py": "every row is indexed, also by the request that needs it",
    "records/indexing/jobs.py": "rows are indexed anew",
    "records/indexing/upgrade.py": "rows are indexed anew",
    "records/interactions/writing.py": "the judgement of a write: who adds need not see",
    "records/resources/labels.py": "the high-water mark over parts, whoever writes",
    "records/resources/store.py": "locks, and the rows that are written",
    "records/search/results.py": "which types have rows at all",
}


def test_only_these_say_system():
    said = re.compile(r"\bas_system\b|\basking import [^\n]*\b(SYSTEM|statement)\b|'access\.kind'")
    found = {
        str(path.relative_to(ROOT))
        for package in ("accessctl", "fhirserver", "records")
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts and said.search(path.read_text())
    }
    names_actors = {"accessctl/wall.py"}  # by the statement of each, which none of them can make another's
    assert found == SYSTEM.keys() | names_actors | {f"records/{each}.py" for each in MADE_OF}


MADE_OF = ("database/asking", "database/__init__", "access")  # Everything is its Access


def test_the_server_asks_for_walled_rows_by_its_own_connections_alone():
    """Those of Django name nobody."""
    models = re.compile(r"\b(AuditRecord|Resource|Version|Compartment)\.objects\b")
    for package in ("accessctl", "fhirserver", "records"):
        for path in (ROOT / package).rglob("*.py"):
            assert not models.search(path.read_text()), path


def test_no_generator_says_system():
    """A generator gives its caller the thread while it waits."""
    for path in SYSTEM:
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.FunctionDef) and "as_system" in ast.dump(node):
                assert not any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node)), (path, node.name)
