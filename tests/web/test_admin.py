"""The administration: who opens which page, what is changed there, and that no record is read on the way."""

import ast
import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth import get_user_model

from accessctl import sources
from accessctl.export import job as job_of_export
from accessctl.export import walk
from accessctl.models import AuditRecord, Client, Token
from accessctl.people import Person
from accessctl.rights import Doubt, MatrixCell, Opening, Review, StaffRole
from fhirserver.models import Sample
from fhirserver.settings import SETTINGS
from fhirserver.web import readable
from fhirserver.web.admin import audit as audit_page
from fhirserver.web.admin import matrix as matrix_page
from fhirserver.web.admin import reasons
from fhirserver.web.admin.staff import TABS
from fhirserver.web.sheets import harmless
from records.indexing import jobs
from records.indexing.models import Job
from records.loading.models import LoadedInput, LoadedRange
from records.search import stored
from records.search.stored import StoredParameter
from tests.export import exports

from .world import ROLES, Clinic, signed_in, staffed


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


def text(answer):
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_each_role_is_shown_the_tabs_that_it_opens(clinic):
    for login, roles in ROLES.items():
        browser = signed_in(login)
        for address, _name, needs in TABS:
            allowed = bool(roles) and (not needs or bool(roles & set(needs)))
            page = browser.get(f"/admin/{address}")
            assert page.status_code == (200 if allowed else 403), (login, address)
        if roles:
            tabs = text(browser.get("/admin/")).split('class="tabs"')[1].split("</nav>")[0]
            opened = {a for a, _n, needs in TABS if not needs or roles & set(needs)}
            assert {a for a, _n, _r in TABS if f'href="/admin/{a}"' in tabs} == opened, login


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
    told = text(browser.get("/admin/resources/", {"q": "Location?name=a"}))
    assert "What can be asked of Location" in told and ">address-city<" in told and "How a search is written" in told
    assert "What can be asked" not in text(browser.get("/admin/resources/", {"q": "Observation?code=x"}))


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
        page = text(officer.get("/admin/why/", asked))
        assert verdict in page and "The matrix in force opens" in page
    assert "no such person" in text(officer.get("/admin/why/", {"login": "nobody", "reference": "Observation/1"}))
    told = AuditRecord.objects.filter(interaction="$explain-access", user="officer", patient=clinic.key)
    assert told.count() == 2 and "actor=doctor" in told.first().query


def test_reasons_and_the_audit_are_told_in_the_language_of_the_page(clinic):
    officer = signed_in("officer")
    officer.cookies["language"] = "fr"
    asked = {"login": "doctor", "reference": f"Observation/{clinic.lab}"}
    page = text(officer.get("/admin/why/", asked))
    assert "Un consentement du patient l&#x27;autorise." in page and "consentement" in page
    assert ">médecin (10).<" in page.replace("profession : ", ">") and 'lang="en"' not in page.split("<tbody>")[1]
    later = (datetime.now(readable.zone()) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")
    page = text(officer.get("/admin/why/", asked | {"at": later}))
    assert f'type="datetime-local" value="{later}"' in page and "Tel que c" in page and "Cette personne la voit" in page
    before = text(officer.get("/admin/why/", asked | {"at": "2020-01-01T10:00"}))
    assert "Tel que c" not in before and 'role="alert"' in before
    page = text(officer.get("/admin/audit/", {"patient": f"Patient/{clinic.a}", "subtype": "read", "action": "R"}))
    assert '<option value="read" selected>lecture</option>' in page
    assert '<option value="R" selected>lecture</option>' in page


def sentences(tree):
    """The sentences in source code that are no documentation, words in the place of what is put in."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in node.values}
    for node in ast.walk(tree):
        if id(node) in documentation | parts or not isinstance(node, (ast.Constant, ast.JoinedStr)):
            continue
        pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
        said = "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in pieces)
        if re.fullmatch(r"[A-Zx].* .*\.", said):
            yield said


def test_no_reason_was_forgotten_in_the_words_of_the_page():
    folder = Path(sources.__file__).parent
    found = {said for file in folder.glob("*.py") for said in sentences(ast.parse(file.read_text()))}
    assert "The record is closed." in found and len(found) > 20
    assert not {said for said in found if not any(pattern.fullmatch(said) for pattern, _told in reasons.KNOWN)}


def test_an_emergency_is_judged_and_a_doubt_answered(clinic):
    opening = Opening.objects.create(patient=clinic.key, person=Person.objects.get(user__username="stranger"),
                                     mode="bris-de-glace", purpose="BTG", reason="Found unconscious")  # fmt: skip
    Review.objects.create(opening=opening)
    doubt = Doubt.objects.create(patient=clinic.key, event=1, text="Who is this?")
    officer = signed_in("officer")
    page = text(officer.get("/admin/reviews/"))
    assert "Found unconscious" in page and "break the glass" in page
    seen = page.split('href="/admin/audit/?')[1].split('"')[0].replace("&amp;", "&")
    assert clinic.a in text(officer.get(f"/admin/audit/?{seen}"))
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
    runner.submit("/admin/jobs/", {"again": job.pk})
    assert Job.objects.exclude(pk=job.pk).get().parameters == job.parameters
    runner.submit("/admin/jobs/", {"again": job.pk + 1})
    assert "There is no such job." in text(runner.get("/admin/jobs/")), "it has not ended"
    assert Job.objects.count() == 2


def test_exports_are_shown_cancelled_and_go_on(clinic, monkeypatch):
    """Who asked, how far they are; again goes on under the address that the client has."""
    monkeypatch.setattr(walk, "WINDOW", 2)
    robot, runner = exports.robot(), signed_in("runner")
    status = exports.kicked(robot)
    for _ in range(4):
        jobs.advance()
    page = text(runner.get("/admin/jobs/"))
    assert "bulk export" in page and "Asked for by robot" in page and "<progress" in page and "running" in page
    job = Job.objects.get(kind="export")
    runner.submit("/admin/jobs/", {"cancel": job.pk})
    assert robot.get(status).status_code == 404 and not jobs.advance()
    page = text(runner.get("/admin/jobs/", headers={"accept-language": "fr"}))
    assert "export en masse" in page and "Demandé par robot" in page and 'name="again"' in page
    runner.submit("/admin/jobs/", {"again": job.pk})
    exports.worked()
    assert Job.objects.filter(kind="export").count() == 1
    assert exports.resources(robot, exports.manifest(robot, status))
    monkeypatch.setattr(job_of_export, "of_type", lambda export, access: 1 / 0)
    failing = exports.kicked(robot)
    exports.worked()
    page, job = text(runner.get("/admin/jobs/")), Job.objects.latest("id")
    assert "ZeroDivisionError" in page and f'name="again" value="{job.pk}"' in page
    robot.delete(failing)
    assert f'name="again" value="{job.pk}"' not in text(runner.get("/admin/jobs/")), "its client has deleted it"
    runner.submit("/admin/jobs/", {"again": job.pk})
    assert "There is no such job." in text(runner.get("/admin/jobs/"))
    told = AuditRecord.objects.filter(user="runner").values_list("interaction", flat=True)
    assert {"$cancel-job", "$retry-job"} <= set(told)


def test_the_dashboard_draws_the_samples_and_tells_them_in_a_table(clinic):
    runner = signed_in("runner")
    assert "Nothing to draw yet" in text(runner.get("/admin/")) and "uplot" not in text(runner.get("/admin/"))
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for minutes, requests in ((600, 60), (5, None), (1, 120)):
        told = {"errors": 2, "seconds": 0.6, "slow": 0.025} if requests else {}
        at = now - timedelta(minutes=minutes)
        Sample.objects.create(at=at, node="a", waiting=minutes, lag=0.5, requests=requests, **told)
    Sample.objects.create(at=now - timedelta(minutes=1), node="b", waiting=7, lag=1, requests=80, errors=0, seconds=1.4,
                          slow=0.25)  # fmt: skip
    page = text(runner.get("/admin/"))
    drawn = json.loads(page.split('id="plot-requests" type="application/json">')[1].split("</script>")[0])
    assert [line["values"] for line in drawn["lines"]] == [[None, 200.0], [None, 2.0]], "of both nodes together"
    cells = page.split("<tbody>")[1].split("</tbody>")[0]
    assert "200.0" in cells and "10.0" in cells and "250.0" in cells and "–" in cells
    assert "60.0" not in cells and "60.0" in text(runner.get("/admin/?hours=24"))


def test_settings_are_shown_without_secrets(clinic, settings):
    secrets = [name for name in SETTINGS if name.endswith(("_KEY", "_SECRET", "MAIL_URL"))]
    for name in secrets:
        setattr(settings, name, "very secret")
    settings.FHIRSERVER_CORS_ORIGINS = ["https://a.example", "https://b.example"]
    settings.FHIRSERVER_TRUSTED_PROXIES = []
    page = text(signed_in("runner").get("/admin/settings/"))
    assert all(name in page for name in SETTINGS) and "very secret" not in page and settings.SECRET_KEY not in page
    cells = {row.split("</th>")[0].split(">")[-1]: row for row in page.split("<tr>")}
    assert "FHIRSERVER_OIDC_CLIENT_SECRET" in secrets and all("set, not shown" in cells[name] for name in secrets)
    assert "not set" in cells["FHIRSERVER_TRUSTED_PROXIES"] and "https://a.example, https://b.example" in page


def test_versions_are_compared_and_references_can_be_followed(clinic):
    runner, url = signed_in("runner"), f"Practitioner/{clinic.practitioner}"
    for family in ("Martin", "Petit"):
        clinic.system.put(url, {"resourceType": "Practitioner", "id": clinic.practitioner, "name": [{"family": family}],
                                "extension": [{"url": "http://example.org/of", "valueReference":
                                               {"reference": "Organization/clinic"}}]})  # fmt: skip
    page = text(runner.get(f"/admin/resources/{url}/"))
    assert '<a href="/admin/resources/Organization/clinic/">Organization/clinic</a>' in page
    diff = page.split('class="diff"')[1].split("</pre>")[0]
    assert "Martin" in diff and "Petit" in diff and "Perrin" not in diff
    page = text(runner.get(f"/admin/resources/{url}/?before=1&after=3"))
    diff = page.split('class="diff"')[1].split("</pre>")[0]
    assert "Perrin" in diff and "Petit" in diff and "Martin" not in diff
    assert text(runner.get(f"/admin/resources/{url}/?before=9&after=x")).count("Petit") > 1


def test_the_audit_over_time_and_page_by_page(clinic, monkeypatch):
    monkeypatch.setattr(audit_page, "PAGE", 3)
    officer, given = signed_in("officer"), {"patient": f"Patient/{clinic.a}"}
    page = text(officer.get("/admin/audit/", given))
    assert '<svg class="bars"' in page and page.count("<rect") >= 1
    seen, links = [], 0
    while True:
        rows = page.split("<tbody>")[-1].split("</tbody>")[0]
        seen += [row.split("</tr>")[0] for row in rows.split("<tr>")[1:]]
        if 'href="?patient' not in page or links == 4:
            break
        links += 1
        older = page.split('href="?patient')[1].split('"')[0].replace("&amp;", "&")
        page = text(officer.get(f"/admin/audit/?patient{older}"))
    assert (
        links >= 2
        and len(seen) > 3 * links
        and "$audit-timeline" in set(AuditRecord.objects.filter(user="officer").values_list("interaction", flat=True))
    )
    assert "$audit-timeline" in text(officer.get("/admin/audit/", {"from": "2026-01-01"})), "operations by their names"
    refused = text(officer.get("/admin/audit/", given | {"outcome": "4,8"}))
    assert "Nothing." in refused or "refused" in refused
    assert "error" in text(officer.get("/admin/audit/", {"from": "yesterday"}))


def test_a_search_parameter_is_defined_by_a_form_and_retired(clinic):
    runner = signed_in("runner")
    given = {"code": "nickname", "type": "string", "base": "Patient", "url": "http://example.org/nick",
             "expression": "Patient.name.where(use='nickname').given", "description": "Nickname"}  # fmt: skip
    wrong = text(runner.submit("/admin/parameters/new/", given | {"expression": "Patient.name.where("}))
    assert "SearchParameter.expression" in wrong and not StoredParameter.objects.exists()
    assert "SearchParameter.base" in text(runner.submit("/admin/parameters/new/", given | {"base": ""}))
    runner.submit("/admin/parameters/new/", given)
    page = text(runner.get("/admin/parameters/"))
    assert "Patient?nickname" in page and "being made" in page
    while jobs.advance():
        pass
    stored.learn()
    assert "usable" in text(runner.get("/admin/parameters/"))
    assert clinic.system.get("Patient?nickname=x").status_code == 200
    id = page.split('href="/admin/resources/SearchParameter/')[1].split("/")[0]
    runner.submit(f"/admin/parameters/{id}/retire")
    assert "There is none." in text(runner.get("/admin/parameters/"))
    assert runner.submit(f"/admin/parameters/{id}/retire").status_code == 404
    told = AuditRecord.objects.filter(user="runner", interaction__in=("$make-parameter", "$retire-parameter"))
    assert told.count() == 2


def test_the_matrix_goes_along_comes_back_changed_and_is_in_force(clinic, database_of_matrix):
    officer = signed_in("officer")
    tree = json.loads(officer.get("/admin/matrix/export").content)
    sheet = officer.get("/admin/matrix/export?as=csv").content.decode()
    assert sheet.startswith("version,profession,") and len(sheet.splitlines()) == len(tree["cells"]) + 1
    doctor, seen = signed_in("doctor"), f"/care/{clinic.a}/DocumentReference/{clinic.document}/"
    assert doctor.get(seen).status_code == 200
    tree["version"] = "trial"
    for cell in tree["cells"]:
        if cell["profession"] == "10" and cell["category"] == 0:
            cell["permit"] = False
    page = text(officer.submit("/admin/matrix/new/", {"text": json.dumps(tree), "do": "look"}))
    assert "1 difference" in page and "Type of document not known" in page
    assert doctor.get(seen).status_code == 200, "looked at, not in force"
    assert officer.submit("/admin/matrix/new/", {"text": json.dumps(tree), "do": "take"}).status_code == 302
    assert doctor.get(seen).status_code == 404, "it counts at the next request"
    page = text(officer.get("/admin/matrix/"))
    assert "Authorisation matrix trial" in page
    old = next(v for v in matrix_page.versions() if v["name"] != "trial")["name"]
    assert "1 difference" in text(officer.get(f"/admin/matrix/?version=trial&against={old}"))
    assert officer.get("/admin/matrix/?version=none").status_code == 404
    told = AuditRecord.objects.get(interaction="$bring-matrix")
    assert told.user == "officer" and "changes=1" in told.query


CELL = {"profession": "10", "category": 10, "permit": True, "provenance": "confirmed"}


NO_MATRIX = [
    ("{", "not JSON"), ("[]", "a matrix is"), ('{"version": "x", "cells": []}', "a matrix is"),
    ({"version": "", "cells": [CELL]}, "version is"), ({"version": "x" * 41, "cells": [CELL]}, "version is"),
    ({"version": "x", "cells": [CELL, CELL]}, "two answers"),
    ({"version": "x", "cells": [CELL | {"permit": "yes"}]}, "cells[0] has no permit"),
    ({"version": "x", "cells": [CELL | {"category": 7}]}, "cells[0].category"),
    ({"version": "x", "cells": [CELL | {"category": True}]}, "cells[0].category"),
    ({"version": "x", "cells": [CELL | {"profession": "=1+1"}]}, "cells[0].profession"),
    ({"version": "x", "cells": [CELL | {"provenance": "guess"}]}, "cells[0].provenance"),
    ({"version": "fr-2023-10-26.1", "cells": [CELL]}, "already"),
]  # fmt: skip


def test_a_matrix_that_is_none_changes_nothing(clinic):
    officer = signed_in("officer")
    for given, said in NO_MATRIX:
        given = given if isinstance(given, str) else json.dumps(given)
        assert said in text(officer.submit("/admin/matrix/new/", {"text": given, "do": "take"})), given
    assert MatrixCell.objects.values("matrix").distinct().count() == 1


@pytest.fixture
def database_of_matrix(clinic):
    """The version of the data file holds again after the test."""
    yield
    MatrixCell.objects.filter(matrix="trial").delete()
    MatrixCell.objects.update(until=None)


def test_files_being_loaded_are_shown_with_how_far_they_are(clinic):
    runner = signed_in("runner")
    assert "No file was loaded." in text(runner.get("/admin/jobs/"))
    made = [LoadedInput.objects.create(sha256=bytes([n]), path=f"/srv/in/{name}", size=4000, modified=1)
            for n, name in enumerate(("big.ndjson", "one.json"))]  # fmt: skip
    LoadedRange.objects.create(input=made[0].pk, start=0, until=1000)
    LoadedInput.objects.filter(pk=made[1].pk).update(finished=datetime.now(UTC))
    page = runner.get("/admin/jobs/").content.decode()
    assert '<progress max="4000" value="1000"' in page and page.count("<progress") == 1
    assert page.index("big.ndjson") < page.index("one.json") and "/srv/in" not in page
