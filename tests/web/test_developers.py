"""The pages for integrators, and the languages of all pages."""

import gettext
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from accessctl.models import AuditRecord
from fhirserver import sandbox
from fhirserver.settings import SETTINGS
from records import errors
from tests.api import Api

from .conftest import Browser
from .world import Clinic, signed_in

FHIRSERVER = Path(__file__).resolve().parents[2] / "fhirserver"
MESSAGES = "locale/fr/LC_MESSAGES"
ENTRY = re.compile(r'^msgid "((?:[^"\\]|\\.)*)"\n(?:msgid_plural .*\nmsgstr\[0\]|msgstr) "((?:[^"\\]|\\.)*)"', re.M)


@pytest.mark.parametrize("path", ["", "capabilities/", "capabilities/?type=Observation", "console/", "errors/"])
def test_pages_are_open_to_all(browser, path):
    page = browser.get(f"/developers/{path}")
    assert page.status_code == 200 and "http://testserver/fhir" in page.content.decode()


def test_every_error_is_in_the_catalogue(browser):
    page = browser.get("/developers/errors/").content.decode()
    assert all(f">{kind.code}<" in page for kind in (errors.NotFound, errors.Forbidden, errors.Busy, errors.Conflict))
    assert "{0" not in page and "{1" not in page, "sentences, not their patterns"


def test_openapi_says_what_the_statement_says(browser):
    told = browser.get("/developers/openapi.json").json()
    statement = browser.get("/fhir/metadata").json()["rest"][0]
    for each in statement["resource"]:
        codes = {i["code"] for i in each["interaction"]}
        assert ("get" in told["paths"].get(f"/{each['type']}", {})) == ("search-type" in codes)
        assert ("delete" in told["paths"].get(f"/{each['type']}/{{id}}", {})) == ("delete" in codes)
    names = {p["name"] for p in told["paths"]["/Observation"]["get"]["parameters"]}
    assert names == {p["name"] for r in statement["resource"] if r["type"] == "Observation" for p in r["searchParam"]}


def test_a_sandbox_is_put_back_by_who_has_a_login_of_it_and_is_sure(browser, settings, tmp_path):
    assert "make up DATA=fresh" not in browser.get("/developers/").content.decode(), "no demonstration, no button"
    Clinic()
    settings.FHIRSERVER_ENVIRONMENT, settings.FHIRSERVER_DATA = "demo", str(tmp_path)
    alice = signed_in("alice")
    assert "make up DATA=fresh" in alice.get("/developers/").content.decode()
    assert alice.submit("/developers/reset/", {"sure": "yes"}).status_code == 403, "a server without the mark"
    (tmp_path / "state.json").write_text('{"sandbox": true}')
    assert "/account/login/?next=/developers/" in browser.get("/developers/").content.decode()
    assert browser.submit("/developers/reset/", {"sure": "yes"})["Location"].startswith("/account/login/")
    assert 'name="sure"' in alice.get("/developers/").content.decode()
    alice.submit("/developers/reset/")
    assert sandbox.latest() is None and alice.post("/developers/reset/", {"sure": "yes"}).status_code == 403
    alice.submit("/developers/reset/", {"sure": "yes"})
    page = alice.get("/developers/").content.decode()
    assert sandbox.latest().principal == "web|alice" and "<progress" in page and 'name="sure"' not in page
    assert AuditRecord.objects.filter(user="alice", interaction="$reset-sandbox").count() == 1
    get_user_model().objects.get(username="alice").groups.clear()
    assert alice.submit("/developers/reset/", {"sure": "yes"}).status_code == 403


def test_the_collection_names_this_server(browser):
    text = browser.get("/developers/fhir.http").content.decode()
    assert text.startswith("@base = http://testserver/fhir") and "{{base}}/Patient?_count=5" in text


@pytest.mark.parametrize("locale, least", [("web", 300), ("oauth", 20)])
def test_every_text_is_in_french_and_compiled_as_written(locale, least):
    folder = FHIRSERVER / locale / MESSAGES
    written = {k: v for k, v in ENTRY.findall((folder / "django.po").read_text()) if k}
    assert len(written) > least and [k for k, v in written.items() if not v] == []
    with open(folder / "django.mo", "rb") as file:
        compiled = gettext.GNUTranslations(file)
    plain = {k: v for k, v in written.items() if "\\" not in k and "\\" not in v}
    contexts = set(re.findall(r'^msgctxt "(.*)"$', (folder / "django.po").read_text(), re.M))

    def told(text):
        return {
            compiled.gettext(text),
            compiled.ngettext(text, text, 1),
            *(compiled.pgettext(c, text) for c in contexts),
        }

    assert {k: v for k, v in plain.items() if v not in told(k)} == {}


def test_settings_are_described_in_french_too():
    written = (FHIRSERVER / "web" / MESSAGES / "django.po").read_text()
    assert [what for _default, what in SETTINGS.values() if f'msgid "{what}"' not in written] == []


def test_texts_of_templates_are_among_them():
    known = {
        k.replace('\\"', '"')
        for path in FHIRSERVER.glob(f"*/{MESSAGES}/django.po")
        for k, _ in ENTRY.findall(path.read_text())
    }
    templates = FHIRSERVER.rglob("templates/**/*.html")
    said = {text for path in templates for text in re.findall(r'{% translate "([^"]+)"', path.read_text())}
    assert said and said <= known, said - known


def test_the_console_gets_a_token_of_its_visitor_in_a_sandbox_alone(browser, monkeypatch):
    clinic, alice = Clinic(), signed_in("alice")
    assert "console/token" not in alice.get("/developers/console/").content.decode()
    assert alice.submit("/developers/console/token").status_code == 403, "no sandbox"
    monkeypatch.setattr(sandbox, "is_one", lambda: True)
    assert "console/token" in alice.get("/developers/console/").content.decode()
    answer = alice.submit("/developers/console/token")
    token = re.search(r'id="token"[^>]* value="([^"]+)"', answer.content.decode())[1]
    api = Api(token=token)
    assert api.get(f"Patient/{clinic.a}").status_code == 200 and api.get(f"Patient/{clinic.b}").status_code == 404
    assert AuditRecord.objects.filter(user="alice", interaction="$issue-token").count() == 1
    assert Browser().submit("/developers/console/token")["Location"].startswith("/account/login/")
