"""Labels on write: by codes, by parts, and by nobody who may not."""

import pytest

from accessctl import labelling
from accessctl.labels import CONFIDENTIALITY, SENSITIVITY, VISIBILITY
from accessctl.people import AttendingDoctor, Person
from records.database import execute
from records.keys import identity
from records.resources.labels import codings

from .people import observation

ICD, SCT, LOINC, ATC = ("http://hl7.org/fhir/sid/icd-10", "http://snomed.info/sct", "http://loinc.org",
                        "http://www.whocc.no/atc")  # fmt: skip


def coded(patient, system, code, type="Condition"):
    concept = {"coding": [{"system": system, "code": code}]}
    found = {"resourceType": type, "subject": {"reference": f"Patient/{patient}"}}
    if type == "Condition":
        return {**found, "code": concept}
    if type == "Observation":
        return {**found, "status": "final", "code": concept}
    return {**found, "status": "active", "intent": "order", "medicationCodeableConcept": concept}


def labels(resource):
    return {c["code"] for c in resource["meta"].get("security", ())}


CODES = [
    (ICD, "B20.1", "Condition", {"HIV"}), (ICD, "B201", "Condition", {"HIV"}), (ICD, "Z21", "Condition", {"HIV"}),
    (ICD, "B19", "Condition", set()), (ICD, "F32.1", "Condition", {"PSY"}),
    (ICD, "F10.2", "Condition", {"ETH", "ETHUD"}), (ICD, "F11.2", "Condition", {"ETH", "OPIOIDUD"}),
    (ICD, "F17.2", "Condition", set()), (ICD, "T74.1", "Condition", {"SDV"}), (ICD, "A53", "Condition", {"STD"}),
    (ICD, "O04.9", "Condition", {"SEX"}), (ICD, "Q90.0", "Condition", {"GDIS"}), (ICD, "I10", "Condition", set()),
    (ICD, "F02.4", "Condition", {"HIV"}), (SCT, "86406008", "Condition", {"HIV"}),
    (SCT, "864060089", "Condition", set()), (LOINC, "20447-9", "Observation", {"HIV"}),
    (LOINC, "8867-4", "Observation", set()), (ATC, "J05AR20", "MedicationRequest", {"HIV"}),
    (ATC, "J05AF10", "MedicationRequest", set()), (ATC, "N06AB03", "MedicationRequest", {"PSY"}),
    ("http://example.org", "B20", "Condition", set()),
]  # fmt: skip


def test_codes(world):
    for system, code, type, expected in CODES:
        made = world.system.post(type, coded(world.a, system, code, type)).tree
        assert labels(made) == expected, code
        tags = [t for t in made["meta"].get("tag", ()) if t["system"] == labelling.MARK]
        assert tags == ([{"system": labelling.MARK, "code": "fr-2026-1"}] if expected else [])


def test_the_data_name_labels_that_are_enforced():
    from accessctl.labels import SENSITIVE

    _, exact, below = labelling.rules()
    given = {label for codes in exact.values() for found in codes.values() for label in found}
    given |= {label for begins in below.values() for _, label, _ in begins}
    assert given <= SENSITIVE.keys()


def test_wherever_the_code_is(world):
    inner = {"resourceType": "Condition", "id": "c", **coded(world.a, ICD, "B24")}
    outer = {**observation(world.a), "contained": [inner], "focus": [{"reference": "#c"}]}
    assert labels(world.system.post("Observation", outer).tree) == {"HIV"}
    by_extension = {**observation(world.a), "extension": [
        {"url": "urn:x", "valueCodeableConcept": {"coding": [{"system": ICD, "code": "F20"}]}}]}  # fmt: skip
    assert labels(world.system.post("Observation", by_extension).tree) == {"PSY"}
    assert labels(world.system.post("Observation", {**observation(world.a), "extension": [
        {"url": "urn:x", "valueCoding": {"system": ICD, "code": "T74"}}]}).tree) == {"SDV"}  # fmt: skip


def test_what_is_labelled_needs_a_consent_that_says_so(world):
    row = world.made(coded(world.a, ICD, "B20"))
    world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(f"Condition/{row}").status_code == 404
    world.consents(to="Practitioner/dr-doctor", securityLabel=[{"system": SENSITIVITY, "code": "HIV"}])
    assert world.doctor.get(f"Condition/{row}").status_code == 200


def test_nobody_takes_away_what_the_code_says(world):
    row = world.made(coded(world.a, ICD, "B20"))
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "meta", "valueMeta": {"security": [{"system": SENSITIVITY, "code": "HIV"}]}}]}  # fmt: skip
    world.system.post(f"Condition/{row}/$meta-delete", body)
    assert labels(world.system.get(f"Condition/{row}").tree) == {"HIV"}
    world.system.put(f"Condition/{row}", {**coded(world.a, ICD, "B20"), "id": row})
    assert labels(world.system.get(f"Condition/{row}").tree) == {"HIV"}
    patch = [{"op": "remove", "path": "/meta/security"}]
    world.system.patch(f"Condition/{row}", patch, type="application/json-patch+json")
    assert labels(world.system.get(f"Condition/{row}").tree) == {"HIV"}


@pytest.mark.parametrize("how", ["put", "patch", "meta-add"])
def test_only_who_may_changes_labels(world, how):
    """A patient neither raises nor lifts what is not hers; a professional neither masks nor lifts another's label."""
    row = world.observation(security=[(CONFIDENTIALITY, "R")])
    AttendingDoctor.objects.create(patient=world.key, person=Person.objects.get(user__username="doctor"))
    world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(f"Observation/{row}").status_code == 200

    def change(who, system=None, code=None):
        """Set the label instead of R; none: lift it."""
        tree = who.get(f"Observation/{row}").tree
        coding = {"system": system, "code": code}
        if how == "put":
            tree["meta"]["security"] = [coding]
            if not code:
                del tree["meta"]["security"]
            return who.put(f"Observation/{row}", tree).status_code
        if how == "patch":
            ops = [{"op": "replace", "path": "/meta/security/0", "value": coding}]
            if not code:
                ops = [{"op": "remove", "path": "/meta/security"}]
            return who.patch(f"Observation/{row}", ops, type="application/json-patch+json").status_code
        name = "$meta-add" if code else "$meta-delete"
        coding = coding if code else {"system": CONFIDENTIALITY, "code": "R"}
        body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [coding]}}]}
        return who.post(f"Observation/{row}/{name}", body).status_code

    assert change(world.patient, VISIBILITY, "INVISIBLE_PATIENT") == 403
    assert change(world.patient, SENSITIVITY, "HIV") == 403
    assert change(world.patient) == 403
    assert change(world.doctor, VISIBILITY, "MASQUE_PS") == 403
    assert change(world.doctor) == 403
    assert labels(world.system.get(f"Observation/{row}").tree) == {"R"}


def test_a_patient_masks_what_the_rules_have_labelled_since(world, monkeypatch):
    monkeypatch.setattr(labelling, "SPARED", ("Condition",))
    row = world.made(coded(world.a, ICD, "B20"))
    monkeypatch.undo()
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "meta", "valueMeta": {"security": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}}]}  # fmt: skip
    assert world.patient.post(f"Condition/{row}/$meta-add", body).status_code == 200
    assert labels(world.system.get(f"Condition/{row}").tree) == {"MASQUE_PS", "HIV"}


# -- the high-water mark -----------------------------------------------------------------------------------------------


def listed(world, *references):
    return {"resourceType": "List", "status": "current", "mode": "working",
            "entry": [{"item": {"reference": r}} for r in references]}  # fmt: skip


def test_what_is_made_of_others_is_labelled_as_high(world):
    plain = world.observation()
    high = world.observation(security=[(CONFIDENTIALITY, "R"), (VISIBILITY, "MASQUE_PS")])
    secret = world.made(coded(world.a, ICD, "B20"))
    of = {"reference": f"Patient/{world.a}"}
    composition = {
        "resourceType": "Composition", "status": "final", "type": {"text": "x"}, "subject": of, "date": "2026-01-01",
        "author": [{"display": "x"}], "title": "x",
        "section": [{"title": "x", "section": [{"title": "y", "entry": [{"reference": f"Condition/{secret}"}]}]}],
    }  # fmt: skip
    document = {
        "resourceType": "DocumentReference", "status": "current", "subject": of,
        "content": [{"attachment": {"url": "Binary/x"}}],
        "context": {"related": [{"reference": f"Observation/{high}"}]},
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": coded(world.a, ICD, "F20")}]}
    for resource, expected in (
        (listed(world, f"Observation/{plain}"), set()),
        (listed(world, f"Observation/{plain}", f"Observation/{high}"), {"R"}),
        (composition, {"HIV"}),
        (document, {"R"}),
        (bundle, {"PSY"}),
    ):
        assert labels(world.system.post(resource["resourceType"], resource).tree) == expected


def test_within_one_transaction_whatever_the_order(world):
    entries = [
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": listed(
            world, "urn:uuid:00000000-0000-4000-8000-000000000002"), "request": {"method": "POST", "url": "List"}},
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002", "resource": listed(
            world, "urn:uuid:00000000-0000-4000-8000-000000000003"), "request": {"method": "POST", "url": "List"}},
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000003", "resource": coded(world.a, ICD, "B20"),
         "request": {"method": "POST", "url": "Condition"}},
    ]  # fmt: skip
    answer = world.system.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries},
                               prefer="return=representation")  # fmt: skip
    assert [labels(e["resource"]) for e in answer.tree["entry"]] == [{"HIV"}] * 3


def bits(reference):
    """The row's labels, which rights are judged by."""
    found = execute("SELECT labels FROM resource WHERE identity = %s", (identity(*reference.split("/")),))[0][0]
    return {c["code"] for c in codings(found)}


def test_a_part_that_is_labelled_later_raises_what_is_made_of_it(world):
    """Through every level, whether it was there before or not; what is lowered again leaves the mark."""
    part = world.observation()
    inner = world.made(listed(world, f"Observation/{part}"))
    outer = world.made(listed(world, f"List/{inner}", "Observation/00000000-0000-4000-8000-00000000000c"))
    about = world.made({
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{world.a}"},
        "content": [{"attachment": {"url": "Binary/x"}}],
        "context": {"related": [{"reference": f"Observation/{part}"}]},
    })  # fmt: skip
    wholes = (f"List/{inner}", f"List/{outer}", f"DocumentReference/{about}")
    assert [bits(whole) for whole in wholes] == [set()] * 3
    world.consents()
    assert world.doctor.get(f"DocumentReference/{about}").status_code == 200
    high = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [
        {"system": CONFIDENTIALITY, "code": "R"}, {"system": VISIBILITY, "code": "MASQUE_PS"}]}}]}  # fmt: skip
    assert world.system.post(f"Observation/{part}/$meta-add", high).status_code == 200
    assert [bits(whole) for whole in wholes] == [{"R"}] * 3
    assert world.doctor.get(f"DocumentReference/{about}").status_code == 404
    assert world.doctor.get(f"DocumentReference/{about}/_history/1").status_code == 404
    assert world.system.post(f"Observation/{part}/$meta-delete", high).status_code == 200
    assert [bits(whole) for whole in wholes] == [{"R"}] * 3
    later = "00000000-0000-4000-8000-00000000000c"
    tree = observation(world.a) | {"id": later, "code": {"coding": [{"system": ICD, "code": "B20"}]}}
    assert world.system.put(f"Observation/{later}", tree).status_code == 201
    assert [bits(whole) for whole in wholes] == [{"R"}, {"R", "HIV"}, {"R"}]
    tree = world.system.get(f"List/{outer}").tree
    assert labels(tree) == set()
    del tree["entry"][0]
    assert labels(world.system.put(f"List/{outer}", tree).tree) == {"HIV"}
    high["parameter"][0]["valueMeta"]["security"][0]["code"] = "V"
    assert world.system.post(f"Observation/{part}/$meta-add", high).status_code == 200
    assert bits(f"List/{outer}") == {"HIV"}, "it is no part any more"


def test_a_medicine_is_looked_into_where_it_is_referred_to(world):
    code = {"coding": [{"system": ATC, "code": "J05AR20"}]}
    plain = world.made({"resourceType": "Medication", "code": {"text": "water"}})
    drug = world.made({"resourceType": "Medication", "code": code})
    substance = world.made({"resourceType": "Substance", "code": {"coding": [{"system": ATC, "code": "N06AB03"}]}})
    mixed = world.made({"resourceType": "Medication", "ingredient": [
        {"itemReference": {"reference": f"Substance/{substance}"}},
        {"itemReference": {"reference": f"Medication/{drug}"}}]})  # fmt: skip

    def taken(medication):
        return {"resourceType": "MedicationStatement", "status": "active",
                "subject": {"reference": f"Patient/{world.a}"},
                "medicationReference": {"reference": f"Medication/{medication}"}}  # fmt: skip

    assert world.doctor.get(f"Medication/{drug}").status_code == 200, "a catalogue is open to everybody known"
    for medication, expected in ((plain, set()), (drug, {"HIV"}), (mixed, {"PSY", "HIV"})):
        assert labels(world.system.post("MedicationStatement", taken(medication)).tree) == expected
    statement = world.made(taken(plain))
    world.consents()
    assert world.doctor.get(f"MedicationStatement/{statement}").status_code == 200
    assert world.system.put(f"Medication/{plain}", {"resourceType": "Medication", "id": plain, "code": code})
    assert bits(f"MedicationStatement/{statement}") == {"HIV"}
    assert world.doctor.get(f"MedicationStatement/{statement}").status_code == 404


def test_nobody_lifts_the_label_of_a_whole_that_is_its_own(world):
    """What its parts give it may go with them; what its author gave it stays. (attack A44)"""
    part = world.observation(security=[(SENSITIVITY, "HIV")])
    AttendingDoctor.objects.create(patient=world.key, person=Person.objects.get(user__username="doctor"))
    world.consents()
    about = world.made({
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{world.a}"},
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "content": [{"attachment": {"url": "Binary/x"}}],
        "context": {"related": [{"reference": f"Observation/{part}"}]},
    })  # fmt: skip
    tree = world.doctor.get(f"DocumentReference/{about}").tree
    assert labels(tree) == {"R", "HIV"}
    for who in (world.patient, world.doctor):
        lowered = {**tree, "meta": {"security": [{"system": SENSITIVITY, "code": "HIV"}]}}
        assert who.put(f"DocumentReference/{about}", lowered).status_code == 403
    apart = {**tree, "context": {}}
    del apart["context"]
    apart["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    answer = world.doctor.put(f"DocumentReference/{about}", apart)
    assert answer.status_code == 200, answer.content
    assert labels(world.system.get(f"DocumentReference/{about}").tree) == {"R"}
