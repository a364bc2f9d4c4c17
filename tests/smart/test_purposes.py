"""A purpose of use that a client states: recorded, kept, shown, never widened, and no right by itself. (IHE IUA)"""

import pytest

from accessctl.models import AuditRecord, Client
from accessctl.purposes import ORDINARY, InvalidPurpose, purpose
from accessctl.smart.registration import InvalidClient, register
from accessctl.smart.tables import Authorization
from tests.accessctl.people import REASON, World
from tests.api import Api

from .apps import REDIRECT, SCOPES, App, Browser, told
from .clients import Backend, post

SCOPE = "offline_access launch/patient patient/*.rs"


@pytest.fixture
def world(database):
    return World()


@pytest.fixture
def app(world):
    return App()


def means(token):
    """What introspection says of the purpose."""
    said = post("/oauth/introspect", {"token": token}, authorization=f"Bearer {token}").tree
    return said.get("extensions", {}).get("ihe_iua", {}).get("purpose_of_use")


@pytest.mark.parametrize("text", ["TREAT", f"{REASON}|TREAT", "urn:oid:2.16.840.1.113883.5.8|TREAT"])
def test_it_goes_from_the_request_to_the_audit(world, app, text):
    browser = Browser("alice")
    page = browser.page(app.request(SCOPE, purpose_of_use=text))
    assert "<strong>care (TREAT)</strong>" in page["text"]
    tree = app.exchange(told(browser.decides(page))["code"]).tree
    assert tree["purpose_of_use"] == "TREAT"
    assert means(tree["access_token"]) == [{"system": REASON, "code": "TREAT"}]
    api = Api(token=tree["access_token"])
    assert api.get(f"Patient/{world.a}").status_code == 200
    record = AuditRecord.objects.filter(interaction="read", client="app").latest("seq")
    assert record.purpose == "TREAT"
    [event] = [
        e["resource"] for e in world.system.get(f"AuditEvent?patient=Patient/{world.a}&_count=50").tree["entry"]
        if e["resource"]["subtype"][0]["code"] == "read" and "purposeOfUse" in str(e["resource"])
    ][:1]  # fmt: skip
    [user] = [a for a in event["agent"] if a.get("requestor") and "purposeOfUse" in a]
    assert user["purposeOfUse"][0]["coding"][0] | {"display": ""} == {"system": REASON, "code": "TREAT", "display": ""}
    assert "care (TREAT)" in browser.http.get("/account/applications/").content.decode()


def test_without_one_nothing_is_said(world, app):
    tree = app.tokens("alice")
    assert "purpose_of_use" not in tree and means(tree["access_token"]) is None


@pytest.mark.parametrize(
    "text", ["treat", "NOTHING", "PurposeOfUse", "http://example.org|TREAT", "|TREAT", "TREAT HRESCH", "HMARKT",
             "COVERAGE", "HRESCH", "x" * 3000],
)  # fmt: skip
def test_what_is_no_purpose_of_this_client_yields_no_code(world, app, text):
    said = told(Browser("alice").asks(app.request(purpose_of_use=text)))
    assert said["error"] == "invalid_request" and "purpose" in said["error_description"] and "code" not in said
    assert not Authorization.objects.exists()
    robot = Backend()
    answer = post("/oauth/token", robot.form() | {"purpose_of_use": text})
    assert (answer.status_code, answer.tree["error"]) == (400, "invalid_request")


def test_one_that_is_registered(world):
    app = App(purposes=["HRESCH"])
    assert app.tokens("alice", purpose_of_use="HRESCH")["purpose_of_use"] == "HRESCH"
    browser = Browser("alice")
    page = browser.page(app.request(purpose_of_use="HRESCH"))
    register("app", scopes=SCOPES, redirects=[REDIRECT])
    assert told(browser.decides(page))["error"] == "invalid_request"  # taken back while the page was open
    for wrong in ("HMARKT", "NOTHING"):
        with pytest.raises(InvalidClient):
            register("other", scopes="patient/*.rs", redirects=[REDIRECT], purposes=[wrong])


def test_twice_is_refused(world, app):
    from urllib.parse import urlencode

    asked = urlencode(app.request(purpose_of_use="TREAT")) + "&purpose_of_use=PATRQT"
    assert Browser("alice").http.get(f"/oauth/authorize?{asked}").status_code == 400


def test_it_stays_through_refreshes_and_is_never_another(world):
    app = App(purposes=["HRESCH"])
    code = Browser("alice").allows(app.request(SCOPE, purpose_of_use="PATRQT"))["code"]
    answer = app.exchange(code, purpose_of_use="HRESCH")
    assert (answer.status_code, answer.tree["error"]) == (400, "invalid_request")
    tree = app.exchange(code, purpose_of_use="PATRQT").tree
    for other in ("HRESCH", "TREAT", "NOTHING"):
        assert app.refresh(tree["refresh_token"], purpose_of_use=other).tree["error"] == "invalid_request"
    fresh = app.refresh(tree["refresh_token"]).tree
    assert fresh["purpose_of_use"] == "PATRQT" and means(fresh["access_token"])[0]["code"] == "PATRQT"
    none = app.tokens("alice", SCOPE)
    assert app.refresh(none["refresh_token"], purpose_of_use="TREAT").tree["error"] == "invalid_request"


def test_a_backend_service_states_its_own(world):
    robot = Backend()
    Client.objects.filter(name="robot").update(purposes=["PUBHLTH"])
    answer = post("/oauth/token", robot.form() | {"purpose_of_use": "PUBHLTH"})
    assert answer.status_code == 200, answer.tree
    assert answer.tree["purpose_of_use"] == "PUBHLTH"
    token = answer.tree["access_token"]
    assert means(token)[0]["code"] == "PUBHLTH"
    assert Api(token=token).get(f"Patient/{world.a}").status_code == 200
    assert AuditRecord.objects.filter(client="robot").latest("seq").purpose == "PUBHLTH"


def test_a_word_in_the_token_breaks_no_glass(world, app):
    """It is kept and recorded; what is open without it is open, and no more."""
    row = world.observation()
    world.consents(to="Practitioner/dr-doctor", purposes=["BTG"])
    tree = app.tokens("doctor", "user/*.rs", purpose_of_use="BTG")
    assert Api(token=tree["access_token"]).get(f"Observation/{row}").status_code == 404
    assert AuditRecord.objects.filter(client="app", user="doctor").latest("seq").purpose == "BTG"


def test_a_consent_for_a_purpose_opens_for_that_purpose_alone(world):
    row = world.observation()
    world.consents(to="Practitioner/dr-doctor", purposes=["HRESCH"])
    app = App(purposes=["HRESCH"])
    for stated, status in (("HRESCH", 200), ("TREAT", 404), (None, 404)):
        token = app.tokens("doctor", "user/*.rs", purpose_of_use=stated)["access_token"]
        assert Api(token=token).get(f"Observation/{row}").status_code == status, stated


def test_no_word_for_care_evades_a_rule_about_care(world, app):
    row = world.observation()
    world.consents(to="Practitioner/dr-doctor")
    world.consents(type="deny", to="Practitioner/dr-doctor", purposes=["TREAT"])
    for stated in (None, *sorted(ORDINARY)):
        token = app.tokens("doctor", "user/*.rs", purpose_of_use=stated)["access_token"]
        assert Api(token=token).get(f"Observation/{row}").status_code == 404, stated


def test_codes():
    assert purpose("TREAT") == "TREAT"
    with pytest.raises(InvalidPurpose):
        purpose("")
