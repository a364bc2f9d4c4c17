"""A Binary of nobody goes into the record of its author's document, and nothing else gets there. (A03, A44, A47)"""

import base64

import pytest

from accessctl.labels import CONFIDENTIALITY, VISIBILITY
from records.database import execute
from records.keys import identity
from tests.accessctl.people import api, observation
from tests.api import Api, indexed

from .test_binaries import CONTENT, LATER, MASK, META, attachment, document, shown

SECRET = {"system": VISIBILITY, "code": "INVISIBLE_PATIENT"}
R = {"system": CONFIDENTIALITY, "code": "R"}


def plain(**more):
    return {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(CONTENT).decode(),
            **more}  # fmt: skip


def report(patient, id):
    return {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"Patient/{patient}"}, "presentedForm": [attachment(id)]}  # fmt: skip


def record(id):
    """The patient (key) of the current row and of each version."""
    versions = "SELECT v.patient FROM version v JOIN resource r ON r.pk = v.resource WHERE r.id = %s ORDER BY v.version"
    [(now,)] = execute("SELECT patient FROM resource WHERE id = %s", (id,))
    return now, *(patient for (patient,) in execute(versions, (id,)))


def other_record(world):
    return identity("Patient", world.b)


def transaction(*resources):
    entries = [{"fullUrl": f"urn:uuid:8a2c0c5e-0000-4000-8000-00000000000{n}", "resource": r,
                "request": {"method": "POST", "url": r["resourceType"]}} for n, r in enumerate(resources)]  # fmt: skip
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


# -- what it is for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [document, report])
def test_the_patient_opens_the_file_of_a_document_that_is_open(world, made):
    tag = {"system": "urn:t", "code": "x"}
    file = world.made(plain(meta={"tag": [tag]}))
    indexed()
    assert not shown(world.patient, file)
    before = world.system.get(f"Binary/{file}")
    world.made(made(world.a, file))
    after = world.system.get(f"Binary/{file}")
    assert before.content == after.content and before.headers["ETag"] == after.headers["ETag"]
    assert record(file) == (world.key, world.key)
    assert shown(world.patient, file) and shown(world.proxy, file) and not shown(world.doctor, file)
    for who in (world.patient, world.system):
        assert who.get("Binary?_tag=urn:t|x").tree["total"] == 1
    assert execute("SELECT DISTINCT i.patient FROM token i JOIN resource r ON r.pk = i.resource WHERE r.id = %s",
                   (file,)) == [(world.key,)]  # fmt: skip
    world.consents()
    assert shown(world.doctor, file)
    for who in (world.other, world.clerk):
        assert not shown(who, file)
    whole = world.patient.get(f"Patient/{world.a}/$everything?_count=50").tree["entry"]
    assert file in [e["resource"]["id"] for e in whole]
    assert world.patient.get(f"Binary/{file}", accept="application/pdf").content == CONTENT


def test_each_access_is_told_to_the_patient(world):
    file = world.made(plain())
    world.made(document(world.a, file))
    world.consents()
    world.doctor.get(f"Binary/{file}", accept="application/pdf")
    told = "SELECT interaction, patient FROM audit WHERE entities LIKE '%%' || %s || '%%' ORDER BY seq"
    assert execute(told, (f"Binary/{file}",)) == [("create", None), ("create", world.key), ("read", world.key)]
    history = world.patient.get(f"Patient/{world.a}/$access-history").content.decode()
    assert f"Binary/{file}" in history


@pytest.mark.parametrize("first", ["Binary", "DocumentReference"])
@pytest.mark.parametrize("by", ["system", "doctor", "patient"])
def test_in_one_transaction(world, first, by):
    about = document(world.a) | {"content": [{"attachment": {"url": "urn:uuid:8a2c0c5e-0000-4000-8000-000000000000"}}]}
    bundle = transaction(plain(), about)
    bundle["entry"].sort(key=lambda e: e["resource"]["resourceType"] != first)
    done = getattr(world, by).post("", bundle)
    assert done.status_code == 200, done.content
    [file] = [p.split("/")[-3] for p in (e["response"]["location"] for e in done.tree["entry"]) if "Binary/" in p]
    assert record(file) == (world.key, world.key)
    assert shown(world.patient, file)
    assert shown(world.doctor, file) is False  # to have fed it is no right to read it
    world.consents()
    assert shown(world.doctor, file)


def test_the_document_first(world):
    """It says so from its first version on, and is the work of who brings the file."""
    about = world.made(document(world.a, LATER))
    assert world.system.put(f"Binary/{LATER}", plain(id=LATER)).status_code == 201
    assert record(LATER) == (world.key, world.key)
    assert shown(world.patient, LATER)
    assert world.patient.post(f"DocumentReference/{about}/$meta-add", META).status_code == 200
    world.consents()
    assert not shown(world.doctor, LATER)


def test_what_is_written_anew_stays_in_the_record(world):
    file = world.made(plain())
    assert world.system.put(f"Binary/{file}", plain(id=file, language="fr")).status_code == 200
    world.made(document(world.a, file))
    assert record(file) == (world.key, None, world.key)
    assert world.patient.get(f"Binary/{file}/_history/1").status_code == 404  # older than what names it
    assert world.patient.get(f"Binary/{file}/_history").tree["total"] == 1
    assert world.system.put(f"Binary/{file}", plain(id=file, language="de")).status_code == 200
    assert record(file) == (world.key, None, world.key, world.key)
    assert b'"de"' in world.patient.get(f"Binary/{file}", accept="application/fhir+json").content
    # who says another record means it
    moved = plain(id=file, securityContext={"reference": f"Patient/{world.b}"})
    assert world.system.put(f"Binary/{file}", moved).status_code == 200
    assert record(file)[0] == other_record(world)
    assert not shown(world.patient, file)
    assert world.system.put(f"Binary/{file}", plain(id=file)).status_code == 200
    assert record(file)[0] is None


def test_a_document_gets_its_file_later(world):
    file = world.made(plain())
    about = world.made(document(world.a, "elsewhere"))
    assert not shown(world.patient, file)
    assert world.system.put(f"DocumentReference/{about}", document(world.a, file) | {"id": about}).status_code == 200
    assert shown(world.patient, file)


# -- what hides it holds ----------------------------------------------------------------------------------------------


def test_A03_it_is_as_hidden_as_all_that_names_it(world):
    world.consents()
    for label, hidden_from in ((MASK, world.doctor), (R, world.doctor), (SECRET, world.patient)):
        file = world.made(plain())
        about = world.made(document(world.a, file, security=[label]))
        assert not shown(hidden_from, file)
        other = world.made(plain())
        changed = document(world.a, other, security=[label]) | {"id": about}
        assert world.system.put(f"DocumentReference/{about}", changed).status_code == 200
        assert not shown(hidden_from, file) and not shown(hidden_from, other)
        assert world.system.delete(f"DocumentReference/{about}").status_code == 204
        assert not shown(hidden_from, file) and not shown(hidden_from, other)
    open_file = world.made(plain())
    world.made(document(world.a, open_file))
    assert shown(world.doctor, open_file)
    world.made(observation(world.a) | {"extension": [{"url": "urn:e", "valueUrl": f"Binary/{open_file}"}],
                                       "meta": {"security": [MASK]}})  # fmt: skip
    assert not shown(world.doctor, open_file)


def test_A42_a_revocation_counts_at_once(world):
    file = world.made(plain())
    world.made(document(world.a, file))
    consent = world.consents()
    assert shown(world.doctor, file)
    assert world.patient.delete(f"Consent/{consent}").status_code == 204
    assert not shown(world.doctor, file)


# -- attacks -----------------------------------------------------------------------------------------------------------


def test_A47_who_names_the_file_of_somebody_else_gets_nothing(world):
    """Whoever made it, whatever the document; hidden and absent make one answer."""
    world.consents()
    of_system = world.made(plain())
    of_doctor = world.made(plain(), by=world.doctor)
    of_other = world.made(plain(), by=world.other)
    vendor = Api(name="another vendor")
    for who, record_of in ((world.patient, world.a), (world.stranger, world.b), (world.doctor, world.a),
                           (world.other, world.b), (vendor, world.a)):  # fmt: skip
        for file in (of_system, of_doctor, of_other):
            if (who, file) in ((world.doctor, of_doctor), (world.other, of_other)):
                continue
            answers = []
            for id in (file, "00000000-0000-4000-8000-000000000000"):
                made = who.post("DocumentReference", document(record_of, id), prefer="return=representation")
                at = made.headers["Location"].split("/")[-3]
                text = made.content.replace(id.encode(), b"").replace(at.encode(), b"")
                answers.append((made.status_code, len(text)))
            assert answers[0] == answers[1]
            assert record(file) == (None, None)
            if who is not vendor:
                assert not shown(who, file)
    world.made(document(world.a, of_doctor), by=world.doctor)
    assert record(of_doctor)[0] == world.key  # its own author may still


def test_A47_the_document_of_an_author_changed_by_somebody_else(world):
    """Not whose the document is counts, but who writes it."""
    world.consents()
    secret = world.made(plain())
    about = world.made(document(world.a, "elsewhere"))
    changed = document(world.a, secret) | {"id": about}
    assert world.doctor.put(f"DocumentReference/{about}", changed).status_code == 200
    assert record(secret) == (None, None) and not shown(world.doctor, secret) and not shown(world.patient, secret)
    patch = [{"op": "replace", "path": "/content/0/attachment/url", "value": f"Binary/{LATER}"}]
    answer = world.doctor.patch(f"DocumentReference/{about}", patch, type="application/json-patch+json")
    assert answer.status_code == 200, answer.content
    assert world.system.put(f"Binary/{LATER}", plain(id=LATER)).status_code == 201
    assert record(LATER) == (None, None) and not shown(world.patient, LATER)


def test_A47_the_patient_points_a_document_elsewhere(world):
    about = world.made(document(world.a, "elsewhere"))
    secret = world.made(plain())
    for path in ("/content/0/attachment/url", "/description"):
        patch = [{"op": "add", "path": path, "value": f"Binary/{secret}"}]
        answer = world.patient.patch(f"DocumentReference/{about}", patch, type="application/json-patch+json")
        assert answer.status_code == 403
    assert record(secret) == (None, None)


def test_A44_it_is_never_taken_from_a_record_nor_put_into_two(world):
    mine = world.made(plain(securityContext={"reference": f"Patient/{world.b}"}))
    world.made(document(world.a, mine))
    assert record(mine) == (other_record(world),) * 2
    file = world.made(plain())
    world.made(document(world.a, file))
    assert shown(world.patient, file)
    world.made(document(world.b, file))
    assert record(file) == (world.key, world.key)
    assert not shown(world.other, file)
    assert not shown(world.patient, file)  # as hidden as what names it
    # of two patients at once, in one transaction or in one document, none
    both = world.made(plain())
    done = world.system.post("", transaction(document(world.a, both), document(world.b, both)))
    assert done.status_code == 200 and record(both) == (None, None)
    world.made(document(world.a, both))
    assert record(both) == (None, None)
    shared = world.made(plain())
    world.made(document(world.a, shared) | {"author": [{"reference": f"Patient/{world.b}"}]})
    assert record(shared) == (None, None)
    for who in (world.patient, world.other):
        assert not shown(who, both) and not shown(who, shared)


def test_A44_deleting_it_takes_it_out_of_no_record(world):
    file = world.made(plain())
    world.made(document(world.a, file))
    assert world.system.delete(f"Binary/{file}").status_code == 204
    assert world.system.put(f"Binary/{file}", plain(id=file)).status_code == 201
    assert record(file) == (world.key,) * 4 and world.patient.get(f"Binary/{file}").status_code == 200


def test_A44_a_document_that_moves_opens_nothing(world):
    """It was about the wrong patient: the file stays where it is, hidden from both until its author says more."""
    file = world.made(plain())
    about = world.made(document(world.a, file))
    assert world.system.put(f"DocumentReference/{about}", document(world.b, file) | {"id": about}).status_code == 200
    assert not shown(world.other, file) and not shown(world.patient, file)
    right = plain(id=file, securityContext={"reference": f"Patient/{world.b}"})
    assert world.system.put(f"Binary/{file}", right).status_code == 200
    assert world.other.get(f"Binary/{file}").status_code == 200  # not its first version, which was the other's
    assert world.other.get(f"Binary/{file}/_history/1").status_code == 404
    assert not shown(world.patient, file)


def test_A47_only_an_attachment_of_a_document_is_a_word_of_its_author(world):
    """Any other mention takes rights away, and gives none."""
    file = world.made(plain())
    for resource in (
        observation(world.a) | {"extension": [{"url": "urn:e", "valueUrl": f"Binary/{file}"}]},
        {"resourceType": "Media", "status": "completed", "subject": {"reference": f"Patient/{world.a}"},
         "content": attachment(file)},
        document(world.a, "elsewhere") | {"extension": [{"url": "urn:e", "valueUrl": f"Binary/{file}"}]},
        document(world.a, "elsewhere") | {"content": [{"attachment": {"url": f"urn:x:Binary/{file}#"}}]},
        document(world.a, "elsewhere") | {"content": [{"attachment": {"url": f"Binary/{file}?x"}}]},
        {"resourceType": "List", "status": "current", "mode": "working", "subject": {"reference": f"Patient/{world.a}"},
         "entry": [{"item": {"reference": f"Binary/{file}"}}]},
    ):  # fmt: skip
        world.made(resource)
        assert record(file) == (None, None), resource
    gone = world.made(plain())
    assert world.system.delete(f"Binary/{gone}").status_code == 204
    world.made(document(world.a, gone))
    assert record(gone)[0] is None


def test_A47_a_token_reaches_no_further_than_its_patient(world):
    """A program whose token is bound to one patient brings no file of another context there."""
    file = Api(name="hospital").post("Binary", plain()).tree["id"]
    bound = Api("patient/*.cruds", name="hospital", patient=world.b)
    assert bound.post("DocumentReference", document(world.b, file)).status_code == 201
    assert record(file) == (None, None) and not shown(world.other, file)
    narrow = Api("system/DocumentReference.c", name="hospital")
    assert narrow.post("DocumentReference", document(world.a, file)).status_code == 201
    assert record(file) == (None, None)  # who may not reach files says nothing of one


def test_A35_what_is_refused_moves_nothing(world):
    """A person's document about somebody else's record is undone, with what it did to the file."""
    file = world.made(plain(), by=world.other)
    assert world.other.post("DocumentReference", document(world.a, file)).status_code == 403
    assert record(file) == (None, None)
    bundle = transaction(document(world.b, file), document(world.a, file))
    assert world.other.post("", bundle).status_code == 403
    assert record(file) == (None, None)
    assert shown(world.other, file)
    assert world.other.post("DocumentReference", document(world.b, file)).status_code == 201
    assert record(file)[0] == other_record(world)


def test_a_version_is_changed_by_nothing_else(world):
    """One function writes one column of a version of a Binary that is nobody's; the role itself still writes none."""
    file, row = world.made(plain()), world.observation()
    for statement in ("UPDATE version SET patient = 0", "DELETE FROM version"):
        with pytest.raises(Exception, match="permission denied"):
            execute(statement)
    keys = "SELECT array_agg(identity) FROM resource WHERE id = ANY(%s)"
    [(all_of_them,)] = execute(keys, ([file, row, world.a],))
    assert execute("SELECT * FROM place_files(%s, %s)", (all_of_them, world.key)) == []
    indexed()
    assert api("alice").get(f"Binary/{file}").status_code == 404
