"""The administration: who opens which page, what is changed there, and that no record is read on the way."""

import csv
import io

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth import get_user_model

from accessctl.models import AuditRecord, Client, Token
from accessctl.people import Person
from accessctl.rights import Doubt, Opening, Review, StaffRole
from fhirserver.settings import SETTINGS
from fhirserver.web.admin.staff import TABS
from fhirserver.web.sheets import harmless
from records.indexing.models import Job

from .world import ROLES, Clinic, signed_in, staffed


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


def text(answer):
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


@pytest.mark.parametrize("login", ROLES)
def test_each_role_is_shown_the_tabs_that_it_opens(clinic, login):
    browser, roles = signed_in(login), ROLES[login]
    for address, _name, needs in TABS:
        allowed = bool(roles) and (not needs or bool(roles & set(needs)))
        page = browser.get(f"/admin/{address}")
        assert page.status_code == (200 if allowed else 403), address
        if allowed:
            tabs = page.content.decode().split('class="tabs"')[1].split("</nav>")[0]
            assert {a for a, _n, _r in TABS if f'href="/admin/{a}"' in tabs} == {
                a for a, _n, r in TABS if not r or roles & set(r)
            }


def test_a_role_of_yesterday_opens_nothing(clinic):
    helper = signed_in("helper")
    assert helper.get("/admin/people/").status_code == 200
    StaffRole.objects.filter(role="support").update(until="2020-01-01T00:00:00Z")
    assert helper.get("/admin/people/").status_code == 403


def test_no_member_of_staff_reads_what_a_record_says(clinic):
    paths = [f"/admin/resources/Observation/{clinic.lab}/", f"/admin/resources/Patient/{clinic.a}/",
             f"/care/{clinic.a}/", f"/me/{clinic.a}/"]  # fmt: skip
    for login in ("boss", "officer", "helper", "runner", "registrar"):
        browser = signed_in(login)
        assert {browser.get(path).status_code for path in paths} <= {403, 404}
        for query in ("Observation", "Patient?family=Aubert", "AllergyIntolerance?_count=5"):
            assert "Nothing, or nothing that you may see." in text(browser.get("/admin/resources/", {"q": query}))


def test_resources_are_found_by_the_search_of_fhir(clinic):
    browser = signed_in("runner")
    assert "Perrin" in text(browser.get("/admin/resources/", {"q": "Practitioner?name=perrin"}))
    page = text(browser.get(f"/admin/resources/Practitioner/{clinic.practitioner}/"))
    assert "Perrin" in page and "JSON" in page
    assert "error" in text(browser.get("/admin/resources/", {"q": "Practitioner?name:x=1"}))


def test_the_officer_reads_the_audit_and_takes_it_along_without_formulas(clinic):
    evil = get_user_model().objects.get(username="doctor")
    evil.first_name = "=HYPERLINK(1)"
    evil.save()
    signed_in("doctor").get(f"/care/{clinic.a}/")
    officer = signed_in("officer")
    assert "HYPERLINK" in text(officer.get("/admin/audit/", {"patient": f"Patient/{clinic.a}"}))
    answer = officer.get("/admin/audit/", {"patient": f"Patient/{clinic.a}", "csv": "1"})
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert len(rows) > 1 and not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]
    assert any("'=HYPERLINK" in cell for row in rows for cell in row)
    assert AuditRecord.objects.filter(user="officer", client="web").exists()


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_a_cell_is_never_a_formula(cell):
    assert harmless(cell) == f"'{cell}" and harmless(f"a{cell}") == f"a{cell}"


def test_the_audit_is_verified_from_the_page(clinic):
    page = text(signed_in("officer").submit("/admin/audit/verify"))
    assert "records read" in page
    assert AuditRecord.objects.filter(interaction="$verify-audit", user="officer").exists()


def test_who_sees_what_and_why_is_answered_and_recorded(clinic):
    officer = signed_in("officer")
    for login, verdict in (("doctor", "This person sees it."), ("stranger", "This person does not see it.")):
        asked = {"login": login, "reference": f"Observation/{clinic.lab}"}
        assert verdict in text(officer.get("/admin/why/", asked))
    assert "no such person" in text(officer.get("/admin/why/", {"login": "nobody", "reference": "Observation/1"}))
    told = AuditRecord.objects.filter(interaction="$explain-access", user="officer", patient=clinic.key)
    assert told.count() == 2 and "actor=doctor" in told.first().query


def test_an_emergency_is_judged_and_a_doubt_answered(clinic):
    opening = Opening.objects.create(patient=clinic.key, person=Person.objects.get(user__username="stranger"),
                                     mode="bris-de-glace", purpose="BTG", reason="Found unconscious")  # fmt: skip
    Review.objects.create(opening=opening)
    doubt = Doubt.objects.create(patient=clinic.key, event=1, text="Who is this?")
    officer = signed_in("officer")
    assert "Found unconscious" in text(officer.get("/admin/reviews/"))
    fields = {"opening": opening.pk, "verdict": "justified", "conclusion": "The report of the ward confirms it"}
    officer.submit("/admin/reviews/", fields)
    assert Review.objects.get().verdict == "justified"
    officer.submit("/admin/doubts/", {"doubt": doubt.pk, "answer": "A colleague of your doctor"})
    assert "A colleague of your doctor" in text(signed_in("alice").get(f"{clinic.root}/history/"))
    doubt.refresh_from_db()
    assert doubt.answer == "A colleague of your doctor" and doubt.answered


def test_support_resets_factors_of_people_but_not_of_staff(clinic):
    for name in ("alice", "boss", "registrar"):
        user = get_user_model().objects.get(username=name)
        Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
    helper = signed_in("helper")

    def reset(name):
        user = get_user_model().objects.get(username=name)
        return helper.submit(f"/admin/people/{user.pk}/", {"do": "reset-factors"}).status_code

    assert [reset(name) for name in ("alice", "boss", "registrar", "helper")] == [302, 403, 403, 403]
    assert not Authenticator.objects.filter(user__username="alice").exists()
    assert Authenticator.objects.filter(user__username="boss").exists()
    assert AuditRecord.objects.filter(interaction="$reset-factors", query="login=alice").exists()


def test_a_new_password_is_shown_once_and_ends_the_sessions(clinic):
    alice, helper = signed_in("alice"), signed_in("helper")
    assert alice.get(f"{clinic.root}/").status_code == 200
    user = get_user_model().objects.get(username="alice")
    helper.submit(f"/admin/people/{user.pk}/", {"do": "reset-password"})
    page = text(helper.get(f"/admin/people/{user.pk}/"))
    password = page.split("shown this once: ")[1].split("<")[0]
    assert alice.get(f"{clinic.root}/").status_code == 302
    assert alice.sign_in("alice", password).status_code == 302
    assert "shown this once" not in text(helper.get(f"/admin/people/{user.pk}/"))
    assert not AuditRecord.objects.filter(query__contains=password).exists()


def test_nobody_gives_the_own_login_a_role_and_support_has_an_end(clinic):
    registrar = signed_in("registrar")
    mine, clerk = (get_user_model().objects.get(username=n).pk for n in ("registrar", "clerk"))
    assert registrar.submit(f"/admin/people/{mine}/", {"do": "role", "role": "operations"}).status_code == 403
    registrar.submit(f"/admin/people/{clerk}/", {"do": "role", "role": "support"})
    assert not StaffRole.objects.filter(person_id=clerk).exists()
    registrar.submit(f"/admin/people/{clerk}/", {"do": "role", "role": "support", "until": "2099-01-01"})
    assert signed_in("clerk").get("/admin/people/").status_code == 200
    registrar.submit(f"/admin/people/{clerk}/", {"do": "role", "role": "data-protection"})
    assert signed_in("clerk").get("/admin/audit/").status_code == 200
    registrar.submit(f"/admin/people/{clerk}/", {"do": "role", "role": "data-protection"})
    assert signed_in("clerk").get("/admin/audit/").status_code == 403
    doctor = get_user_model().objects.get(username="doctor").pk
    registrar.submit(f"/admin/people/{doctor}/", {"do": "role", "role": "operations"})
    assert not StaffRole.objects.filter(person_id=doctor).exists()
    helper = signed_in("helper")
    assert helper.submit(f"/admin/people/{clerk}/", {"do": "role", "role": "operations"}).status_code == 403
    boss = get_user_model().objects.get(username="boss").pk
    assert registrar.submit(f"/admin/people/{boss}/", {"do": "reset-password"}).status_code == 403


def test_an_application_is_switched_off_and_its_tokens_with_it(clinic):
    client = Client.objects.get(name="app")
    assert clinic.patient.get(f"Patient/{clinic.a}").status_code == 200 and Token.objects.filter(client=client).exists()
    signed_in("runner").submit(f"/admin/clients/{client.pk}/switch")
    assert clinic.patient.get(f"Patient/{clinic.a}").status_code == 401


def test_jobs_are_asked_for_and_cancelled(clinic):
    runner = signed_in("runner")
    runner.submit("/admin/jobs/")
    job = Job.objects.get()
    assert job.principal == "web|runner"
    runner.submit("/admin/jobs/", {"cancel": job.pk})
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_settings_are_shown_without_secrets(clinic, settings):
    settings.FHIRSERVER_AUDIT_KEY = "very secret"
    page = text(signed_in("runner").get("/admin/settings/"))
    assert all(name in page for name in SETTINGS) and "very secret" not in page and settings.SECRET_KEY not in page
