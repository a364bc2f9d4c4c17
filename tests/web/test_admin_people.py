"""Logins are made, people described, rights on a record looked at and changed; its patient reads that."""

from datetime import date, datetime

import pytest
from django.contrib.auth import get_user_model

from accessctl.models import AuditRecord
from accessctl.people import AttendingDoctor, Membership, Person, Proxy
from accessctl.rights import DossierUserObjectPermission, Opening, ResourceUserObjectPermission
from records.keys import identity

from .conftest import PASSWORD, Browser
from .world import Clinic, signed_in, staffed


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


def text(answer):
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_a_login_is_made_and_its_person_signs_in(clinic):
    registrar = signed_in("registrar")
    given = {"login": "amina", "first": "Amina", "last": "Diallo", "kind": "patient"}
    answer = registrar.submit("/admin/people/new/", given)
    page = text(registrar.get(answer.headers["Location"]))
    password = page.split("shown this once: ")[1].split("<")[0]
    person = Person.objects.get(user__username="amina")
    assert (person.kind, person.patient, person.profession) == ("patient", None, None)
    amina = Browser()
    assert amina.sign_in("amina", password).status_code == 302
    assert "/me/" in text(amina.get("/"))
    told = AuditRecord.objects.get(interaction="$make-login")
    assert told.user == "registrar" and "amina" in told.query and password not in told.query


WRONG = [
    ({"login": "alice", "kind": "patient"}, "already"), ({"login": "a b", "kind": "patient"}, "valid username"),
    ({"login": "", "kind": "patient"}, "valid username"), ({"login": "x", "kind": "king"}, "what kind"),
    ({"login": "x", "kind": "professional"}, "profession"),
    ({"login": "x", "kind": "professional", "profession": "10", "practitioner": "none"}, "There is no Practitioner/"),
    ({"login": "x", "kind": "patient", "patient": "none"}, "There is no Patient/"),
    ({"login": "x", "kind": "patient", "patient": "{a}"}, "is this person already"),
    ({"login": "x", "kind": "staff", "patient": "{a}"}, "one capacity"),
]  # fmt: skip


def test_what_is_wrong_with_a_login_is_said_and_nothing_is_made(clinic):
    before, registrar = get_user_model().objects.count(), signed_in("registrar")
    for given, said in WRONG:
        given = {k: v.format(a=clinic.a) for k, v in given.items()}
        assert said in text(registrar.submit("/admin/people/new/", given)), given
    assert get_user_model().objects.count() == before
    assert not AuditRecord.objects.filter(interaction="$make-login").exists()


def test_who_is_made_the_person_of_a_record_shows_in_its_history(clinic):
    registrar, paul = signed_in("registrar"), get_user_model().objects.get(username="paul").pk
    before = AuditRecord.objects.filter(patient=clinic.key).count()
    registrar.submit(f"/admin/people/{paul}/person", {"patient": clinic.a})
    assert Person.objects.get(user_id=paul).patient is None, "Alice is that person"
    Person.objects.filter(user__username="alice").update(patient=None, patient_key=None)
    registrar.submit(f"/admin/people/{paul}/person", {"patient": clinic.a})
    assert Person.objects.get(user_id=paul).patient_key == clinic.key
    told = AuditRecord.objects.filter(interaction="$describe-person", patient=clinic.key)
    page = text(signed_in("paul").get(f"{clinic.root}/history/"))
    assert "changed which login is this record&#x27;s person" in page
    assert told.get().user == "registrar" and AuditRecord.objects.filter(patient=clinic.key).count() > before
    mine = get_user_model().objects.get(username="registrar").pk
    assert registrar.submit(f"/admin/people/{mine}/person", {"patient": clinic.a}).status_code == 403


def test_membership_of_an_organisation_begins_and_ends(clinic):
    organization = clinic.made({"resourceType": "Organization", "name": "Clinic"})
    registrar, doctor = signed_in("registrar"), clinic.doctor_user
    url, party = f"/admin/people/{doctor}/membership", f"Organization/{organization}"
    for wrong in ("Organization/none", "Patient/" + clinic.a, "x", ""):
        assert registrar.submit(url, {"party": wrong}).status_code == 400
    assert registrar.submit(url, {"party": party, "until": "tomorrow"}).status_code == 400
    registrar.submit(url, {"party": party})
    row = Membership.objects.get(party=party)
    assert row.person_id == doctor and party in text(registrar.get(f"/admin/people/{doctor}/"))
    registrar.submit(url, {"end": row.pk})
    row.refresh_from_db()
    assert row.until is not None


REASON = "Overdose, found by the fire brigade"


def test_rights_on_a_record_are_told_without_what_it_says(clinic):
    Opening.objects.create(patient=clinic.key, person=Person.objects.get(user__username="nurse"), mode="bris-de-glace",
                           purpose="BTG", reason=REASON)  # fmt: skip
    clinic.patient.post(f"Patient/{clinic.a}/$block",
                        {"resourceType": "Parameters", "parameter": [
                            {"name": "practitioner", "valueString": "Practitioner/dr-stranger"}]})  # fmt: skip
    for login in ("officer", "registrar"):
        page = text(signed_in(login).get("/admin/rights/", {"patient": f"Patient/{clinic.a}"}))
        for said in ("attending doctor", "representative", "blocked", "blocked a professional", "permits"):
            assert said in page, said
        assert "Haemoglobin" not in page and "Penicillin" not in page
        assert (REASON in page) == (login == "officer"), "why a record was opened may say what it says"
    assert "no such patient" in text(signed_in("officer").get("/admin/rights/", {"patient": "Patient/none"}))
    assert AuditRecord.objects.filter(interaction="$look-at-rights", patient=clinic.key).count() == 2


def test_data_protection_grants_and_takes_back_but_not_to_itself(clinic):
    officer, stranger = signed_in("officer"), signed_in("stranger")
    url, seen = f"/admin/rights/{clinic.a}/grant", f"/care/{clinic.a}/"
    assert officer.submit(url, {"login": "officer", "permission": "view"}).status_code == 403
    assert stranger.get(seen).status_code == 404
    officer.submit(url, {"login": "stranger", "permission": "view"})
    assert stranger.get(seen).status_code == 200
    row = DossierUserObjectPermission.objects.get()
    assert "sees" in text(officer.get("/admin/rights/", {"patient": clinic.a}))
    bob = f"/admin/rights/{clinic.b}/grant/end"
    officer.submit(bob, {"table": "dossier_user_permission", "row": row.pk})
    assert stranger.get(seen).status_code == 200, "the row is of another record"
    officer.submit(f"{url}/end", {"table": "dossier_user_permission", "row": row.pk})
    assert stranger.get(seen).status_code == 404
    assert officer.submit(f"{url}/end", {"table": "auth_user", "row": 1}).status_code == 404
    about = f"Observation/{clinic.lab}"
    officer.submit(url, {"login": "doctor", "permission": "hide", "about": about})
    assert ResourceUserObjectPermission.objects.count() == 1
    assert signed_in("doctor").get(f"/care/{clinic.a}/{about}/").status_code == 404
    officer.submit(url, {"login": "doctor", "permission": "view", "about": f"Observation/{clinic.foreign}"})
    assert ResourceUserObjectPermission.objects.count() == 1, "that one is of another record"
    told = AuditRecord.objects.filter(interaction__in=("$give-grant", "$end-grant"), patient=clinic.key)
    assert told.count() == 4


def test_who_represents_a_minor_does_until_the_majority(clinic):
    born = f"{date.today().year - 10}-06-01"
    child = clinic.system.post("Patient", {"resourceType": "Patient", "birthDate": born}).tree["id"]
    of_age = datetime.fromisoformat(f"{date.today().year + 8}-06-01T00:00:00Z")
    for login, until in (("bob", ""), ("alice", f"{date.today().year + 50}-01-01")):
        signed_in("registrar").submit(f"/admin/rights/{child}/representative/name", {"login": login, "until": until})
        assert Proxy.objects.get(person__user__username=login, patient=identity("Patient", child)).until == of_age


def test_identity_names_representatives_and_attending_doctors(clinic):
    registrar, bob = signed_in("registrar"), signed_in("bob")
    url = f"/admin/rights/{clinic.a}"
    assert bob.get(f"{clinic.root}/").status_code == 404
    registrar.submit(f"{url}/representative/name", {"login": "bob", "until": "2099-01-01"})
    assert bob.get(f"{clinic.root}/").status_code == 200
    row = Proxy.objects.get(person__user__username="bob")
    assert row.until.isoformat() == "2099-01-01T22:59:59+00:00", "with that day, by the clock of the pages"
    registrar.submit(f"{url}/representative/end", {"row": row.pk})
    assert bob.get(f"{clinic.root}/").status_code == 404
    for wrong in ("doctor", "alice", "nobody"):  # no patient's login, her own, none
        registrar.submit(f"{url}/representative/name", {"login": wrong})
    assert Proxy.objects.count() == 2
    registrar.submit(f"{url}/attending/name", {"login": "stranger"})
    attending = AttendingDoctor.objects.get(person__user__username="stranger")
    assert attending.patient == clinic.key and attending.until is None
    registrar.submit(f"{url}/attending/end", {"row": attending.pk})
    attending.refresh_from_db()
    assert attending.until is not None
    assert registrar.submit(f"{url}/block/end", {"row": 1}).status_code == 404, "blocks are the patient's"
    Proxy.objects.filter(person__user__username="paul").update(kind="mandated")
    registrar.submit(f"{url}/representative/end", {"row": Proxy.objects.get(kind="mandated").pk})
    assert Proxy.objects.get(kind="mandated").until is None, "and so are mandates"


def test_an_address_for_notices_is_given_with_a_login_and_changed(clinic):
    registrar, helper = signed_in("registrar"), signed_in("helper")
    wrong = registrar.submit("/admin/people/new/", {"login": "zoe", "kind": "patient", "address": "zoe at home"})
    assert "valid email" in text(wrong) and not get_user_model().objects.filter(username="zoe").exists()
    registrar.submit("/admin/people/new/", {"login": "zoe", "kind": "patient", "address": "zoe@example.org"})
    assert get_user_model().objects.get(username="zoe").email == "zoe@example.org"
    alice = get_user_model().objects.get(username="alice").pk
    page = f"/admin/people/{alice}/"
    helper.submit(page, {"do": "address", "address": "alice@example.org"})
    assert get_user_model().objects.get(pk=alice).email == "alice@example.org"
    assert AuditRecord.objects.get(interaction="$address").patient == clinic.key, "she reads that it was changed"
    registrar.submit(page, {"do": "address", "address": "nobody"})
    assert get_user_model().objects.get(pk=alice).email == "alice@example.org"
    boss = get_user_model().objects.get(username="boss").pk
    assert helper.submit(f"/admin/people/{boss}/", {"do": "address", "address": "x@example.org"}).status_code == 403


def test_one_changes_the_own_address_with_the_password_said_again(clinic):
    here = "/account/address/"
    borrowed = signed_in("alice")
    assert borrowed.get(here).headers["Location"].startswith("/account/reauthenticate/")
    borrowed.submit(here, {"address": "thief@example.org"})
    assert get_user_model().objects.get(username="alice").email == ""
    alice = Browser()
    alice.sign_in("alice")
    again = "/account/reauthenticate/?next=" + here
    assert alice.submit(again, {"password": PASSWORD}, page=again).headers["Location"] == here
    assert "no e-mail address is known" in text(alice.get(f"/me/{clinic.a}/notices/"))
    assert "too long" in text(alice.submit(here, {"address": "a" * 250 + "@example.org"}))
    assert "valid email" in text(alice.submit(here, {"address": "alice"}))
    assert alice.submit(here, {"address": " alice@example.org "}).status_code == 302
    assert get_user_model().objects.get(username="alice").email == "alice@example.org"
    assert "alice@example.org" in text(alice.get(f"/me/{clinic.a}/notices/"))
    told = AuditRecord.objects.get(interaction="$set-address")
    assert (told.user, told.patient) == ("alice", clinic.key) and "example.org" not in (told.query or "")
    assert alice.submit(here, {"address": ""}).status_code == 302
    assert get_user_model().objects.get(username="alice").email == ""
