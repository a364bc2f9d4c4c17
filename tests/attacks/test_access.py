"""Attacks on the formula, named by their number in the catalogue: what is hidden answers as what is not there."""

from accessctl.groups import PATIENTS
from accessctl.labels import VISIBILITY
from tests.accessctl.people import api, consent, observation, person
from tests.accessctl.test_emergency import MASK, glass
from tests.api import indexed

ABSENT = "00000000-0000-4000-8000-000000000000"
NO_ROWS = ("AuditEvent",)


def same(who, path, hidden, method="get", body=None, **headers):
    """The answers for a hidden and an absent id are one, byte for byte."""
    answers = []
    for id in (hidden, ABSENT):
        given = None if body is None else {**body, "id": id} if body.get("resourceType") else body
        sent = () if body is None else (given,)
        answer = getattr(who, method)(path.replace("ID", id), *sent, **headers)
        kept = {k: v for k, v in answer.headers.items() if k not in ("X-Request-Id", "Date")}
        answers.append((answer.status_code, answer.content.replace(id.encode(), b"ID"), str(kept).replace(id, "ID")))
    assert answers[0] == answers[1]
    return answers[0][0]


def actors(world):
    return [world.other, world.doctor, world.stranger, world.nurse, world.clerk]


def test_A01_A05_A25_A26_A32_reads(world):
    hidden = world.observation()
    for who in actors(world):
        for path in ("Observation/ID", "Observation/ID/_history", "Observation/ID/_history/1", "Observation/ID/$meta"):
            assert same(who, path, hidden) == 404
        for path in ("Patient/ID", "Patient/ID/_history", "Patient/ID/$everything", "Patient/ID/_history/1"):
            assert same(who, path, world.a) == 404
        for path in ("Patient/ID/Observation", "Patient/ID/*", "Observation?subject=Patient/ID", "Patient?_id=ID",
                     "Observation?patient=ID", "Observation?subject=Patient/ID&_summary=count"):  # fmt: skip
            assert same(who, path, world.a) == 200
        assert same(who, "Observation/ID", hidden, if_none_match='W/"1"') == 404
        assert same(who, "Observation/ID", hidden, if_modified_since="Sat, 01 Jan 2050 00:00:00 GMT") == 404


def test_A01_every_type(world):
    """An id of A, under every type, to somebody else."""
    for type in sorted(PATIENTS - set(NO_ROWS)):
        assert world.other.get(f"{type}/{world.a}").status_code == 404


def test_A03_types_without_a_compartment(world):
    of = {"reference": f"Patient/{world.a}"}
    for resource in (
        {"resourceType": "Basic", "code": {"text": "x"}, "subject": of},
        {"resourceType": "List", "status": "current", "mode": "working", "subject": of},
        {"resourceType": "Group", "type": "person", "actual": True,
         "member": [{"entity": {"reference": f"Patient/{world.a}"}}]},
        {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="},
    ):  # fmt: skip
        id = world.made(resource)
        world.consents()
        for who in (world.patient, *actors(world)):
            assert who.get(f"{resource['resourceType']}/{id}").status_code in (403, 404)


def test_A03_a_binary_that_is_masked_itself_is_as_absent(world):
    """What names it does more: tests/attacks/test_binaries.py."""
    world.consents()
    plain = {"resourceType": "Binary", "contentType": "text/plain", "data": "eA==",
             "securityContext": {"reference": f"Patient/{world.a}"}}  # fmt: skip
    masked = plain | {"meta": {"security": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}}
    shown, hidden = world.made(plain), world.made(masked)
    assert world.doctor.get(f"Binary/{shown}").status_code == 200
    for path in ("Binary/ID", "Binary/ID/_history", "Binary/ID/_history/1", "Binary/ID/$meta"):
        assert same(world.doctor, path, hidden) == 404


def test_A03_what_a_patient_restricts_is_told_to_no_professional(world):
    """Neither that a Consent denies, nor whom, nor that there is one. (EHDS art. 8)"""
    world.consents()
    denial = world.consents(type="deny", to="Practitioner/dr-stranger")
    indexed()
    for who in (world.doctor, world.stranger, world.nurse):
        for path in ("Consent/ID", "Consent/ID/_history", "Consent/ID/_history/1", "Consent/ID/$meta"):
            assert same(who, path, denial) == 404
        for path in ("Consent", f"Consent?patient={world.a}", f"Patient/{world.a}/Consent", "Consent/_history",
                     f"Patient?_id={world.a}&_revinclude=Consent:patient", f"Patient/{world.a}/$everything",
                     f"Patient/{world.a}/*", "Patient?_has:Consent:patient:status=active"):  # fmt: skip
            answer = who.get(path)
            found = (answer.tree if answer.status_code == 200 else {}).get("entry", ())
            assert "Consent" not in {e["resource"]["resourceType"] for e in found}, path
    assert "entry" not in world.doctor.get("Patient?_has:Consent:patient:status=active").tree
    assert world.patient.get(f"Consent/{denial}").status_code == 200


def test_A04_a_version_is_judged_on_its_own_patient(world):
    id = world.observation(world.b)
    moved = observation(world.a) | {"id": id}
    assert world.system.put(f"Observation/{id}", moved).status_code == 200
    assert world.patient.get(f"Observation/{id}").status_code == 200
    assert world.patient.get(f"Observation/{id}/_history/1").status_code == 404
    assert world.patient.get(f"Observation/{id}/_history").tree["total"] == 1
    assert world.other.get(f"Observation/{id}/_history/1").status_code == 404


def test_A04_A05_histories(world):
    world.observation()
    for who in actors(world):
        assert "entry" not in who.get("Observation/_history").tree
        assert who.get("_history").status_code == 403


def test_A05_the_meta_of_a_type_is_of_what_is_visible(world):
    """$meta of a type collects labels and tags of the rows that one may see."""
    label = {"system": "urn:l", "code": "hidden"}
    world.system.post("Observation", observation(world.a) | {"meta": {"tag": [label]}})
    world.observation(world.b)
    for who, tags in ((world.patient, [label]), (world.other, []), (world.doctor, []), (world.system, [label])):
        answer = who.get("Observation/$meta")
        assert answer.status_code == 200, answer.content
        assert answer.tree["parameter"][0]["valueMeta"].get("tag", []) == tags


def test_A06_a_tombstone_tells_nothing(world):
    hidden = world.observation()
    assert world.system.delete(f"Observation/{hidden}").status_code == 204
    for who in actors(world):
        assert same(who, "Observation/ID", hidden) == 404
    assert world.patient.get(f"Observation/{hidden}").status_code == 410


def test_A07_A08_A10_includes(world):
    own = world.observation(world.b, focus=[{"reference": f"Patient/{world.a}"}])
    for _ in range(3):
        world.observation(focus=[{"reference": f"Patient/{world.b}"}])
    indexed()
    page = world.other.get("Observation?_include=Observation:focus&_include=Observation:subject&_count=1").tree
    assert {e["resource"]["id"] for e in page["entry"]} == {own, world.b}
    page = world.other.get(f"Patient?_id={world.b}&_revinclude=Observation:focus&_revinclude=Observation:subject").tree
    assert {e["resource"]["id"] for e in page["entry"]} == {own, world.b}


def test_A13_A14_A15_A18_A19_A20_what_search_infers(world):
    world.system.put(
        f"Patient/{world.a}", {"resourceType": "Patient", "id": world.a, "name": [{"family": "Zephyrine"}]}
    )
    world.observation(valueQuantity={"value": 9, "code": "kg", "system": "http://unitsofmeasure.org"})
    own = world.observation(world.b, focus=[{"reference": f"Patient/{world.a}"}])
    indexed()
    who = world.other
    for path, expected in (
        ("Observation?focus:Patient.name=Zephyrine", set()),
        ("Patient?_has:Observation:subject:value-quantity=gt3", set()),
        ("Observation?subject:Patient.name=Zephyrine", set()),
        ("Observation?_sort=-value-quantity&_total=accurate", {own}),
        ("Observation?status:not=cancelled", {own}),
        ("Observation?value-quantity:missing=true", {own}),
        (f"Observation?patient={world.a},{world.b}", {own}),
        (f"Observation?patient={world.a}&patient={world.b}", set()),
        ("Observation?_count=0", set()),
    ):
        page = who.get(path).tree
        assert {e["resource"]["id"] for e in page.get("entry", ())} == expected, path
        assert page.get("total", 1) <= 1, path
    assert who.get("Observation?_summary=count").tree["total"] == 1


def test_A15_an_order_by_reference_tells_nothing_of_its_target(world):
    """Whether a row that one's own names is there: hidden and absent sort alike; what is visible sorts by its id."""
    hidden = world.observation()
    own = {id: world.observation(world.b, derivedFrom=[{"reference": f"Observation/{id}"}]) for id in (hidden, ABSENT)}
    third = world.observation(world.b)
    seen = world.observation(world.b, derivedFrom=[{"reference": f"Observation/{third}"}])
    indexed()
    for sort in ("derived-from", "-derived-from", "derived-from,_id", "derived-from:Observation.derived-from"):
        orders = []
        for who in (world.other, world.system):
            page = who.get(f"Observation?subject=Patient/{world.b}&_sort={sort}").tree
            orders.append([e["resource"]["id"] for e in page["entry"]])
        assert set(orders[0]) == {*own.values(), third, seen}
        unnamed = [id for id in orders[0] if id != seen]  # all of them have the same key: the order is by row
        if sort in ("derived-from", "-derived-from"):
            assert unnamed == (list if sort == "derived-from" else reversed_list)([own[hidden], own[ABSENT], third])
            assert orders[0].index(seen) == (3 if sort == "derived-from" else 0)
            assert orders[1] != orders[0] or hidden < ABSENT


def test_A13_no_hierarchy_leads_over_what_is_hidden(world):
    """:below and :above follow references from row to row; a hidden row is no step, whoever refers to it."""
    top = world.observation(world.b)
    hidden = world.observation(derivedFrom=[{"reference": f"Observation/{top}"}])
    own = world.observation(world.b, derivedFrom=[{"reference": f"Observation/{hidden}"}])
    indexed()
    for more in ("", "&_sort=-date", "&status=final"):
        for who, found in ((world.system, {hidden, own}), (world.other, set())):
            page = who.get(f"Observation?derived-from:below=Observation/{top}{more}").tree
            assert {e["resource"]["id"] for e in page.get("entry", ())} == found, more
    above = f"Observation?derived-from:above=Observation/{own}"
    assert len(world.system.get(above).tree["entry"]) == 2
    shown = {e["resource"]["id"] for e in world.other.get(above).tree.get("entry", ())}
    assert shown == {own}


def reversed_list(rows):
    return rows[::-1]


def test_A28_A29_A30_A31_bundles_and_conditions(world):
    world.system.put(f"Patient/{world.a}", {
        "resourceType": "Patient", "id": world.a, "identifier": [{"system": "urn:s", "value": "1"}],
    })  # fmt: skip
    hidden = world.observation(identifier=[{"system": "urn:s", "value": "o1"}])
    for who in (world.other, world.doctor):
        entries = [
            {"request": {"method": "GET", "url": f"Patient/{world.a}"}},
            {"request": {"method": "GET", "url": "Patient"}},
        ]
        batch = who.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).tree
        assert [e["response"]["status"][:3] for e in batch["entry"]] == ["404", "200"]
        refused = []
        for value in ("1", "none"):
            each = observation("x") | {"subject": {"reference": f"Patient?identifier=urn:s|{value}"}}
            entry = {"resource": each, "request": {"method": "POST", "url": "Observation"}}
            answer = who.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
            refused.append((answer.status_code, answer.content.replace(value.encode(), b"V")))
        assert refused[0] == refused[1] and refused[0][0] == 412
        gone = [who.delete(f"Observation?identifier=urn:s|{v}") for v in ("o1", "none")]
        assert [(g.status_code, g.headers.get("X-Deleted")) for g in gone] == [(204, "0")] * 2
        mine = world.b if who is world.other else world.a
        made = who.post("Observation", observation(mine), if_none_exist="identifier=urn:s|o1")
        assert made.status_code == 201 and hidden not in made.headers["Location"]
    assert world.patient.get(f"Observation/{hidden}").status_code == 200


def test_A33_A34_A45_writes_to_what_is_hidden(world):
    hidden = world.observation()
    patch = [{"op": "test", "path": "/status", "value": "final"}]
    for who in (world.other, world.doctor, world.clerk):
        expected = (403, 404)
        assert same(who, "Observation/ID", hidden, "put", observation(world.b)) in expected
        assert same(who, "Observation/ID", hidden, "put", observation(world.b), if_match='W/"3"') in (403, 404, 412)
        answers = [who.patch(f"Observation/{id}", patch, type="application/json-patch+json") for id in (hidden, ABSENT)]
        assert answers[0].status_code == answers[1].status_code in expected
        assert answers[0].content.replace(hidden.encode(), b"") == answers[1].content.replace(ABSENT.encode(), b"")
        assert same(who, "Observation/ID", hidden, "delete") in (204, 403)
    assert world.patient.get(f"Observation/{hidden}").status_code == 200


def test_A35_A43_writing_into_another_record(world):
    """Hidden or absent: one answer, and nothing is left."""
    answers = [world.other.post("Observation", observation(id)) for id in (world.a, ABSENT)]
    assert [a.status_code for a in answers] == [403, 403] and answers[0].content == answers[1].content
    both = observation(world.b) | {"performer": [{"reference": f"Patient/{world.a}"}]}
    assert world.other.post("Observation", both).status_code == 403
    assert world.system.get("Observation?_summary=count").tree["total"] == 0
    fed = [world.doctor.post("Observation", observation(id)) for id in (world.a, ABSENT)]
    assert [(a.status_code, a.content) for a in fed] == [(201, b"")] * 2


def test_A42_a_revocation_between_two_pages(world):
    for _ in range(3):
        world.observation()
    id = world.consents()
    first = world.doctor.get("Observation?_count=1").tree
    following = next(li["url"] for li in first["link"] if li["relation"] == "next").partition("/fhir/")[2]
    assert world.patient.delete(f"Consent/{id}").status_code == 204
    assert "entry" not in world.doctor.get(following).tree


def test_A44_nobody_moves_a_resource_to_another_record(world):
    world.consents()
    world.consents(by=world.other, patient=world.b)
    id = world.observation(by=world.doctor)
    moved = observation(world.b) | {"id": id}
    assert world.doctor.put(f"Observation/{id}", moved).status_code == 403
    patch = [{"op": "replace", "path": "/subject/reference", "value": f"Patient/{world.b}"}]
    assert world.doctor.patch(f"Observation/{id}", patch, type="application/json-patch+json").status_code == 403
    assert world.other.get(f"Observation/{id}").status_code == 404


def test_A46_labels_and_meta(world):
    """Who may not change a label cannot, by PUT, PATCH or $meta-delete; what the server owns is its own."""
    world.consents()
    id = world.observation(by=world.doctor)
    mask = [{"name": "meta", "valueMeta": {"security": [{"system": MASK[0], "code": MASK[1]}]}}]
    assert (
        world.patient.post(f"Observation/{id}/$meta-add", {"resourceType": "Parameters", "parameter": mask}).status_code
        == 200
    )
    assert world.doctor.put(f"Observation/{id}", observation(world.a) | {"id": id}).status_code == 403
    patch = [{"op": "remove", "path": "/meta/security"}]
    assert world.doctor.patch(f"Observation/{id}", patch, type="application/json-patch+json").status_code == 403
    body = {"resourceType": "Parameters", "parameter": mask}
    assert world.doctor.post(f"Observation/{id}/$meta-delete", body).status_code == 403
    secret = world.observation(security=[(MASK[0], "INVISIBLE_REPRESENTANTS_LEGAUX")])
    lifted = observation(world.a) | {"id": secret}
    assert world.patient.put(f"Observation/{secret}", lifted).status_code == 403
    changed = observation(world.a) | {"id": id, "status": "cancelled"}
    assert world.patient.put(f"Observation/{id}", changed).status_code == 403


def test_A44_A46_what_was_deleted_comes_back_as_it_was(world):
    """Writing again under the id of what is deleted is a change of what it was last."""
    world.consents()
    world.consents(by=world.other, patient=world.b)
    id = world.observation(by=world.doctor)
    masked = observation(world.a, [MASK]) | {"id": id}
    assert world.patient.put(f"Observation/{id}", masked).status_code == 200
    assert world.doctor.delete(f"Observation/{id}").status_code == 204
    for who, resource in (
        (world.doctor, observation(world.a)),  # without the mask: every version would be open again
        (world.doctor, observation(world.b, [MASK])),  # into another record
        (world.patient, observation(world.a, [MASK], status="cancelled")),  # in the name of the doctor
    ):
        assert who.put(f"Observation/{id}", resource | {"id": id}).status_code == 403
        assert world.stranger.get(f"Observation/{id}/_history/1").status_code == 404
    assert world.doctor.put(f"Observation/{id}", masked).status_code == 201
    assert world.stranger.get(f"Observation/{id}").status_code == 404


def test_A47_nobody_grants_rights_to_oneself(world):
    row = world.observation()
    member = {"entity": {"reference": f"Patient/{world.a}"}}
    for resource in (
        consent(world.a, to="Practitioner/dr-doctor"),
        {"resourceType": "Practitioner", "name": [{"family": "x"}]},
        {"resourceType": "PractitionerRole", "active": True},
        {"resourceType": "SearchParameter", "url": "http://x", "name": "x", "status": "active", "description": "x",
         "code": "x", "base": ["Patient"], "type": "token", "expression": "Patient.id"},
        {"resourceType": "AuditEvent", "type": {"code": "x"}, "recorded": "2026-01-01T00:00:00Z",
         "agent": [{"requestor": True}], "source": {"observer": {"display": "x"}}},
    ):  # fmt: skip
        assert world.doctor.post(resource["resourceType"], resource).status_code == 403, resource["resourceType"]
    for resource in (
        {"resourceType": "Group", "type": "person", "actual": True, "member": [member]},
        {"resourceType": "CareTeam", "subject": {"reference": f"Patient/{world.a}"},
         "participant": [{"member": {"reference": "Practitioner/dr-doctor"}}]},
        {"resourceType": "RelatedPerson", "patient": {"reference": f"Patient/{world.a}"}},
    ):  # fmt: skip
        assert world.doctor.post(resource["resourceType"], resource).status_code == 201
    assert world.other.post("Consent", consent(world.a, to="Practitioner/dr-stranger")).status_code == 403
    for who in (world.doctor, world.other, world.stranger):
        assert who.get(f"Observation/{row}").status_code == 404


def test_A47_an_application_takes_no_decision_that_its_scopes_do_not_cover(world):
    """A token that reads results names no proxy, blocks nobody, closes nothing, and breaks no glass."""
    person("mallory", "patient")
    row = world.observation()

    def decides(who, name, of=world.a, **given):
        body = [{"name": k, "valueString": v} for k, v in given.items()]
        return who.post(f"Patient/{of}/${name}", {"resourceType": "Parameters", "parameter": body}).status_code

    for scope, bound in (("patient/*.rs", world.a), ("user/Observation.cruds", None), ("openid", None),
                         ("patient/*.cruds", world.b), ("user/Consent.cruds?status=active", None)):  # fmt: skip
        app = api("alice", scope, patient=bound)
        assert decides(app, "name-proxy", login="mallory") == 403, scope
        assert decides(app, "block", practitioner="Practitioner/dr-doctor") == 403
        assert decides(app, "close-record") == decides(app, "close-record", of=ABSENT) == 403
    assert decides(api("alice", purpose="HMARKT"), "name-proxy", login="mallory") == 403
    assert api("mallory").get(f"Observation/{row}").status_code == 404
    assert decides(api("alice", "patient/Consent.u", patient=world.a), "name-proxy", login="mallory") == 200
    assert api("mallory").get(f"Observation/{row}").status_code == 200
    for token in ({"scope": "user/Observation.rs"}, {"scope": "patient/*.cruds", "patient": world.b},
                  {"purpose": "HMARKT"}):  # fmt: skip
        opened = glass(api("doctor", **token), purpose="ETREAT", reason="Unconscious, immediate danger")
        assert opened.status_code == 403


def test_A48_write_then_peek(world):
    made = world.doctor.post("Observation", observation(world.a), prefer="return=representation")
    assert (made.status_code, made.content) == (201, b"")


def test_A49_contained_and_wrapped(world):
    inner = observation(world.a) | {"id": "in"}
    outer = observation(world.b) | {"contained": [inner], "hasMember": [{"reference": "#in"}]}
    assert world.other.post("Observation", outer).status_code == 403
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    assert world.other.post("Bundle", bundle).status_code == 403
    own = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation(world.b)}]}
    id = world.made(own, world.other)
    assert world.other.get(f"Bundle/{id}").status_code == 200
    assert world.patient.get(f"Bundle/{id}").status_code == 404


def test_the_directory_is_readable_and_not_writable(world):
    id = world.made({"resourceType": "Organization", "name": "Clinic"})
    for who in (world.patient, world.proxy, *actors(world)):
        assert who.get(f"Organization/{id}").status_code == 200
        assert who.delete(f"Organization/{id}").status_code in (204, 403)
    assert world.system.get(f"Organization/{id}").status_code == 200
