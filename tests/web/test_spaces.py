"""The spaces of patients and clinicians: what is shown, to whom, and what a click changes at the next request."""

import json
import re
from datetime import date

import pytest
from guardian.shortcuts import assign_perm

from accessctl.labels import CONFIDENTIALITY, VISIBILITY
from accessctl.models import AuditRecord
from accessctl.people import Block, Dossier, Person, Proxy
from accessctl.rights import ConsentRule, Doubt, Notice, Opening
from accessctl.smart.registration import register
from accessctl.smart.tables import Launch
from fhirserver.overload import allowance
from fhirserver.web import care, record
from fhirserver.web.care import viewer
from fhirserver.web.me import access
from records.database import execute
from records.keys import identity
from tests.accessctl.people import observation
from tests.api import indexed

from .world import EVIL, Clinic, signed_in, staffed


@pytest.fixture
def clinic(browser):
    return Clinic()


def text(answer):
    assert answer.status_code == 200, (answer.status_code, answer.headers.get("Location"))
    return answer.content.decode()


def test_a_doctor_reads_by_the_page_what_the_access_gives_and_the_audit_tells_it(clinic):
    doctor = signed_in("doctor")
    assert f"/care/{clinic.a}/" in text(doctor.get("/care/"))
    summary = text(doctor.get(f"/care/{clinic.a}/"))
    assert (
        "Penicillin" in summary and "Haemoglobin" in summary and summary.index("Penicillin") < summary.index("Haemog")
    )
    chart = text(doctor.get(f"/care/{clinic.a}/results/?code=http%3A%2F%2Floinc.org%7C718-7"))
    assert '"values": [11.2, 12.5, 17.9]' in chart and "high" in chart and "low" in chart
    letter = text(doctor.get(f"/care/{clinic.a}/DocumentReference/{clinic.document}/"))
    assert "A letter." in letter
    told = AuditRecord.objects.filter(client="web", user="doctor", patient=clinic.key)
    assert {"read", "search-type"} <= set(told.values_list("interaction", flat=True))


def test_what_is_not_given_is_not_there(clinic):
    hidden, absent = f"/care/{clinic.a}/", "/care/nobody/"
    stranger = signed_in("stranger")
    answers = [stranger.get(path) for path in (hidden, absent)]
    assert [a.status_code for a in answers] == [404, 404]
    bodies = [a.content.decode().replace(clinic.a, "").replace("nobody", "") for a in answers]
    strip = [b.split('name="csrfmiddlewaretoken"')[0] for b in bodies]
    assert strip[0] == strip[1]
    assert "None of your patients" in text(stranger.get("/care/?family=Aubert&given=&birthdate="))


@pytest.mark.parametrize("login, opens", [
    ("alice", ["/me/{a}/"]), ("paul", ["/me/{a}/"]), ("bob", ["/me/{b}/"]), ("doctor", ["/care/{a}/"]),
    ("stranger", []), ("nurse", []), ("clerk", []),
])  # fmt: skip
def test_nobody_comes_into_another_space_or_record_by_its_address(clinic, login, opens):
    browser = signed_in(login)
    found = []
    for path in ("/me/{a}/", "/me/{b}/", "/care/{a}/", "/care/{b}/"):
        answer = browser.get(path.format(a=clinic.a, b=clinic.b))
        assert answer.status_code in (200, 403, 404)
        if answer.status_code == 200:
            found.append(path)
    assert found == opens


def test_an_entry_of_another_record_is_not_found_under_mine(clinic):
    clinic.made({"resourceType": "Consent", **{k: v for k, v in _consent(clinic.b, clinic.practitioner).items()}},
                by=clinic.other)  # fmt: skip
    doctor = signed_in("doctor")
    assert doctor.get(f"/care/{clinic.b}/Observation/{clinic.foreign}/").status_code == 200
    assert doctor.get(f"/care/{clinic.a}/Observation/{clinic.foreign}/").status_code == 404
    assert signed_in("alice").get(f"/me/{clinic.a}/Observation/{clinic.foreign}/").status_code == 404


def _consent(patient, practitioner):
    from tests.accessctl.people import consent

    return consent(patient, to=f"Practitioner/{practitioner}")


def test_stored_scripts_reach_no_page_as_markup(clinic):
    for login, root in (("doctor", "/care"), ("alice", "/me")):
        browser = signed_in(login)
        for path in (
            "/",
            "/timeline/",
            f"/AllergyIntolerance/{clinic.allergy}/",
            f"/DocumentReference/{clinic.document}/",
        ):
            page = text(browser.get(f"{root}/{clinic.a}{path}"))
            assert EVIL not in page and "<img src=x" not in page and "<script>" not in page


def test_a_file_is_a_download_that_no_browser_runs(clinic):
    answer = signed_in("alice").get(f"/me/{clinic.a}/DocumentReference/{clinic.document}/file/1")
    assert answer.content == b"<script>" and answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''x%22%3Cscript")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert signed_in("alice").get(f"/me/{clinic.a}/DocumentReference/{clinic.document}/file/7").status_code == 404


def test_the_patient_withdraws_and_gives_access_and_it_counts_at_once(clinic):
    alice, doctor = signed_in("alice"), signed_in("doctor")
    path = f"/care/{clinic.a}/"
    page = text(alice.get(f"{clinic.root}/access/?name=Perrin"))
    withdraw = page.split('action="' + f"{clinic.root}/access/withdraw/")[1].split('"')[0]
    assert doctor.get(path).status_code == 200
    assert alice.submit(f"{clinic.root}/access/withdraw/{withdraw}").status_code == 302
    assert doctor.get(path).status_code == 404
    alice.submit(f"{clinic.root}/access/grant", {"practitioner": clinic.practitioner})
    assert doctor.get(path).status_code == 200
    alice.submit(f"{clinic.root}/decide/block", {"practitioner": f"Practitioner/{clinic.practitioner}"})
    assert doctor.get(path).status_code == 404 and Block.objects.count() == 1
    alice.submit(f"{clinic.root}/decide/unblock", {"practitioner": f"Practitioner/{clinic.practitioner}"})
    assert doctor.get(path).status_code == 200
    alice.submit(f"{clinic.root}/decide/close-record")
    assert doctor.get(path).status_code == 404 and alice.get(f"{clinic.root}/").status_code == 200
    alice.submit(f"{clinic.root}/decide/reopen-record")
    assert doctor.get(path).status_code == 200
    asked = AuditRecord.objects.filter(client="web", user="alice").values_list("interaction", flat=True)
    assert {"update", "create", "$block", "$unblock", "$close-record", "$reopen-record"} <= set(asked)


def test_a_document_with_labels_of_its_own_is_masked_and_shown_again(clinic):
    """As documents of France come: its securityLabel is the author's, but for the mask."""
    clinic.attending.delete()
    path = f"DocumentReference/{clinic.document}"
    tree, normal = clinic.system.get(path).tree, [{"coding": [{"system": CONFIDENTIALITY, "code": "N"}]}]
    assert clinic.system.put(path, tree | {"securityLabel": normal}).status_code == 200
    alice, doctor, seen = signed_in("alice"), signed_in("doctor"), f"/care/{clinic.a}/{path}/"
    alice.submit(f"{clinic.root}/{path}/mask", {"hide": "yes"})
    assert doctor.get(seen).status_code == 404 and len(clinic.system.get(path).tree["securityLabel"]) == 2
    alice.submit(f"{clinic.root}/{path}/mask", {"hide": "no"})
    assert doctor.get(seen).status_code == 200 and clinic.system.get(path).tree["securityLabel"] == normal


def test_an_entry_is_masked_and_shown_again(clinic):
    clinic.attending.delete()  # who attends sees what is masked
    alice, doctor = signed_in("alice"), signed_in("doctor")
    for type, id in (("Observation", clinic.lab), ("DocumentReference", clinic.document)):
        seen = f"/care/{clinic.a}/{type}/{id}/"
        assert doctor.get(seen).status_code == 200
        assert "attending doctor, still see it" in text(alice.get(f"{clinic.root}/{type}/{id}/")), "said before, too"
        alice.submit(f"{clinic.root}/{type}/{id}/mask", {"hide": "yes"})
        assert doctor.get(seen).status_code == 404
        assert "hidden from professionals" in text(alice.get(f"{clinic.root}/timeline/")) or type == "Observation"
        alice.submit(f"{clinic.root}/{type}/{id}/mask", {"hide": "no"})
        assert doctor.get(seen).status_code == 200


def test_a_stranger_breaks_the_glass_with_a_reason_and_the_patient_reads_it(clinic):
    clinic.system.put(f"Patient/{clinic.a}", {
        "resourceType": "Patient", "id": clinic.a, "name": [{"family": "Aubert", "given": ["Alice"]}],
        "birthDate": "1980-02-03", "gender": "female", "identifier": [{"system": "urn:x", "value": "77"}],
    })  # fmt: skip
    stranger, alice = signed_in("stranger"), signed_in("alice")
    given = {"ins": "urn:x|77", "reason": "short", "mode": "bris-de-glace"}
    assert "at least ten" in text(stranger.submit("/care/emergency/", given))
    given["reason"] = "Unconscious, brought in by the fire brigade"
    assert stranger.submit("/care/emergency/", given | {"ins": "urn:x|78"}).status_code == 200
    assert Opening.objects.count() == 0
    assert stranger.submit("/care/emergency/", given).headers["Location"] == f"/care/{clinic.a}/"
    assert "Emergency access" in text(stranger.get(f"/care/{clinic.a}/"))
    assert given["reason"] in text(alice.get(f"{clinic.root}/access/"))
    assert given["reason"] in text(alice.get(f"{clinic.root}/notices/"))
    assert not Notice.objects.filter(person=None, delivered=None).exists(), "shown is told"
    told = text(signed_in("doctor").get("/care/"))
    assert "opened the record of Alice Aubert in an emergency" in told, "the attending doctor is told, too"
    alice.submit(f"{clinic.root}/decide/block", {"practitioner": f"Practitioner/{clinic.practitioner}"})
    told = text(signed_in("doctor").get("/care/"))
    assert "a patient whom you attend, which you may not read" in told and "Aubert" not in told and clinic.a not in told
    stranger.submit(f"/care/{clinic.a}/end/")
    assert stranger.get(f"/care/{clinic.a}/").status_code == 404
    alice.submit(f"{clinic.root}/decide/oppose-emergency")
    assert Dossier.objects.get(patient=clinic.key).opposes_emergency
    assert stranger.submit("/care/emergency/", given).status_code == 200
    assert stranger.get(f"/care/{clinic.a}/").status_code == 404


def test_who_attends_and_is_permitted_is_listed_once(clinic):
    alice, page = signed_in("alice"), f"{clinic.root}/access/"
    told = text(alice.get(page))
    assert told.count("attending doctor</span>") == 1 and "opens nothing by itself" not in told
    withdraw = told.split('action="' + f"{clinic.root}/access/withdraw/")[1].split('"')[0]
    alice.submit(f"{clinic.root}/access/withdraw/{withdraw}")
    told = text(alice.get(page))
    assert told.count("attending doctor</span>") == 1 and "opens nothing by itself" in told


def test_who_acts_for_the_patient_is_not_spoken_to_as_the_patient(clinic):
    Proxy.objects.create(patient=clinic.key, person=Person.objects.get(user__username="bob"), kind="mandated")
    bob = signed_in("bob")
    told = text(bob.get(f"{clinic.root}/access/"))
    assert "If the patient is in danger" in told and "you allowed it" not in told and "my record" not in told
    bob.submit(f"{clinic.root}/decide/oppose-emergency")
    assert "beside the patient can open this record" in text(bob.get(f"{clinic.root}/access/"))
    assert "E-mails about them go to the patient" in text(bob.get(f"{clinic.root}/notices/"))
    assert "your identity" not in text(bob.get(f"{clinic.root}/history/?all=1"))


def test_accesses_of_a_page_are_one_row_of_the_history(clinic):
    signed_in("doctor").get(f"/care/{clinic.a}/")
    told = text(signed_in("alice").get(f"{clinic.root}/history/"))
    assert "accesses of the same minute" in told
    seen = AuditRecord.objects.filter(user="doctor", patient=clinic.key).count()
    assert len(set(re.findall(rf'href="{clinic.root}/history/(\d+)/"', told))) >= seen, "each can be doubted"


def test_the_patient_reads_who_looked_and_reports_a_doubt(clinic):
    signed_in("doctor").get(f"/care/{clinic.a}/")
    alice = signed_in("alice")
    page = text(alice.get(f"{clinic.root}/history/"))
    assert "Reason:" in page and "You read" not in page, "what others did comes first"
    assert "You read" in text(alice.get(f"{clinic.root}/history/?all=1"))
    event = page.split(f'href="{clinic.root}/history/')[-1].split("/")[0]
    assert "What is doubtful?" in text(alice.get(f"{clinic.root}/history/{event}/"))
    alice.submit(f"{clinic.root}/decide/report-access", {"event": event, "text": "I do not know this doctor"})
    assert Doubt.objects.get().event == int(event)
    bob = signed_in("bob")
    assert bob.get(f"/me/{clinic.b}/history/{event}/").status_code == 404
    bob.submit(f"/me/{clinic.b}/decide/report-access", {"event": event, "text": "I am curious"})
    assert Doubt.objects.count() == 1


def test_a_permission_that_is_over_is_said_to_be_and_none_is_given_until_a_day_that_is(clinic):
    alice, path = signed_in("alice"), f"{clinic.root}/access/"
    given = {"practitioner": clinic.practitioner, "until": "2020-01-01"}
    before = text(alice.get(path)).count("you allowed it")
    refused = alice.submit(f"{path}grant", given)
    assert "Nothing is allowed" in text(alice.get(refused.headers["Location"]))
    permit = access.consent(clinic.a, {"id": clinic.practitioner, "name": [{"family": "Perrin"}]}, "2020-01-01", False)
    clinic.system.post("Consent", permit)
    page = text(alice.get(path))
    assert page.count("you allowed it") == before and ">over</span>" in page and "1 January 2020" in page
    staffed(clinic)
    rights = text(signed_in("officer").get(f"/admin/rights/?patient=Patient/{clinic.a}"))
    assert "January 2020" not in rights.split("Consents in force")[1].split("Who decided what")[0]
    assert "expected a day" in alice.submit(f"{path}grant", given | {"until": "tomorrow"}).content.decode()
    alice.submit(f"{path}grant", given | {"until": "2099-07-01"})
    assert text(alice.get(path)).count("you allowed it") == before + 1
    last = ConsentRule.objects.exclude(until=None).latest("pk")
    assert last.until.isoformat() == "2099-07-01T22:00:00+00:00", "with all of that day, by the clock of the pages"


def test_who_is_blocked_is_not_said_to_be_allowed(clinic):
    alice = signed_in("alice")
    assert "you allowed it" in text(alice.get(f"{clinic.root}/access/"))
    alice.submit(f"{clinic.root}/decide/block", {"practitioner": f"Practitioner/{clinic.practitioner}"})
    page = text(alice.get(f"{clinic.root}/access/"))
    assert "blocked since: reads nothing" in page and "you allowed it" not in page


def test_the_patient_is_told_who_reads_by_a_grant_and_in_which_emergency(clinic):
    staffed(clinic)
    officer, alice, path = signed_in("officer"), signed_in("alice"), f"{clinic.root}/access/"
    page = text(alice.get(path))
    assert "but in an emergency" in page and "whom you block may not" in page and "granted by" not in page
    letter = f"DocumentReference/{clinic.document}"
    for login, permission, about in (("stranger", "view", ""), ("doctor", "hide", letter)):
        fields = {"login": login, "permission": permission, "about": about}
        assert officer.submit(f"/admin/rights/{clinic.a}/grant", fields).status_code == 302
    page = text(alice.get(path))
    granted, withheld = (page.split(f"{what} by the data-protection officers")[0].rsplit("<strong>", 1)[1]
                         for what in ("granted", "withheld"))  # fmt: skip
    assert "stranger" in granted.lower() and "doctor" in withheld.lower()
    assert "Letter" in page.split("withheld by")[1].split("</li>")[0]
    alice.submit(f"{clinic.root}/decide/oppose-emergency")
    page = text(alice.get(path))
    assert "the one emergency that you allow" in page and "but in an emergency" not in page
    alice.submit(f"{clinic.root}/decide/oppose-regulation")
    page = text(alice.get(path))
    assert "not even in an emergency" in page and "may still open" not in page


def test_refusals_are_in_the_language_of_the_page(clinic):
    alice = signed_in("alice")
    alice.cookies["language"] = "fr"
    alice.submit(f"{clinic.root}/decide/name-proxy", {"login": "personne-de-ce-nom"})
    assert "Aucun compte ne porte ce nom" in text(alice.get(f"{clinic.root}/access/"))
    stranger = signed_in("stranger")
    stranger.cookies["language"] = "fr"
    given = {"ins": "urn:x|404", "reason": "Inconscient, sur la voie publique", "mode": "bris-de-glace"}
    assert "Aucun dossier ne s" in text(stranger.submit("/care/emergency/", given))


def test_decisions_about_a_foreign_record_do_nothing(clinic):
    for login in ("bob", "doctor", "clerk"):
        browser = signed_in(login)
        for name in ("block", "close-record", "name-proxy", "oppose-emergency"):
            fields = {"practitioner": f"Practitioner/{clinic.practitioner}", "login": login}
            assert browser.submit(f"{clinic.root}/decide/{name}", fields).status_code in (302, 403, 404)
        assert browser.submit(f"{clinic.root}/access/grant", {"practitioner": clinic.practitioner}).status_code != 200
    assert Block.objects.count() == 0 and Dossier.objects.count() == 0 and Proxy.objects.count() == 1


def test_who_is_mandated_neither_closes_the_record_nor_names_others(clinic):
    Proxy.objects.update(kind="mandated")
    paul, alice = signed_in("paul"), signed_in("alice")
    paul.submit(f"{clinic.root}/decide/close-record")
    paul.submit(f"{clinic.root}/decide/name-proxy", {"login": "bob"})
    assert Dossier.objects.count() == 0 and Proxy.objects.count() == 1
    alice.submit(f"{clinic.root}/decide/name-proxy", {"login": "bob"})
    bob = signed_in("bob")
    assert "You act for" in text(bob.get(f"{clinic.root}/")) and "Whose record" in text(bob.get("/me/"))
    alice.submit(f"{clinic.root}/decide/end-proxy", {"login": "bob"})
    assert bob.get(f"{clinic.root}/").status_code == 404
    alice.submit(f"{clinic.root}/decide/end-proxy", {"login": "paul"})
    assert paul.get(f"{clinic.root}/").status_code == 404


def test_the_record_goes_along_as_data_and_as_a_document(clinic):
    alice = signed_in("alice")
    bundle = json.loads(alice.get(f"{clinic.root}/record.json").content)
    assert bundle["type"] == "collection"
    assert {clinic.a, clinic.lab, clinic.document} <= {e["resource"]["id"] for e in bundle["entry"]}
    assert clinic.foreign not in str(bundle)
    paper = alice.get(f"{clinic.root}/record.pdf")
    assert paper.content.startswith(b"%PDF") and paper.headers["Content-Type"] == "application/pdf"
    assert signed_in("bob").get(f"{clinic.root}/record.pdf").status_code == 404


@pytest.mark.parametrize("path", ["/me/{a}/access/grant", "/me/{a}/decide/close-record", "/care/emergency/"])
def test_a_form_from_elsewhere_changes_nothing(clinic, path):
    login = "alice" if path.startswith("/me") else "doctor"
    browser = signed_in(login)
    assert browser.post(path.format(a=clinic.a), {"practitioner": clinic.practitioner}).status_code == 403
    assert identity("Patient", clinic.a) == clinic.key and Dossier.objects.count() == 0


def test_the_rate_of_pages_is_a_persons_own(clinic, monkeypatch):
    alice, doctor = signed_in("alice"), signed_in("doctor")
    monkeypatch.setattr(allowance, "rate", 2)
    monkeypatch.setattr(allowance, "left", {})
    summary = f"{clinic.root}/"  # asks nine searches, and is one request
    statuses = [alice.get(summary).status_code for _ in range(12)]
    assert statuses[:2] == [200, 200] and 429 in statuses
    assert "Please wait a moment" in alice.get(summary).content.decode() or alice.get(summary).status_code == 429
    assert doctor.get("/care/").status_code == 200


def test_a_kind_of_result_is_not_drowned_by_many_of_another(clinic):
    weight = {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Weight"}]}
    entries = [
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation(
            clinic.a, code=weight, category=[{"coding": [{"code": "vital-signs"}]}],
            effectiveDateTime=f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z")}
        for n in range(record.MOST + 10)
    ]  # fmt: skip
    answer = clinic.system.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    for login, root in (("alice", clinic.root), ("doctor", f"/care/{clinic.a}")):
        for path in ("/", "/results/"):
            page = text(signed_in(login).get(f"{root}{path}"))
            assert "Weight" in page and "Haemoglobin" in page and "12.5 g/dL" in page, "and what it was before"


def test_what_was_recorded_in_error_is_no_allergy_problem_or_result(clinic):
    subject, wrong = {"reference": f"Patient/{clinic.a}"}, {"coding": [{"code": "entered-in-error", "system":
                      "http://terminology.hl7.org/CodeSystem/condition-ver-status"}]}  # fmt: skip
    active = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active",
                          "display": "Actif"}]}  # fmt: skip
    clinic.made({"resourceType": "Condition", "subject": subject, "code": {"text": "Mistaken gout"},
                 "recordedDate": "2025-02-01", "verificationStatus": wrong})  # fmt: skip
    clinic.made({"resourceType": "Condition", "subject": subject, "code": {"text": "Real asthma"},
                 "clinicalStatus": active})  # fmt: skip
    clinic.observation(
        code={"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Haemoglobin"}]},
        category=[{"coding": [{"code": "laboratory"}]}], effectiveDateTime="2025-03-10T08:00:00+01:00",
        status="entered-in-error", valueQuantity={"value": 99.9, "unit": "g/dL"},
    )  # fmt: skip
    indexed()
    doctor, root = signed_in("doctor"), f"/care/{clinic.a}/"
    summary = text(doctor.get(root))
    assert "Mistaken gout" not in summary and "99.9" not in summary and "17.9 g/dL" in summary
    problems = summary.split("Current problems")[1].split("</section>")[0]
    assert "Real asthma" in problems, "a display in another language is the same status"
    told = text(doctor.get(f"{root}timeline/"))
    assert "Mistaken gout" in told and "recorded in error" in told
    chart = text(doctor.get(f"{root}results/?code=http%3A%2F%2Floinc.org%7C718-7"))
    assert '"values": [11.2, 12.5, 17.9]' in chart and "recorded in error" in chart


def test_a_report_shows_its_results_and_who_made_it(clinic):
    report = clinic.made({
        "resourceType": "DiagnosticReport", "status": "preliminary", "subject": {"reference": f"Patient/{clinic.a}"},
        "code": {"text": "Blood count"}, "result": [{"reference": f"Observation/{clinic.lab}"}],
        "performer": [{"reference": f"Practitioner/{clinic.practitioner}"}, {"reference": "Organization/unknown"}],
    })  # fmt: skip
    indexed()
    for login, root in (("doctor", f"/care/{clinic.a}"), ("alice", clinic.root)):
        page = text(signed_in(login).get(f"{root}/DiagnosticReport/{report}/"))
        words, _all = page.split("<details>")
        assert "preliminary" in words and "Haemoglobin" in words and "17.9 g/dL" in words and "Anne Perrin" in words
        assert "Organization/unknown" not in words


def test_images_open_in_the_viewer_that_is_set(clinic, settings):
    subject, uid = {"reference": f"Patient/{clinic.a}"}, {"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.99"}
    for known in ([uid], []):
        clinic.made({"resourceType": "ImagingStudy", "status": "available", "subject": subject,
                     "started": "2025-01-01", "identifier": known or [{"value": "1.2.3"}]})  # fmt: skip
    doctor, path = signed_in("doctor"), f"/care/{clinic.a}/imaging/"
    assert "Open the images" not in text(doctor.get(path))
    settings.FHIRSERVER_VIEWER_URL = "https://viewer.example/?study={study}"
    page = text(doctor.get(path))
    assert page.count("Open the images") == 1 and 'href="https://viewer.example/?study=1.2.840.99"' in page


def test_a_doctor_opens_an_application_on_a_record(clinic):
    register("chart", title="Chart", scopes="launch openid patient/*.rs", redirects=["https://chart.example/back"],
             launch_url="https://chart.example/launch")  # fmt: skip
    register("elsewhere", scopes="patient/*.rs", redirects=["https://other.example/back"])
    doctor, path = signed_in("doctor"), f"/care/{clinic.a}/apps/"
    answer = doctor.get(path)
    page, policy = text(answer), answer.headers["Content-Security-Policy"]
    assert "Chart" in page and "elsewhere" not in page
    assert policy.endswith("form-action 'self' https://chart.example") and "unsafe" not in policy
    number = page.split(f'action="{path}')[1].split('"')[0]
    location = doctor.submit(f"{path}{number}").headers["Location"]
    assert location.startswith("https://chart.example/launch?iss=http%3A%2F%2Ftestserver%2Ffhir&launch=")
    launch = Launch.objects.get()
    assert (launch.user.username, launch.patient, launch.used) == ("doctor", clinic.a, None)
    assert AuditRecord.objects.filter(interaction="$launch-app", user="doctor", patient=clinic.key).exists()
    assert signed_in("stranger").submit(f"{path}{number}").status_code == 404
    assert doctor.submit(f"{path}99").status_code == 404 and Launch.objects.count() == 1


def test_a_minor_and_the_representatives_are_told_what_may_be_kept_apart(clinic):
    alice, paul = signed_in("alice"), signed_in("paul")
    assert "minor" not in text(alice.get(f"{clinic.root}/"))
    born = f"{date.today().year - 15}-01-01"
    clinic.system.put(f"Patient/{clinic.a}", {"resourceType": "Patient", "id": clinic.a, "birthDate": born,
                                              "name": [{"family": "Aubert", "given": ["Alice"]}]})  # fmt: skip
    secret = clinic.observation(
        security=[(VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX")],
        code={"text": "Kept apart"},
        category=[{"coding": [{"code": "laboratory"}]}],
        effectiveDateTime="2026-01-01",
    )
    assert "You are a minor" in text(alice.get(f"{clinic.root}/"))
    assert "is a minor, and may ask" in text(paul.get(f"{clinic.root}/"))
    assert "Kept apart" in text(alice.get(f"{clinic.root}/results/"))
    assert "Kept apart" not in text(paul.get(f"{clinic.root}/results/"))
    assert paul.get(f"{clinic.root}/Observation/{secret}/").status_code == 404
    signed_in("doctor").get(f"/care/{clinic.a}/Observation/{secret}/")
    event = AuditRecord.objects.filter(entities__contains=secret, interaction="read", user="doctor").get().seq
    assert alice.get(f"{clinic.root}/history/{event}/").status_code == 200
    assert paul.get(f"{clinic.root}/history/{event}/").status_code == 404, "the trace is kept apart, too"


@pytest.mark.parametrize("uid, opens", [
    ("1.2.840.99", True), ("0", True), ("", False), ("1.2/../evil", False), ("1..2", False), ("1.2&x=1", False),
    ("javascript:alert(1)", False), ("1.2\n", False),
])  # fmt: skip
def test_only_a_uid_leads_to_the_viewer(settings, uid, opens):
    settings.FHIRSERVER_VIEWER_URL = "https://viewer.example/?study={study}"
    assert viewer(uid) == (f"https://viewer.example/?study={uid}" if opens else "")


def test_my_patients_are_those_who_name_me_my_organisation_or_an_emergency(clinic, monkeypatch):
    def listed(login, **query):
        return set(re.findall(r'<th scope="row"><a href="/care/([^/]+)/"', text(signed_in(login).get("/care/", query))))

    stranger, nurse = (Person.objects.get(user__username=name) for name in ("stranger", "nurse"))
    c, d, e = (clinic.made({"resourceType": "Patient", "name": [{"family": f"Family{n}"}]}) for n in "cde")
    assert listed("doctor") == {clinic.a} and listed("stranger") == listed("nurse") == set()
    clinic.consents(patient=c, by=clinic.system, to="Organization/clinic")
    clinic.consents(patient=d, by=clinic.system)  # everybody: found when looked for
    assert listed("doctor") == {clinic.a, c} and listed("doctor", family="Family") == {c, d}
    Opening.objects.create(patient=identity("Patient", e), person=stranger, mode="bris-de-glace", purpose="BTG",
                           until="2099-01-01T00:00:00Z", reason="Found unconscious")  # fmt: skip
    dossier = Dossier.objects.create(patient=identity("Patient", e))
    assign_perm("view_dossier", nurse.user, dossier)
    assert listed("stranger") == listed("nurse") == {e}
    clinic.consents(patient=c, by=clinic.system, type="deny", to="Practitioner/" + clinic.practitioner)
    assert listed("doctor") == {clinic.a}, "the list is no right"
    monkeypatch.setattr(care, "CIRCLE", 0)
    assert listed("doctor") == {clinic.a, d}, "more than a list takes: whoever can be read, by the alphabet"


def test_A03_a_grant_on_an_entry_that_is_hidden_from_the_patient_is_told_as_none(clinic):
    """The page of who may read is the same to the byte, whoever was granted what of it."""
    staffed(clinic)
    secret = clinic.observation(security=[(VISIBILITY, "INVISIBLE_PATIENT")])
    officer, path = signed_in("officer"), f"{clinic.root}/access/"

    def page():
        return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", signed_in("alice").get(path).content.decode())

    before = page()
    fields = {"login": "stranger", "permission": "view", "about": f"Observation/{secret}"}
    assert officer.submit(f"/admin/rights/{clinic.a}/grant", fields).status_code == 302
    assert execute("SELECT count(*) FROM resource_user_permission") == [(1,)]
    assert page() == before and secret not in before
