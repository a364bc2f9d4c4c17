"""Attacks on the file behind a document: what names a Binary hides it, in every order and by every exit. (A03, A04)"""

import base64
import json

import pytest
from django.db import connections

from accessctl.actor import Actor, Person
from accessctl.labels import SENSITIVITY, VISIBILITY
from accessctl.scopes import parse
from accessctl.sources import documents, formula
from accessctl.sources.scopes import scopes
from records.database import execute
from tests.accessctl.people import observation
from tests.api import indexed

from .test_access import ABSENT, same

CONTENT = b"%PDF-1.7 the secret\x00\xff"
MASK = {"system": VISIBILITY, "code": "MASQUE_PS"}
META = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [MASK]}}]}
LATER = "00000000-0000-4000-8000-00000000000b"
CR = {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}


def binary(patient, **more):
    return {"resourceType": "Binary", "contentType": "application/pdf",
            "data": base64.b64encode(CONTENT).decode(), "securityContext": {"reference": f"Patient/{patient}"},
            **more}  # fmt: skip


def attachment(id):
    return {"contentType": "application/pdf", "url": f"Binary/{id}"}


def document(patient, *ids, security=(), **more):
    meta = {"meta": {"security": list(security)}} if security else {}
    return {"resourceType": "DocumentReference", **meta, "status": "current", "type": CR,
            "subject": {"reference": f"Patient/{patient}"},
            "content": [{"attachment": attachment(id)} for id in ids], **more}  # fmt: skip


def shown(who, id):
    """Does this person get the content? By every exit alike."""
    raw = who.get(f"Binary/{id}", accept="application/pdf")
    indexed()
    found = [raw.status_code == 200 and raw.content == CONTENT, who.get(f"Binary/{id}").status_code == 200]
    for path in (f"Binary/{id}/_history", f"Binary/{id}/_history/1", f"Binary/{id}/$meta"):
        found.append(who.get(path).status_code == 200)
    for path in (f"Binary?_id={id}", "Binary", "?_type=Binary,DocumentReference", "Binary/_history"):
        found.append(id in [e["resource"]["id"] for e in who.get(path).tree.get("entry", ())])
    entry = {"request": {"method": "GET", "url": f"Binary/{id}"}}
    batch = who.post("", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).tree
    found.append(batch["entry"][0]["response"]["status"].startswith("200"))
    assert len(set(found)) == 1, found
    if not found[0]:
        for path in ("Binary/ID", "Binary/ID/_history", "Binary/ID/_history/1", "Binary/ID/$meta", "Binary?_id=ID",
                     "Binary?_id=ID&_summary=count", "Binary?_id=ID&_total=accurate"):  # fmt: skip
            same(who, path, id)
        same(who, "Binary/ID", id, accept="application/pdf")
        same(who, "Binary/ID", id, if_none_match='W/"1"')
    return found[0]


def test_A03_masked_unmasked_and_deleted_later(world):
    world.consents()
    file = world.made(binary(world.a))
    assert shown(world.doctor, file)
    about = world.made(document(world.a, file))
    assert shown(world.doctor, file)
    assert world.patient.post(f"DocumentReference/{about}/$meta-add", META).status_code == 200
    assert not shown(world.doctor, file)
    assert world.patient.get(f"Binary/{file}", accept="application/pdf").content == CONTENT
    assert world.patient.post(f"DocumentReference/{about}/$meta-delete", META).status_code == 200
    assert shown(world.doctor, file)
    patch = [{"op": "add", "path": "/meta/security", "value": [MASK]}]
    answer = world.patient.patch(f"DocumentReference/{about}", patch, type="application/json-patch+json")
    assert answer.status_code == 200, answer.content
    assert not shown(world.doctor, file)
    # a deleted document is what it was last
    assert world.system.delete(f"DocumentReference/{about}").status_code == 204
    assert not shown(world.doctor, file)
    assert shown(world.patient, file)


def test_A03_the_document_before_the_file(world):
    world.consents()
    world.made(document(world.a, LATER, security=[MASK]))
    assert world.system.put(f"Binary/{LATER}", binary(world.a, id=LATER)).status_code == 201
    assert not shown(world.doctor, LATER)
    assert world.system.put(f"Binary/{LATER}", binary(world.a, id=LATER, language="fr")).status_code == 200
    assert not shown(world.doctor, LATER)


@pytest.mark.parametrize("first", ["Binary", "DocumentReference"])
def test_A03_in_one_transaction(world, first):
    world.consents()
    entries = [
        {"fullUrl": "urn:uuid:8a2c0c5e-0000-4000-8000-000000000001", "resource": binary(world.a),
         "request": {"method": "POST", "url": "Binary"}},
        {"resource": document(world.a, "x", security=[MASK]),
         "request": {"method": "POST", "url": "DocumentReference"}},
    ]  # fmt: skip
    entries[1]["resource"]["content"][0]["attachment"]["url"] = entries[0]["fullUrl"]
    entries.sort(key=lambda e: e["resource"]["resourceType"] != first)
    done = world.system.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert done.status_code == 200, done.content
    places = [e["response"]["location"] for e in done.tree["entry"]]
    (file,) = [each.split("/")[-3] for each in places if "Binary/" in each]
    assert not shown(world.doctor, file)
    assert shown(world.patient, file)


def test_A03_the_strictest_of_two_documents(world):
    world.consents()
    file = world.made(binary(world.a))
    world.made(document(world.a, file))
    second = world.made(document(world.a, file, security=[MASK]))
    assert not shown(world.doctor, file)
    assert world.patient.post(f"DocumentReference/{second}/$meta-delete", META).status_code == 200
    assert shown(world.doctor, file)


def test_A04_a_version_names_it_still(world):
    """To point the document elsewhere does not set the file free."""
    world.consents()
    file, other = world.made(binary(world.a)), world.made(binary(world.a))
    about = world.made(document(world.a, file, security=[MASK]))
    changed = document(world.a, other, security=[MASK]) | {"id": about}
    assert world.system.put(f"DocumentReference/{about}", changed).status_code == 200
    assert not shown(world.doctor, file)
    assert not shown(world.doctor, other)


WAYS = {
    "absolute": lambda id: {"url": f"http://testserver/fhir/Binary/{id}"},
    "another name of this server": lambda id: {"url": f"https://records.example/r4/Binary/{id}"},
    "a version": lambda id: {"url": f"Binary/{id}/_history/1"},
    "an extension": lambda id: {"url": "urn:x", "extension": [{"url": "urn:e", "valueUrl": f"Binary/{id}"}]},
}


@pytest.mark.parametrize("way", WAYS)
def test_A03_however_it_is_named(world, way):
    world.consents()
    file = world.made(binary(world.a))
    about = document(world.a, security=[MASK]) | {"content": [{"attachment": WAYS[way](file)}]}
    world.made(about)
    assert not shown(world.doctor, file)


def holders(patient, id):
    of, code = {"subject": {"reference": f"Patient/{patient}"}}, {"code": {"text": "x"}}
    link = f'<div xmlns="http://www.w3.org/1999/xhtml"><img alt="x" src="Binary/{id}"/></div>'
    yield {"resourceType": "DiagnosticReport", "status": "final", **code, **of, "presentedForm": [attachment(id)]}
    yield {"resourceType": "Media", "status": "completed", **of, "content": attachment(id)}
    yield {"resourceType": "Communication", "status": "completed", **of,
           "payload": [{"contentReference": {"reference": f"Binary/{id}"}}]}  # fmt: skip
    yield {"resourceType": "QuestionnaireResponse", "status": "completed", **of,
           "item": [{"linkId": "1", "answer": [{"valueAttachment": attachment(id)}]}]}  # fmt: skip
    yield observation(patient) | {"text": {"status": "generated", "div": link}}
    yield observation(patient) | {"contained": [{"resourceType": "Media", "id": "m", "status": "completed",
           "content": attachment(id)}], "derivedFrom": [{"reference": "#m"}]}  # fmt: skip


def test_A03_whatever_names_it(world):
    world.consents()
    for resource in holders(world.a, ABSENT):
        file = world.made(binary(world.a))
        given = json.loads(json.dumps(resource).replace(ABSENT, file))
        about = world.made(given)
        assert shown(world.doctor, file), resource
        type = resource["resourceType"]
        assert world.patient.post(f"{type}/{about}/$meta-add", META).status_code == 200
        assert not shown(world.doctor, file), resource


def test_A03_every_reason_to_hide_counts(world):
    """A label of the content, one that keeps it from the patient, a deny of the one document, a type nobody reads."""
    world.consents()
    from_patient = {"system": VISIBILITY, "code": "INVISIBLE_PATIENT"}
    hiv = {"system": SENSITIVITY, "code": "HIV"}
    for label, who, others in ((from_patient, world.patient, world.doctor), (hiv, world.doctor, world.patient)):
        file = world.made(binary(world.a))
        world.made(document(world.a, file, security=[label]))
        assert not shown(who, file)
        assert shown(others, file)
    file = world.made(binary(world.a))
    about = world.made(document(world.a, file))
    assert shown(world.doctor, file)
    this = {"reference": f"DocumentReference/{about}"}
    world.consents(type="deny", data=[{"meaning": "instance", "reference": this}])
    assert not shown(world.doctor, file)
    signed = world.made(binary(world.a))
    assert shown(world.doctor, signed)
    consent = world.consents()
    tree = world.patient.get(f"Consent/{consent}").tree
    tree["sourceAttachment"]["url"] = f"Binary/{signed}"
    assert world.patient.put(f"Consent/{consent}", tree).status_code == 200
    assert not shown(world.doctor, signed)  # no professional reads a Consent
    assert shown(world.patient, signed)


def test_A03_nobody_hides_the_file_of_another_record(world):
    """By naming it: the document counts that is of the file's record, or of the file's author."""
    world.consents()
    file = world.made(binary(world.a))
    world.made(document(world.b, file, security=[MASK]), by=world.stranger)
    assert shown(world.doctor, file)
    world.made(document(world.b, file, security=[MASK]))
    assert not shown(world.doctor, file)


def test_A03_to_whom_the_document_is_open_the_file_is(world):
    """Its author, and a client that is no person; and an application with the scope of files alone."""
    from tests.accessctl.people import api

    world.consents()
    file = world.made(binary(world.a), by=world.doctor)
    world.made(document(world.a, file, security=[MASK]), by=world.doctor)
    assert shown(world.doctor, file)
    assert shown(world.system, file)
    assert api("alice", "patient/Binary.r", patient=world.a).get(f"Binary/{file}").status_code == 200


def test_A03_provenance_hides_nothing(world):
    world.consents()
    about = {"resourceType": "Provenance", "recorded": "2026-01-01T00:00:00Z",
             "agent": [{"who": {"reference": "Organization/clinic"}}]}  # fmt: skip
    answer = world.system.post("Binary", binary(world.a), x_provenance=json.dumps(about))
    assert answer.status_code == 201, answer.content
    assert shown(world.doctor, answer.tree["id"])


def test_A03_it_can_neither_be_changed_nor_referred_to(world):
    world.consents()
    file = world.made(binary(world.a))
    world.made(document(world.a, file, security=[MASK]))
    for method, body in (("put", binary(world.a, id=file)), ("delete", None)):
        assert same(world.doctor, "Binary/ID", file, method, body) == (404 if body else 204)
    assert shown(world.patient, file)


@pytest.mark.parametrize("kind", ["patient", "professional", "staff"])
def test_what_holds_attachments_is_judged_alike(kind):
    """One predicate stands for many types: a source that tells them apart has to be named in documents.OWN."""
    actor = Actor("app", "x", parse("user/*.cruds"), None, None, Person(1, kind, "10", False, 2, 3))
    for types in documents.ALIKE:
        assert len({formula(actor, "read", type, "d", "pk", without=(scopes,)) for type in types}) == 1
    assert sorted(type for types in documents.ALIKE for type in types) == sorted(documents.HOLDING)


def test_what_is_kept_is_kept_for_ever(world):
    """The application role adds to the table and takes nothing away."""
    world.made(document(world.a, "one", "two"))
    assert execute("SELECT count(*) FROM attached")[0][0] == 2
    for statement in ("DELETE FROM attached", "UPDATE attached SET patient = 0", "TRUNCATE attached"):
        with pytest.raises(Exception, match="permission denied"), connections["default"].cursor() as cursor:
            cursor.execute(statement)
