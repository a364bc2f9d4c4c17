"""Attacks on what tells of others: a Provenance shows nobody that there is something hidden. (A03, A04, A48)"""

import json
from importlib import import_module

import pytest
from django.db import connections, transaction

from accessctl import sources
from accessctl.actor import Actor, Person
from accessctl.audit import served
from accessctl.labels import CONFIDENTIALITY, VISIBILITY
from accessctl.people import Block
from accessctl.scopes import parse
from accessctl.sources import provenance
from accessctl.sources.documents import attached
from accessctl.sources.scopes import scopes
from records.database import atomic, execute
from records.definitions.structures import type_number
from records.sql import TRUE
from tests.accessctl.people import observation
from tests.api import Api, indexed

from .test_access import ABSENT, same
from .test_wall import user

MASK, SECRET = [(VISIBILITY, "MASQUE_PS")], [(VISIBILITY, "INVISIBLE_PATIENT")]
N = {"system": CONFIDENTIALITY, "code": "N"}
RECORDED = "2026-01-01T00:00:00Z"
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [
    {"system": VISIBILITY, "code": "MASQUE_PS"}]}}]}  # fmt: skip


def of(patient, *references, **more):
    """In the record of the patient, as one of its targets is the Patient."""
    return {"resourceType": "Provenance", "recorded": RECORDED, "agent": [{"who": {"display": "Dr Far"}}],
            "target": [{"reference": r} for r in (f"Patient/{patient}", *references)], **more}  # fmt: skip


def shown(who, world, id):
    """Is this person told of the Provenance? By every exit alike."""
    indexed()
    found = [
        who.get(path).status_code == 200
        for path in (
            f"Provenance/{id}",
            f"Provenance/{id}/_history",
            f"Provenance/{id}/_history/1",
            f"Provenance/{id}/$meta",
        )
    ]
    for path in (f"Provenance?_id={id}", "Provenance", f"Provenance?target=Patient/{world.a}", "Provenance/_history",
                 f"Provenance?patient={world.a}", f"Patient?_id={world.a}&_revinclude=Provenance:target",
                 f"Patient/{world.a}/Provenance", f"Patient/{world.a}/$everything", f"Patient/{world.a}/*",
                 "?_type=Provenance,Observation", "Provenance?_sort=-recorded", "Provenance?_sort=target",
                 f"Patient/{world.a}/$newest?_type=Provenance"):  # fmt: skip
        answer = who.get(path)
        assert answer.status_code in (200, 404), (path, answer.content)
        if answer.status_code == 200 or found[0]:
            assert answer.status_code == 200, (path, answer.content)
            found.append(id in [e["resource"]["id"] for e in answer.tree.get("entry", ())])
    found.append(bool(who.get(f"Patient?_has:Provenance:target:_id={id}").tree.get("entry")))
    entry = {"request": {"method": "GET", "url": f"Provenance/{id}"}}
    batch = who.post("", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).tree
    found.append(batch["entry"][0]["response"]["status"].startswith("200"))
    assert len(set(found)) == 1, found
    if not found[0]:
        for more in ("/ID", "/ID/_history", "/ID/_history/1", "/ID/$meta", "?_id=ID", "?_id=ID&_summary=count",
                     "?_id=ID&_total=accurate"):  # fmt: skip
            same(who, f"Provenance{more}", id)
        same(who, "Provenance/ID", id, if_none_match='W/"1"')
    return found[0]


def is_read(who, world, id):
    """The same by one exit."""
    return who.get(f"Provenance/{id}").status_code == 200


def ways(id):
    """How a Provenance may name a resource."""
    this = {"reference": f"Observation/{id}"}
    yield "a target", {"target": [this]}
    yield "a version", {"target": [{"reference": f"Observation/{id}/_history/1"}]}
    yield "an address", {"target": [{"reference": f"http://testserver/fhir/Observation/{id}"}]}
    yield "an entity", {"entity": [{"role": "source", "what": this}]}
    yield "an extension", {"extension": [{"url": "urn:e", "valueReference": this}]}


def naming(world, more):
    found = of(world.a)
    return {**found, **more, "target": [*found["target"], *more.get("target", ())]}


def test_A03_what_names_something_masked_is_hidden_until_it_is_unmasked(world):
    world.consents()
    row = world.observation()
    for n, (way, more) in enumerate(ways(row)):
        about, exits = world.made(naming(world, more)), shown if n == 0 else is_read
        assert exits(world.doctor, world, about), way
        assert world.patient.post(f"Observation/{row}/$meta-add", META).status_code == 200
        assert not exits(world.doctor, world, about), way
        assert exits(world.patient, world, about), way
        assert world.patient.post(f"Observation/{row}/$meta-delete", META).status_code == 200
        assert exits(world.doctor, world, about), way


def test_A03_every_reason_to_hide_counts(world):
    """A label, another record, a block of one of two patients, a denied single resource, what only its author sees."""
    world.consents()
    plain = world.observation()
    restricted = world.observation(security=[(CONFIDENTIALITY, "R")])
    secret = world.observation(security=SECRET)
    foreign = world.observation(world.b)
    listed = world.made({"resourceType": "List", "status": "current", "mode": "working"})
    consent = world.consents(to="Practitioner/dr-stranger")
    files = []
    for label in ((), ({"system": CONFIDENTIALITY, "code": "R"},)):
        files.append(world.made({"resourceType": "Binary", "contentType": "text/plain", "data": "eA==",
                                 "securityContext": {"reference": f"Patient/{world.a}"}}))  # fmt: skip
        named = {"content": [{"attachment": {"url": f"Binary/{files[-1]}"}}], "meta": {"security": [*label, N]}}
        subject = {"subject": {"reference": f"Patient/{world.a}"}}
        world.made({"resourceType": "DocumentReference", "status": "current", **subject, **named})
    for reference, to_patient, to_doctor in (
        (f"Observation/{plain}", True, True), (f"Observation/{restricted}", True, False),
        (f"Observation/{secret}", False, True), (f"Observation/{foreign}", False, False),
        (f"List/{listed}", False, False), (f"Consent/{consent}", True, False), (f"Binary/{files[1]}", True, False),
        (f"Binary/{files[0]}", True, True), ("Organization/clinic", True, True), (f"Patient/{world.b}", False, False),
    ):  # fmt: skip
        about = world.made(of(world.a, reference))
        assert is_read(world.patient, world, about) == to_patient, reference
        assert is_read(world.doctor, world, about) == to_doctor, reference
        assert world.system.get(f"Provenance/{about}").status_code == 200
    denied = world.made(of(world.a, f"Observation/{plain}"))
    world.consents(type="deny", data=[{"meaning": "instance", "reference": {"reference": f"Observation/{plain}"}}])
    assert not shown(world.doctor, world, denied)
    assert shown(world.patient, world, denied)


def test_A03_on_whose_behalf(world):
    """Whom somebody acted for is told to who may see that patient; who acted is told."""
    world.consents()
    agent = {"who": {"reference": f"Patient/{world.b}"}}
    for more, told in (({}, True), ({"onBehalfOf": {"reference": f"Patient/{world.a}"}}, True),
                       ({"onBehalfOf": {"reference": f"Patient/{world.b}"}}, False)):  # fmt: skip
        about = world.made(of(world.a) | {"agent": [{**agent, **more}]})
        assert shown(world.doctor, world, about) == told
    world.consents(by=world.other, patient=world.b)
    assert shown(world.doctor, world, about)
    Block.objects.create(patient=world.key, person_id=user("doctor"))
    assert not shown(world.doctor, world, about)


def test_A04_a_version_names_it_still(world):
    world.consents()
    row = world.observation(security=MASK)
    about = world.made(of(world.a, f"Observation/{row}"))
    assert world.system.put(f"Provenance/{about}", of(world.a) | {"id": about}).status_code == 200
    assert not shown(world.doctor, world, about)
    assert world.system.delete(f"Provenance/{about}").status_code == 204
    for path in ("Provenance/ID", "Provenance/ID/_history", "Provenance/ID/_history/1"):
        assert same(world.doctor, path, about) == 404


def test_A06_what_is_deleted_is_what_it_was_last(world):
    world.consents()
    row = world.observation()
    about = world.made(of(world.a, f"Observation/{row}"))
    assert world.system.delete(f"Observation/{row}").status_code == 204
    assert shown(world.doctor, world, about)
    hidden = world.observation(security=MASK)
    assert world.system.delete(f"Observation/{hidden}").status_code == 204
    assert not shown(world.doctor, world, world.made(of(world.a, f"Observation/{hidden}")))


def test_A35_nobody_asks_by_naming(world):
    """What is hidden and what is not there make one answer: to the author, by each write, and to a second login."""
    world.consents()
    world.consents(to="Practitioner/dr-stranger")
    hidden = world.observation(security=MASK)
    own = world.observation()
    for who, second in ((world.stranger, world.doctor), (world.other, world.stranger), (world.patient, world.proxy)):
        record = world.b if who is world.other else world.a
        if who is world.patient:
            hidden = world.observation(security=SECRET)
        told = []
        for id in (hidden, ABSENT):
            made = who.post("Provenance", of(record, f"Observation/{id}"), prefer="return=representation")
            at = made.headers["Location"].split("/")[-3]
            read = [each.get(f"Provenance/{at}").status_code for each in (who, second)]
            put = who.put(f"Provenance/{at}", of(record) | {"id": at})
            plain = who.post("Provenance", of(record)).headers["Location"].split("/")[-3]
            moved = who.put(f"Provenance/{plain}", of(record, f"Observation/{id}") | {"id": plain})
            gone = who.delete(f"Provenance/{at}")
            answers = (made, put, moved, gone)
            told.append((read, [(a.status_code, a.content.replace(at.encode(), b"").replace(plain.encode(), b""))
                                for a in answers]))  # fmt: skip
        assert told[0] == told[1]
        assert told[0][0] == [404, 404]
    assert world.doctor.get(f"Observation/{own}").status_code == 200


def test_X_provenance_is_for_who_reads_what_was_written(world):
    """Of a row that was fed without a right to read, the trace is not read either."""
    said = json.dumps({"resourceType": "Provenance", "recorded": RECORDED, "agent": [{"who": {"display": "x"}}]})
    assert world.doctor.post("Observation", observation(world.a), x_provenance=said).status_code == 201
    assert "entry" not in world.doctor.get("Provenance").tree
    world.consents()
    assert len(world.doctor.get("Provenance").tree["entry"]) == 1
    for who in (world.other, world.stranger, world.nurse, world.clerk):
        assert "entry" not in who.get("Provenance").tree
    assert len(world.system.get("Provenance").tree["entry"]) == 1


def test_two_that_name_each_other_are_no_endless_question(world):
    world.consents()
    one = world.made(of(world.a))
    assert shown(world.doctor, world, one)
    other = world.made(of(world.a, f"Provenance/{one}"))
    assert world.system.put(f"Provenance/{one}", of(world.a, f"Provenance/{other}", f"Provenance/{one}") | {"id": one})
    for about in (one, other):
        assert not shown(world.doctor, world, about) and not shown(world.patient, world, about)
        assert world.system.get(f"Provenance/{about}").status_code == 200


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(sources, "formula", lambda actor, *asked, without=(): TRUE)
    monkeypatch.setattr(sources, "records", lambda actor, code, type: None)
    monkeypatch.setattr(served, "readable", lambda access, code: TRUE)


def test_A03_the_second_wall_alone(world, alone):
    """With the predicate out of order PostgreSQL hides it; two that name each other are no endless question there."""
    world.consents()
    masked, secret = world.observation(security=MASK), world.observation(security=SECRET)
    about, quiet = world.made(of(world.a, f"Observation/{masked}")), world.made(of(world.a, f"Observation/{secret}"))
    plain, foreign = world.made(of(world.a)), world.made(of(world.a, f"Patient/{world.b}"))
    for who, found in ((world.patient, (about, plain)), (world.doctor, (quiet, plain)), (world.clerk, ())):
        for id in (about, quiet, plain, foreign):
            assert shown(who, world, id) == (id in found)
    assert Api("patient/*.rs", patient=world.a).get(f"Provenance/{about}").status_code == 200
    assert (
        world.system.put(f"Provenance/{plain}", of(world.a, f"Provenance/{plain}") | {"id": plain}).status_code == 200
    )
    assert shown(world.doctor, world, plain)


@pytest.mark.parametrize("off", [("nestloop",), ("nestloop", "indexscan", "indexonlyscan", "bitmapscan"),
                                 ("hashjoin", "mergejoin"), ("seqscan",)], ids="-".join)  # fmt: skip
def test_no_plan_makes_it_an_endless_question(world, off):
    """What a policy asks of other rows it asks of these alone, whatever order PostgreSQL takes."""
    world.consents()
    masked = world.observation(security=MASK)
    about, plain = world.made(of(world.a, f"Observation/{masked}")), world.made(of(world.a))
    for _ in range(3):
        world.made(of(world.a, f"Provenance/{plain}"))
    with atomic():
        for each in off:
            execute(f"SET LOCAL enable_{each} = off")
        assert not is_read(world.doctor, world, about)
        assert is_read(world.doctor, world, plain)
        answer = world.doctor.get("Provenance?_sort=-recorded")
        assert answer.status_code == 200, answer.content
        found = [e["resource"]["id"] for e in answer.tree["entry"]]
        assert plain in found and about not in found


# -- records of the audit ---------------------------------------------------------------------------------------------


def entries(who, query):
    answer = who.get(f"AuditEvent?{query}")
    assert answer.status_code == 200, answer.content
    return answer.tree.get("entry", ())


def test_A03_a_search_of_the_audit_for_what_is_hidden_finds_nothing(world):
    """Though the record names something else too, and is told without it."""
    plain, secret = world.observation(), world.observation(security=SECRET)
    assert len(world.system.get(f"Observation?patient={world.a}").tree["entry"]) == 2
    asked = (f"entity=Observation/{secret}", f"entity:Observation={secret}", f"entity=Observation/{secret},Patient/x",
             f"entity=Observation/{plain}&entity=Observation/{secret}", f"entity=Observation/{ABSENT}")  # fmt: skip
    for who in (world.patient, world.proxy):
        for query in asked:
            assert not entries(who, query), query
            assert not entries(who, f"{query}&_count=1"), query
        found = entries(who, f"entity=Observation/{plain}")
        assert len(found) == 2
        assert len(entries(who, f"entity=Observation/{secret},Observation/{plain}")) == 2
        assert len(entries(who, f"entity=Patient/{world.a}&entity=Observation/{plain}")) == 2
        assert secret not in json.dumps(found)
    assert len(entries(world.system, f"date=ge2020&entity=Observation/{secret}")) == 2


def test_A03_a_doubt_about_a_hidden_access_is_one_about_none(world):
    """Numbers can be counted through: the answer does not say which of them are traces of what one is not to see."""
    world.observation()
    world.observation(security=SECRET)
    made = "SELECT seq FROM audit WHERE interaction = 'create' AND type = %s ORDER BY at"
    (plain,), (secret,) = execute(made, (type_number("Observation"),))
    for who, open_ones in ((world.patient, (plain,)), (world.proxy, (plain,)), (world.other, ())):
        refused = set()
        for event in (plain, secret, 999_999_999, -1, 10**30, "²", "x", "01"):
            said = {"event": str(event), "text": "Who is that?"}
            given = [{"name": name, "valueString": value} for name, value in said.items()]
            body = {"resourceType": "Parameters", "parameter": given}
            answer = who.post(f"Patient/{world.a}/$report-access", body)
            if event in open_ones:
                assert answer.status_code == 200, answer.content
            else:
                refused.add((answer.status_code, answer.content.decode().replace(f"'{event}'", "N")))
        assert len(refused) == 1 and 400 <= refused.pop()[0] < 500
    assert execute("SELECT count(*) FROM doubt") == [(2,)]


def test_A03_which_records_of_the_audit_others_read_is_not_told(world):
    """One of them may be hidden: its number alone would tell that there is something."""
    world.observation()
    world.observation(security=SECRET)
    read = [e["resource"]["id"] for e in entries(world.system, f"patient={world.a}&action=C")]
    assert len(read) == 3
    seq = execute("SELECT max(seq) FROM audit")[0][0]
    for number in read:
        assert world.system.get(f"AuditEvent/{number}").status_code == 200
    found = [e["resource"] for e in entries(world.patient, f"patient={world.a}")]
    later = [each for each in found if int(each["id"]) >= seq]
    assert len(later) == 4  # who read them, and when, is told
    for each in later:
        assert [e["what"].get("reference") for e in each["entity"]] == [f"Patient/{world.a}", None]


def test_what_was_there_before_is_kept_by_the_migration(world):
    about = world.made(of(world.a, "Observation/x"))
    world.system.put(f"Provenance/{about}", of(world.a, "Observation/y") | {"id": about})
    world.system.delete(f"Provenance/{about}")
    world.made(of(world.b, "Patient/x/_history/3"))
    said = "SELECT resource, named, type, since FROM naming ORDER BY 1, 2"
    before = execute(said)
    owner = connections["owner"]
    owner.cursor().execute("TRUNCATE naming")
    with transaction.atomic("owner"):
        import_module("records.migrations.0016_naming").fill(None, owner.schema_editor())
    assert execute(said) == before and len(before) == 5


def test_what_is_kept_is_kept_for_ever(world):
    world.made(of(world.a, "Observation/x"))
    assert execute("SELECT count(*) FROM naming") == [(2,)]
    for statement in ("DELETE FROM naming", "UPDATE naming SET type = 0", "TRUNCATE naming"):
        with pytest.raises(Exception, match="permission denied"):
            execute(statement)


@pytest.mark.parametrize("kind", ["patient", "professional", "staff"])
def test_what_may_be_named_is_judged_alike(kind):
    """One predicate stands for many types."""
    actor = Actor("app", "x", parse("user/*.cruds"), None, None, Person(1, kind, "10", False, 2, 3))
    for types in provenance.GROUPS:
        assert len({sources.formula(actor, "read", type, "d", "pk", without=(scopes, attached)) for type in types}) == 1


def test_A84_who_names_thousands_keeps_nobody_waiting(world):
    """Each is judged for whoever meets it, of every version: for all professionals, with a consent to everybody."""
    many = [f"Location/{n}" for n in range(600)]
    half = world.made(of(world.a, *many[:400]), world.patient)
    for method, path, resource in (
        ("POST", "Provenance", of(world.a, *many)),
        ("PUT", f"Provenance/{half}", of(world.a, *many[400:]) | {"id": half}),
    ):
        assert world.patient.request(method, path, resource).status_code == 422
    assert world.system.post("Provenance", of(world.a, *many)).status_code == 201
