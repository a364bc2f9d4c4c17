"""AuditEvent over the audit: who reads it, what it says, what is received; nobody changes it."""

from itertools import product

import pytest
from django.contrib.auth.models import Permission

from accessctl.labels import FROM_PATIENT, FROM_REPRESENTATIVES, VISIBILITY
from accessctl.people import AttendingDoctor, Block, Person
from records.database import execute
from records.resources.validation import check
from tests.api import Api

from .people import api, person

OF_OTHERS = {
    "resourceType": "AuditEvent", "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
                                           "code": "rest"},
    "action": "R", "recorded": "2020-05-06T07:08:09Z", "outcome": "0",
    "agent": [{"who": {"reference": "Practitioner/far"}, "requestor": True}],
    "source": {"observer": {"display": "Clinic of the South"}},
}  # fmt: skip


def officer():
    """A data-protection officer."""
    found = person("officer", "staff")
    found.user.user_permissions.add(Permission.objects.get(codename="view_auditrecord"))
    return api("officer")


def events(who, query):
    answer = who.get(f"AuditEvent?{query}")
    assert answer.status_code == 200, answer.content
    return [e["resource"] for e in answer.tree.get("entry", ())]


def about(world, **of):
    return {**OF_OTHERS, "entity": [{"what": {"reference": f"Patient/{world.a}"}}], **of}


@pytest.fixture
def read(world):
    """The doctor has read an observation of A, by consent, and the stranger got nothing."""
    row = world.observation()
    world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(f"Observation/{row}").status_code == 200
    assert world.stranger.get(f"Observation/{row}").status_code == 404
    return world


def test_what_it_says(read):
    (found,) = events(read.patient, f"patient={read.a}&subtype=read")
    assert [i for i in check(found, "AuditEvent") if i.severity == "error"] == []
    assert found["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"
    ]
    assert (found["action"], found["outcome"]) == ("R", "0")
    people = {a["type"]["coding"][0]["code"]: a for a in found["agent"]}
    assert people["IRCP"]["who"]["reference"] == "Practitioner/dr-doctor" and people["IRCP"]["requestor"]
    assert people["IRCP"]["role"][0]["coding"][0]["code"] == "10"
    assert people["PROV"]["who"]["reference"] == "Organization/clinic"
    assert people["110152"]["who"]["display"] == "app" and not people["110152"]["requestor"]
    roles = {e["role"]["code"]: e["what"]["reference"] for e in found["entity"] if "role" in e}
    assert roles["1"] == f"Patient/{read.a}" and roles["4"].startswith("Observation/")
    assert read.patient.get(f"AuditEvent/{found['id']}").tree == found


def test_who_reads_it(read):
    w = read
    [found] = events(w.patient, "subtype=read")
    for who, sees in ((w.patient, True), (w.proxy, True), (w.system, True), (officer(), True),
                      (w.other, False), (w.doctor, False), (w.stranger, False), (w.clerk, False)):  # fmt: skip
        answer = who.get(f"AuditEvent/{found['id']}")
        assert answer.status_code == (200 if sees else 404)
        assert bool(events(who, f"patient={w.a}&subtype=read")) == sees
        absent = who.get("AuditEvent/999999999")
        if not sees:
            assert answer.content == absent.content.replace(b"999999999", found["id"].encode())


def test_the_attending_doctor_reads_it_until_blocked(read):
    w = read
    doctor = Person.objects.get(user__username="doctor")
    AttendingDoctor.objects.create(patient=w.key, person=doctor)
    assert events(w.doctor, "subtype=read")
    block = Block.objects.create(patient=w.key, person=doctor)
    assert not events(w.doctor, "subtype=read")
    block.delete()
    assert events(w.doctor, "subtype=read")


def test_being_superuser_is_no_office(read):
    clerk = Person.objects.get(user__username="clerk").user
    clerk.is_superuser = True
    clerk.save()
    assert not events(read.clerk, f"patient={read.a}")


def test_a_trace_of_what_is_hidden_is_hidden(world):
    """Not for the patient: an announcement; not for the representatives: the secret of a minor. (rules 13, 14)"""
    plain = world.observation()
    secret = world.observation(security=[(VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX")])
    announced = world.observation(security=[(VISIBILITY, "INVISIBLE_PATIENT")])
    assert FROM_PATIENT and FROM_REPRESENTATIVES
    world.system.get(f"Observation?patient={world.a}")
    for who, expected in ((world.patient, {plain, secret}), (world.proxy, {plain})):
        found = events(who, f"patient={world.a}")
        ids = {e["what"]["reference"].split("/")[1] for f in found for e in f["entity"]
               if e.get("what", {}).get("reference", "").startswith("Observation/")}  # fmt: skip
        assert ids == expected
        assert announced not in who.get(f"AuditEvent?patient={world.a}").content.decode()
    created = {e["what"]["reference"]: f for f in events(world.patient, "action=C") for e in f["entity"] if "role" in e}
    codes = [c["code"] for c in created[f"Observation/{secret}"]["meta"]["security"]]
    assert codes == ["INVISIBLE_REPRESENTANTS_LEGAUX"]


def test_the_query_is_not_for_patients(world):
    """It may name others."""
    world.observation()
    world.system.get(f"Observation?patient={world.a},{world.b}")
    found = events(world.patient, "subtype=search-type")
    assert found and not any("query" in e for f in found for e in f["entity"])
    assert any("query" in e for f in events(officer(), f"patient={world.a}&subtype=search-type") for e in f["entity"])


def test_every_reading_is_recorded(read):
    before = execute("SELECT count(*) FROM audit WHERE type IS NOT NULL")[0][0]
    [found] = events(read.patient, "subtype=read")
    read.patient.get(f"AuditEvent/{found['id']}")
    rows = execute('SELECT interaction, entities, patient, "user" FROM audit ORDER BY seq DESC LIMIT 2')
    assert {(i, e, p, u) for i, e, p, u in rows} == {
        ("search-type", f"AuditEvent/{found['id']}", read.key, "alice"),
        ("read", f"AuditEvent/{found['id']}", read.key, "alice"),
    }
    assert execute("SELECT count(*) FROM audit WHERE type IS NOT NULL")[0][0] == before + 2


SEARCHES = [
    ("action=R&date=ge2020", 1), ("action=C", 0), ("agent=Practitioner/dr-doctor", 1), ("agent=Practitioner/x", 0),
    ("outcome=0", 1), ("outcome=4", 0), ("type=rest", 1), ("type=110113", 0), ("date=lt2020", 0),
    ("subtype=http://hl7.org/fhir/restful-interaction|read", 1), ("subtype=urn:x|read", 0), ("action=R,C", 1),
    ("_lastUpdated=ge2020-01-01", 1), ("_id=1,x", 0), ("date=ge2020&date=lt2021", 0),
]  # fmt: skip


def test_search(read):
    for query, count in SEARCHES:
        assert len(events(read.patient, f"{query}&subtype=read")) == count, query


def test_another_parameter_is_refused_by_name(world):
    for wrong in ("policy=x", "_sort=date", "date:missing=true", "date=x", "entity=x", "patient="):
        answer = world.patient.get(f"AuditEvent?{wrong}")
        assert answer.status_code == 400
        assert wrong.split("=")[0].split(":")[0] in answer.tree["issue"][0]["diagnostics"]


def test_in_the_form_of_ans(read):
    """Traçabilité d'événements: at most two agents, a period, a search within a time."""
    form = "https://interop.esante.gouv.fr/ig/fhir/tde/StructureDefinition/tde-auditevent"
    three = [{"requestor": False, "who": {"display": str(n)}} for n in range(3)]
    assert read.system.post("AuditEvent", about(read, agent=three)).status_code == 201
    found = events(read.patient, f"date=ge2020&_profile={form}")
    assert len(found) > 3
    for each in found:
        assert not [i for i in check(each, "AuditEvent") if i.severity == "error"]
        assert len(each["agent"]) <= 2 and len(each.get("subtype", [])) <= 1
        assert all("who" in a for a in each["agent"]) and each["period"]["start"] and each["meta"]["profile"] == [form]
    [seen] = [e for e in found if e.get("subtype", [{}])[0].get("code") == "read"]
    assert seen["agent"][0]["who"]["reference"] == "Practitioner/dr-doctor" and seen["agent"][0]["requestor"]
    assert read.patient.get(f"AuditEvent?_profile={form}").status_code == 400
    assert read.patient.get("AuditEvent?date=ge2020&_profile=urn:x").status_code == 400


def test_a_search_over_everybody_is_bounded(world):
    assert world.system.get("AuditEvent").status_code == 400
    assert world.system.get("AuditEvent?date=ge2020").status_code == 200
    assert world.patient.get("AuditEvent").status_code == 200


def test_pages(world):
    row = world.observation()
    for _ in range(5):
        world.patient.get(f"Observation/{row}")
    answer, ids = world.system.get(f"AuditEvent?patient={world.a}&subtype=read&_count=2"), []
    for _ in range(3):
        ids += [int(e["resource"]["id"]) for e in answer.tree["entry"]]
        following = [link["url"] for link in answer.tree["link"] if link["relation"] == "next"]
        if following:
            answer = world.system.get(following[0].partition("/fhir/")[2])
    assert len(ids) == 5 and ids == sorted(ids, reverse=True)
    assert world.system.get(f"Patient/{world.a}/AuditEvent?subtype=read").tree["entry"]


def test_nobody_changes_one(read):
    [found] = events(read.patient, "subtype=read")
    of_office = officer()
    for method, who in product(("PUT", "PATCH", "DELETE"), (read.system, read.patient, read.doctor, of_office)):
        for path in (f"AuditEvent/{found['id']}", "AuditEvent?_id=1"):
            assert who.request(method, path, found if method != "DELETE" else None).status_code == 405
        given = found if method != "PATCH" else {"resourceType": "Parameters"}
        entry = {"resource": given, "request": {"method": method, "url": f"AuditEvent/{found['id']}"}}
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        assert who.post("", bundle).tree["entry"][0]["response"]["status"].startswith("405")


def test_what_is_received_is_its_own_record(world):
    sent = about(world)
    answer = world.system.post("AuditEvent", sent)
    assert answer.status_code == 201, answer.content
    id = answer.tree["id"]
    assert answer.headers["Location"].endswith(f"AuditEvent/{id}/_history/1")
    assert execute("SELECT seq, patient, status, received IS NULL FROM audit ORDER BY seq DESC LIMIT 1") == [
        (int(id), world.key, 201, False)
    ]
    got = world.patient.get(f"AuditEvent/{id}").tree
    assert got == answer.tree and got["recorded"] == sent["recorded"]
    assert got["meta"]["tag"] == [{"system": "urn:fhirserver:audit", "code": "received"}]
    for query in ("date=2020-05-06", "action=R&agent=Practitioner/far", f"_id={id}", "outcome=0&date=lt2021"):
        assert id in [e["id"] for e in events(world.patient, query)], query
    assert id not in [e["id"] for e in events(world.patient, "date=ge2021")]


def test_what_is_not_received(world):
    for who in (world.patient, world.doctor, world.clerk, Api("system/AuditEvent.rs", name="reader")):
        assert who.post("AuditEvent", about(world)).status_code == 403
    assert world.system.post("AuditEvent", {"resourceType": "AuditEvent"}).status_code == 400
    for patient, status in ((world.b, 403), (world.a, 201)):
        bound = Api("patient/AuditEvent.c", name="bound", patient=patient)
        assert bound.post("AuditEvent", about(world)).status_code == status
    two = about(world, entity=[{"what": {"reference": f"Patient/{p}"}} for p in (world.a, world.b)])
    assert world.system.post("AuditEvent", two).status_code == 422
    entry = {"resource": OF_OTHERS, "request": {"method": "POST", "url": "AuditEvent"}}
    for kind, status in (("transaction", 400), ("batch", 200)):
        answer = world.system.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert answer.status_code == status
    assert answer.tree["entry"][0]["response"]["status"].startswith("201")


def test_it_is_in_no_other_search(world):
    assert world.system.get("?_type=AuditEvent").status_code == 400
    assert world.system.get("AuditEvent/_history").status_code == 404
    assert world.system.get("AuditEvent/1/_history").status_code == 404


def test_scopes_bound_it(read):
    narrow = api("alice", scope="patient/AuditEvent.rs", patient=read.a)
    assert events(narrow, "subtype=read")
    assert api("alice", scope="patient/AuditEvent.rs", patient=read.b).get("AuditEvent").tree.get("entry") is None
    assert api("alice", scope="user/Observation.rs").get("AuditEvent").status_code == 403
