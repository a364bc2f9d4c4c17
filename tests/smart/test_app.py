"""Applications of people: code and PKCE, consent, context, refresh. (SMART S4, S12-S26, S31, S32; A57-A61, A68, A69)"""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client as Http
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from accessctl.models import AuditRecord, Token
from accessctl.people import Person
from accessctl.smart import families
from accessctl.smart.tables import Authorization, Client, RefreshToken
from fhirserver.oauth.discovery import CAPABILITIES
from records.definitions.structures import type_number
from tests.accessctl.people import World
from tests.api import Api

from .apps import BASE, App, Browser, challenge, claims, told
from .clients import EC, SITE, Backend, post, public

PATIENT = "launch/patient patient/*.rs"


@pytest.fixture
def world(database):
    return World()


@pytest.fixture
def app(world):
    return App()


# the whole way


def test_S15_S18_S25_standalone(world, app):
    browser = Browser("alice")
    answer = browser.allows(app.request(f"openid fhirUser offline_access {PATIENT}", nonce="n"))
    assert answer["state"] == "s t&1" and answer["iss"] == SITE and set(answer) == {"code", "state", "iss"}
    tokens = app.exchange(answer["code"])
    assert tokens.status_code == 200 and tokens.headers["Cache-Control"] == "no-store"
    assert tokens.headers["Pragma"] == "no-cache"
    tree = tokens.tree
    assert tree["token_type"] == "Bearer" and tree["expires_in"] == 3600 and tree["patient"] == world.a
    assert tree["need_patient_banner"] is True
    assert tree["scope"] == f"openid fhirUser offline_access {PATIENT}"
    api = Api(token=tree["access_token"])
    assert api.get(f"Patient/{world.a}").status_code == 200
    assert api.get(f"Patient/{world.b}").status_code == 404
    assert api.post("Observation", {"resourceType": "Observation"}).status_code == 403


def test_S26_id_token(world, app):
    tree = app.tokens("alice", f"openid fhirUser {PATIENT}", nonce="n-1")
    keys = Http().get("/oauth/jwks").json()
    said = jwt.decode(tree["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"])
    assert said.header["alg"] == "RS256" and said.header["kid"]
    assert said.claims["iss"] == SITE and said.claims["aud"] == "app" and said.claims["nonce"] == "n-1"
    assert said.claims["fhirUser"] == f"{BASE}/Patient/{world.a}" and "alice" not in str(said.claims)
    assert Api(token=tree["access_token"]).get(f"Patient/{world.a}").status_code == 200
    assert claims(app.tokens("alice", f"openid {PATIENT}")["id_token"])["sub"] == said.claims["sub"]
    assert "fhirUser" not in claims(app.tokens("alice", f"openid {PATIENT}")["id_token"])
    assert "id_token" not in app.tokens("alice")


def test_S26_fhir_user_of_a_professional_and_of_nobody(world, app):
    world.consents(to="Practitioner/dr-doctor")
    tree = app.tokens("doctor", "openid fhirUser user/Patient.rs")
    assert claims(tree["id_token"])["fhirUser"] == f"{BASE}/Practitioner/dr-doctor"
    assert "patient" not in tree  # user scopes alone need no record
    assert app.tokens("paul", "openid fhirUser user/Patient.rs")["scope"] == "openid user/Patient.rs"


def test_S12_a_form_may_ask_too(world, app):
    answer = Browser("alice", strict=True).http.post("/oauth/authorize", app.request())
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/oauth/authorize?")
    page = Browser("alice").http.get(answer.headers["Location"])
    assert page.status_code == 200


def test_S12_in_one_place_and_by_no_other_method(world, app):
    browser = Browser("alice")
    assert browser.http.post("/oauth/authorize?scope=user/*.rs", app.request()).status_code == 400
    for method in ("put", "delete", "patch"):
        assert getattr(browser.http, method)("/oauth/authorize?" + urlencode(app.request())).status_code == 405
    assert not Authorization.objects.exists()


def test_S18_an_error_is_not_kept_either(world, app):
    answer = app.exchange("no code")
    assert answer.status_code == 400 and set(answer.tree) <= {"error", "error_description"}
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Pragma"] == "no-cache"


def test_S25_what_is_no_context_in_what_an_ehr_tells(ehr):
    """What is no object with a reference, canonical or identifier is refused; what is, comes back as it was."""
    entries = [{"reference": "ImagingStudy/1", "role": "https://example.org/role/current"},
               {"canonical": "http://example.org/Questionnaire/1"}]  # fmt: skip
    form = {"client_id": "app", "patient": ehr.a, "fhirContext": json.dumps(entries), "tenant": "clinic-7"}
    opened = post("/oauth/launch", form, **ehr.bearer).tree
    tree = ehr.app.tokens("doctor", "launch patient/*.rs", launch=opened["launch"])
    assert tree["fhirContext"] == entries and tree["tenant"] == "clinic-7"
    for wrong in ([{"role": "x"}], {"reference": "ImagingStudy/1"}, [["reference"]], "x"):
        answer = post("/oauth/launch", {**form, "fhirContext": json.dumps(wrong)}, **ehr.bearer)
        assert (answer.status_code, answer.tree["error"]) == (400, "invalid_request")


def test_a_person_who_is_not_known_yet_signs_in_first(world, app):
    answer = Browser().asks(app.request())
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/account/login/?next=/oauth/authorize")


def test_in_french(world, app):
    browser = Browser("alice")
    browser.http.cookies["language"] = "fr"
    text = browser.page(app.request("launch/patient patient/Observation.rs?category=laboratory offline_access"))["text"]
    assert "Autoriser" in text and "Elle peut" in text and "mesures et résultats" in text


# what is asked


WRONG = {
    "response_type token": ({"response_type": "token"}, "unsupported_response_type"),
    "no response_type": ({"response_type": None}, "invalid_request"),
    "no state": ({"state": None}, "invalid_request"),
    "no aud": ({"aud": None}, "invalid_request"),
    "A57 another aud": ({"aud": "https://other.example.org/fhir"}, "invalid_request"),
    "A57 aud longer": ({"aud": f"{BASE}/x"}, "invalid_request"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "blank challenge": ({"code_challenge": ""}, "invalid_request"),
    "short challenge": ({"code_challenge": "abc"}, "invalid_request"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "request object": ({"request": "x"}, "request_not_supported"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "A24 bad scope": ({"scope": "patient/*.sr"}, "invalid_scope"),
    "scope of a backend": ({"scope": "system/*.rs"}, "invalid_scope"),
    "a launch of nobody": ({"launch": "x", "scope": "launch patient/*.rs"}, "invalid_request"),
}


@pytest.mark.parametrize("changed, error", WRONG.values(), ids=WRONG)
def test_A57_A59_S13_what_is_wrong_yields_no_code(world, app, changed, error):
    assert Browser("alice").page(app.request())["state"]
    answer = Browser("alice").asks(app.request(**changed))
    said = told(answer)
    assert said["error"] == error and "code" not in said and said["iss"] == SITE
    assert said.get("state") == ("s t&1" if "state" not in changed else None)
    assert not Authorization.objects.exists()


@pytest.mark.parametrize(
    "redirect",
    [None, "", "https://app.example.org/callback/", "https://app.example.org/callback?x=1", "https://app.example.org/",
     "https://app.example.org/callback#f", "http://app.example.org/callback", "https://app.example.org.evil/callback",
     "https://app.example.org@evil.example/callback", "https://APP.example.org/callback", "javascript:alert(1)",
     "https://app.example.org/callback/../evil", "https://app.example.org:443/callback", "//app.example.org/callback",
     "http://127.0.0.1:80/callback"],
)  # fmt: skip
def test_A58_S11_addresses_match_exactly(world, app, redirect):
    for browser in (Browser("alice"), Browser()):
        answer = browser.asks(app.request(redirect_uri=redirect))
        assert answer.status_code == 400 and "Location" not in answer.headers


@pytest.mark.parametrize(
    "asked, fits",
    [("http://127.0.0.1:5000/cb", True), ("http://127.0.0.1/cb", True), ("http://127.0.0.1:5000/cb?x=1", False),
     ("http://127.0.0.1:5000/other", False), ("http://localhost:5000/cb", False), ("https://127.0.0.1:5000/cb", False),
     ("http://127.0.0.1:5000@evil.example/cb", False), ("http://127.0.0.1.evil.example/cb", False),
     ("http://127.0.0.1:x/cb", False), ("http://127.0.0.1:5000/cb#f", False)],
)  # fmt: skip
def test_A58_on_loopback_any_port(world, asked, fits):
    app = App(redirect="http://127.0.0.1/cb")
    app.redirect = asked
    assert Browser("alice").asks(app.request()).status_code == (200 if fits else 400)


def test_A58_unknown_and_inactive_clients(world, app):
    assert Browser("alice").asks(app.request(client_id="nobody")).status_code == 400
    assert Browser("alice").asks(app.request(client_id=None)).status_code == 400
    assert (
        Browser("alice").http.get("/oauth/authorize?" + urlencode(app.request()) + "&client_id=app").status_code == 400
    )
    Client.objects.update(active=False)
    assert Browser("alice").asks(app.request()).status_code == 400


# what is granted


def test_S15_denial(world, app):
    browser = Browser("alice")
    said = told(browser.decides(browser.page(app.request()), "deny"))
    assert said == {
        "error": "access_denied",
        "error_description": said["error_description"],
        "state": "s t&1",
        "iss": SITE,
    }
    assert not Authorization.objects.exists()


def test_S32_scopes_can_be_deselected(world, app):
    browser = Browser("alice")
    page = browser.page(app.request("launch/patient patient/Observation.rs patient/Patient.rs offline_access"))
    assert page["scopes"] == ["patient/Observation.rs", "patient/Patient.rs", "offline_access"]
    answer = told(browser.decides(page, scopes=["patient/Patient.rs"]))
    tree = app.exchange(answer["code"]).tree
    assert tree["scope"] == "launch/patient patient/Patient.rs" and "refresh_token" not in tree
    assert Api(token=tree["access_token"]).get("Observation").status_code == 403
    assert told(browser.decides(page, scopes=[]))["error"] == "access_denied"


def test_A68_what_was_shown_is_what_is_granted(world, app):
    browser = Browser("alice")
    page = browser.page(app.request("launch/patient patient/Patient.rs"))
    answer = told(browser.decides(page, scopes=["patient/Patient.rs", "patient/*.cruds", "user/*.cruds"]))
    assert app.exchange(answer["code"]).tree["scope"] == "launch/patient patient/Patient.rs"
    forged = page["state"][:-3] + "abc"
    assert browser.decides(page | {"state": forged}).status_code == 400
    assert Browser("bob").decides(page).status_code == 400  # the page of somebody else
    assert Browser().decides(page).status_code == 400
    strict = Browser("alice", strict=True)
    assert strict.http.post("/oauth/decide", {"state": page["state"], "decision": "allow"}).status_code == 403
    headers = page["answer"].headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"] and headers["X-Frame-Options"] == "DENY"
    assert "form-action 'self' https://app.example.org" in headers["Content-Security-Policy"]


def test_A68_a_registration_that_shrank_meanwhile(world, app):
    browser = Browser("alice")
    page = browser.page(app.request())
    Client.objects.filter(name="app").update(scopes="launch/patient patient/Patient.rs")
    assert told(browser.decides(page))["error"] == "invalid_scope"


def test_S23_exactly_one_patient_and_a_picker(world, app):
    assert Browser("alice").page(app.request())["patients"] == [world.a]
    assert Browser("paul").page(app.request())["patients"] == [world.a]  # whom he represents
    assert told(Browser("stranger").asks(app.request()))["error"] == "access_denied"
    world.consents(to="Practitioner/dr-doctor")
    assert Browser("doctor").page(app.request())["patients"] == [world.a]
    world.consents(to="Practitioner/dr-doctor", patient=world.b, by=world.other)
    doctor = Browser("doctor")
    assert set(doctor.page(app.request())["patients"]) == {world.a, world.b}
    assert doctor.page(app.request(name="Blanc"))["patients"] == [world.b]
    assert app.tokens("doctor", patient=world.b)["patient"] == world.b


def test_A69_a_patient_that_the_person_may_not_pick(world, app):
    browser = Browser("alice")
    page = browser.page(app.request())
    for patient in (world.b, "absent", "x" * 100, "../Patient"):
        assert told(browser.decides(page, patient=patient))["error"] == "access_denied"
    assert told(browser.decides(page | {"patients": []}))["error"] == "access_denied"
    assert not Authorization.objects.exists()


def test_the_picker_leaves_audit_records(world, app):
    before = AuditRecord.objects.count()
    Browser("alice").page(app.request())
    record = AuditRecord.objects.order_by("-seq").first()
    assert AuditRecord.objects.count() == before + 1
    assert (record.client, record.user, record.type) == ("app", "alice", type_number("Patient"))


def test_S22_the_ceiling_of_a_person(world, app):
    """An application has no more than the person who uses it."""
    tree = app.tokens("doctor", "user/*.cruds")
    api = Api(token=tree["access_token"])
    assert api.get(f"Patient/{world.a}").status_code == 404
    world.consents(to="Practitioner/dr-doctor")
    assert api.get(f"Patient/{world.a}").status_code == 200


def test_S22_a_login_of_nobody_lends_no_rights(world, app):
    """Of a login that nobody is an application would be a system client: it gets no code, and keeps no token."""
    get_user_model().objects.create(username="root", is_staff=True, is_superuser=True)
    for scope in ("user/*.cruds", PATIENT):
        said = told(Browser("root").asks(app.request(scope)))
        assert said["error"] == "access_denied" and "code" not in said
    tree = app.tokens("doctor", "offline_access user/*.cruds")
    api, browser = Api(token=tree["access_token"]), Browser("doctor")
    page, code = browser.page(app.request("user/*.cruds")), browser.allows(app.request("user/*.cruds"))["code"]
    assert api.get("Patient").status_code == 200
    Person.objects.filter(user__username="doctor").delete()
    assert api.get(f"Patient/{world.a}").status_code == 401
    assert app.refresh(tree["refresh_token"]).tree["error"] == app.exchange(code).tree["error"] == "invalid_grant"
    assert told(browser.decides(page))["error"] == "access_denied"
    asked = {"token": tree["access_token"]}
    other = app.tokens("alice", PATIENT)["access_token"]
    assert post("/oauth/introspect", asked, authorization=f"Bearer {other}").tree == {"active": False}


def test_S21_version_1_is_answered_with_version_1(world, app):
    assert app.tokens("alice", "launch/patient patient/*.read")["scope"] == "launch/patient patient/*.read"


# codes


def test_A60_S16_a_code_counts_once_and_its_replay_ends_the_family(world, app):
    code = Browser("alice").allows(app.request(f"offline_access {PATIENT}"))["code"]
    tree = app.exchange(code).tree
    api = Api(token=tree["access_token"])
    assert api.get(f"Patient/{world.a}").status_code == 200
    again = app.exchange(code)
    assert (again.status_code, again.tree["error"]) == (400, "invalid_grant")
    assert api.get(f"Patient/{world.a}").status_code == 401
    assert app.refresh(tree["refresh_token"]).tree["error"] == "invalid_grant"


def test_A60_a_code_used_ten_times_at_once(world, app):
    code, started = Browser("alice").allows(app.request())["code"], threading.Barrier(10)

    def exchange(_):
        started.wait(10)
        try:
            return app.exchange(code).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(exchange, range(10))) == [200] + [400] * 9
    assert not Token.objects.filter(authorization__isnull=False, revoked=None).exists()


def test_A59_A60_S16_a_code_is_bound(world, app):
    other = App("other")

    def code():
        return Browser("alice").allows(app.request())["code"]

    wrong = {
        "no verifier": {"code_verifier": None}, "another verifier": {"code_verifier": "x" * 50},
        "the challenge": {"code_verifier": challenge(app.verifier)}, "another redirect": {"redirect_uri": BASE},
        "no redirect": {"redirect_uri": None}, "another client": {"client_id": "other"},
        "no client": {"client_id": None},
        "an unknown client": {"client_id": "nobody"}, "no code": {"code": None}, "another code": {"code": "x"},
    }  # fmt: skip
    for name, changed in wrong.items():
        answer = app.exchange(code(), **changed)
        assert answer.status_code in (400, 401) and "access_token" not in answer.tree, name
        assert answer.tree["error"] in ("invalid_grant", "invalid_request", "invalid_client"), (name, answer.tree)
    late = code()
    Authorization.objects.update(expires=timezone.now())
    assert app.exchange(late).tree["error"] == "invalid_grant"
    assert other.exchange(code()).tree["error"] == "invalid_grant"
    assert not Token.objects.filter(authorization__isnull=False).exists()


def test_S16_a_code_lives_a_minute(world, app):
    Browser("alice").allows(app.request())
    row = Authorization.objects.get()
    assert 0 < (row.expires - timezone.now()).total_seconds() <= 60
    assert families.digest("x") != bytes(row.code)


def test_S17_a_confidential_application_proves_itself(world):
    app = App("clinic", jwks=public(EC))
    keys = Backend.__new__(Backend)
    keys.name, keys.key, keys.alg = "clinic", EC, "ES384"
    code = Browser("alice").allows(app.request())["code"]
    assert app.exchange(code).tree["error"] == "invalid_client"
    proof = {k: v for k, v in keys.form().items() if k.startswith("client_assertion")}
    assert app.exchange(code, **proof).status_code == 200
    answer = post("/oauth/token", keys.form("user/*.rs"))
    assert answer.tree["error"] == "unauthorized_client"  # no tokens without a person


# refresh tokens


def test_A61_S20_rotation_and_reuse(world, app):
    first = app.tokens("alice", f"offline_access {PATIENT}")
    second = app.refresh(first["refresh_token"])
    assert second.status_code == 200 and second.tree["refresh_token"] != first["refresh_token"]
    assert second.tree["patient"] == world.a and second.tree["scope"] == first["scope"]
    apis = [Api(token=t["access_token"]) for t in (first, second.tree)]
    assert [api.get(f"Patient/{world.a}").status_code for api in apis] == [200, 200]
    again = app.refresh(first["refresh_token"])
    assert (again.status_code, again.tree["error"]) == (400, "invalid_grant")
    assert [api.get(f"Patient/{world.a}").status_code for api in apis] == [401, 401]
    assert app.refresh(second.tree["refresh_token"]).tree["error"] == "invalid_grant"


def test_A61_S20_a_refresh_token_is_bound(world, app):
    App("other")
    token = app.tokens("alice", "offline_access launch/patient patient/Patient.rs")["refresh_token"]
    assert app.refresh(token, client_id="other").tree["error"] == "invalid_grant"
    for scope in ("patient/*.rs", "patient/Patient.cruds", "user/Patient.rs", "patient/Patient.sr"):
        assert app.refresh(token, scope=scope).tree["error"] == "invalid_scope"
    narrow = app.refresh(token, scope="patient/Patient.r").tree
    assert narrow["scope"] == "patient/Patient.r"
    assert Api(token=narrow["access_token"]).get("Patient").status_code == 403
    assert app.refresh(narrow["refresh_token"]).tree["scope"] == "offline_access launch/patient patient/Patient.rs"


def test_S17_a_public_client_may_leave_out_its_name_at_a_refresh(world, app):
    """RFC 6749 6; a client with keys proves itself."""
    token = app.tokens("alice", f"offline_access {PATIENT}")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    fresh = post("/oauth/token", form)
    assert fresh.status_code == 200
    assert post("/oauth/token", form).tree["error"] == "invalid_grant"
    assert post("/oauth/token", {**form, "refresh_token": "x"}).tree["error"] == "invalid_client"
    Client.objects.filter(name="app").update(jwks=public(EC))
    form["refresh_token"] = fresh.tree["refresh_token"]
    assert post("/oauth/token", form).tree["error"] == "invalid_client"


def test_A61_ten_refreshes_at_once(world, app):
    token, started = app.tokens("alice", f"offline_access {PATIENT}")["refresh_token"], threading.Barrier(10)

    def refresh(_):
        started.wait(10)
        try:
            return app.refresh(token).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(refresh, range(10))) == [200] + [400] * 9


def test_S20_S32_offline_lasts_and_online_ends_with_the_session(world, app):
    browser = Browser("alice")
    offline, online = (
        app.exchange(browser.allows(app.request(f"{kind} {PATIENT}"))["code"]).tree
        for kind in ("offline_access", "online_access")
    )
    assert RefreshToken.objects.filter(expires__gt=timezone.now() + timedelta(days=90)).count() == 1
    online = app.refresh(online["refresh_token"]).tree
    assert online["access_token"]
    browser.http.logout()
    assert app.refresh(online["refresh_token"]).tree["error"] == "invalid_grant"
    assert Api(token=online["access_token"]).get("Patient").status_code == 401
    assert app.refresh(offline["refresh_token"]).status_code == 200


def test_A63_a_person_who_is_no_longer_active(world, app):
    tree = app.tokens("alice", f"offline_access {PATIENT}")
    user = Authorization.objects.get().user
    user.is_active = False
    user.save()
    assert Api(token=tree["access_token"]).get("Patient").status_code == 401
    assert app.refresh(tree["refresh_token"]).tree["error"] == "invalid_grant"


def test_S32_revocation_ends_the_family_at_once(world, app):
    tree = app.tokens("alice", f"offline_access {PATIENT}")
    assert post("/oauth/revoke", {"token": tree["refresh_token"], "client_id": "app"}).status_code == 200
    assert Api(token=tree["access_token"]).get("Patient").status_code == 401
    assert app.refresh(tree["refresh_token"]).tree["error"] == "invalid_grant"


def test_S32_a_person_disconnects_an_application(world, app):
    tree = app.tokens("alice", f"offline_access {PATIENT}")
    other = app.tokens("paul", f"offline_access {PATIENT}")
    browser = Browser("alice")
    page = browser.http.get("/account/applications/").content.decode()
    links = re.findall(r'action="(/account/applications/\d+)"', page)
    assert len(links) == 1 and "all of the record" in page
    foreign = Authorization.objects.get(user__username="paul").pk
    assert browser.http.post(f"/account/applications/{foreign}").status_code == 404
    assert Browser("alice", strict=True).http.post(links[0]).status_code == 403
    assert browser.http.post(links[0]).status_code == 302
    assert Api(token=tree["access_token"]).get("Patient").status_code == 401
    assert app.refresh(tree["refresh_token"]).tree["error"] == "invalid_grant"
    assert "/account/applications/" not in browser.http.get("/account/applications/").content.decode().split("<main")[1]
    assert Api(token=other["access_token"]).get("Patient").status_code == 200
    assert Http().get("/account/applications/").status_code == 302


def test_what_is_over_is_forgotten_after_a_week(world, app):
    first = app.tokens("alice", f"offline_access {PATIENT}")
    app.refresh(first["refresh_token"])
    Browser("paul").allows(app.request())
    Token.objects.update(expires=timezone.now() - timedelta(days=8))
    Authorization.objects.update(expires=timezone.now() - timedelta(days=8))
    assert families.purge() is False
    assert not Token.objects.exists() and RefreshToken.objects.count() == 2
    assert [each.user.username for each in Authorization.objects.all()] == ["alice"]
    assert app.refresh(first["refresh_token"]).tree["error"] == "invalid_grant"  # its reuse is still seen
    assert Authorization.objects.get().revoked
    RefreshToken.objects.update(expires=timezone.now() - timedelta(days=8))
    families.purge()
    assert not RefreshToken.objects.exists() and not Authorization.objects.exists()


def test_S31_introspection_tells_the_launch(world, app):
    tree = app.tokens("alice", f"openid fhirUser offline_access {PATIENT}")
    bearer = {"authorization": f"Bearer {tree['access_token']}"}
    said = post("/oauth/introspect", {"token": tree["access_token"]}, **bearer).tree
    assert said["active"] and said["patient"] == world.a and said["scope"] == tree["scope"]
    assert said["sub"] == claims(tree["id_token"])["sub"] and said["fhirUser"] == f"{BASE}/Patient/{world.a}"
    said = post("/oauth/introspect", {"token": tree["refresh_token"]}, **bearer).tree
    assert said["active"] and said["client_id"] == "app"
    app.refresh(tree["refresh_token"])
    assert post("/oauth/introspect", {"token": tree["refresh_token"]}, **bearer).tree == {"active": False}


# EHR launch


@pytest.fixture
def ehr(world):
    """The doctor's EHR opens applications."""
    world.consents(to="Practitioner/dr-doctor")
    world.app = App(launch_url="https://app.example.org/launch")
    App("ehr", "user/*.rs")
    world.bearer = {"authorization": f"Bearer {Api('user/*.rs', name='ehr', user='doctor').token}"}
    return world


def test_S14_S25_an_ehr_launch(ehr):
    encounter = ehr.made({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
                          "subject": {"reference": f"Patient/{ehr.a}"}})  # fmt: skip
    form = {"client_id": "app", "patient": ehr.a, "encounter": encounter, "intent": "review",
            "need_patient_banner": "false", "fhirContext": '[{"reference": "ImagingStudy/1"}]'}  # fmt: skip
    opened = post("/oauth/launch", form, **ehr.bearer)
    assert opened.status_code == 200, opened.content
    assert opened.tree["url"].startswith("https://app.example.org/launch?iss=")
    tree = ehr.app.tokens("doctor", "launch patient/*.rs", launch=opened.tree["launch"])
    assert tree["patient"] == ehr.a and tree["encounter"] == encounter and tree["intent"] == "review"
    assert tree["need_patient_banner"] is False and tree["fhirContext"] == [{"reference": "ImagingStudy/1"}]
    assert Api(token=tree["access_token"]).get(f"Patient/{ehr.a}").status_code == 200


def test_A69_S14_a_launch_is_of_one_person_one_application_and_once(ehr):
    other = App("other", launch_url="https://app.example.org/launch2")

    def handle():
        return post("/oauth/launch", {"client_id": "app", "patient": ehr.a}, **ehr.bearer).tree["launch"]

    def refused(answer):
        assert told(answer)["error"] == "invalid_request"

    request = ehr.app.request("launch patient/*.rs", launch=handle())
    refused(Browser("alice").asks(request))
    refused(Browser("doctor").asks(other.request("launch patient/*.rs", launch=handle())))
    browser = Browser("doctor")
    page = browser.page(request)
    assert "code" in told(browser.decides(page))
    refused(browser.decides(page))
    refused(browser.asks(request))


def test_A69_what_an_ehr_may_open(ehr):
    for form in ({"client_id": "app", "patient": ehr.b}, {"client_id": "nobody", "patient": ehr.a}, {"patient": ehr.a},
                 {"client_id": "app", "patient": ehr.a, "encounter": "absent"},
                 {"client_id": "app", "patient": ehr.a, "fhirContext": "[7]"},
                 {"client_id": "app", "patient": ehr.a, "fhirContext": "x"}):  # fmt: skip
        assert post("/oauth/launch", form, **ehr.bearer).status_code == 400
    machine = {"authorization": f"Bearer {Api().token}"}
    for bearer in ({}, {"authorization": "Bearer x"}, machine):
        assert post("/oauth/launch", {"client_id": "app", "patient": ehr.a}, **bearer).status_code == 401


def test_S8_what_is_advertised_is_tested_here():
    """Each capability has its test above; the set may not grow without one."""
    assert set(CAPABILITIES) == {
        "launch-ehr", "launch-standalone", "authorize-post", "client-public", "client-confidential-asymmetric",
        "sso-openid-connect", "context-banner", "context-ehr-patient", "context-ehr-encounter",
        "context-standalone-patient", "permission-offline", "permission-online", "permission-patient",
        "permission-user", "permission-v1", "permission-v2",
    }  # fmt: skip
