"""Logins, sessions and what every page tells the browser. (attack A71)"""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from tests.api import Api

from .conftest import PASSWORD, Browser, login


def test_pages_and_machines_take_different_ways(browser):
    home, fhir, health = browser.get("/"), browser.get("/fhir/metadata"), browser.get("/health")
    assert home.status_code == fhir.status_code == health.status_code == 200
    assert "csrf" not in fhir.cookies and "Content-Security-Policy" not in fhir.headers
    policy = home.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert home.headers["X-Frame-Options"] == "DENY" and home.headers["Cache-Control"] == "no-store"


def test_what_is_not_there_is_a_page_for_browsers_and_json_for_others(browser):
    page, machine = browser.get("/nothing"), Client().get("/nothing")
    assert page.status_code == machine.status_code == 404
    assert "text/html" in page.headers["Content-Type"] and machine.json()["fhir"] == "/fhir"
    assert "fhir+json" in browser.get("/fhir/nothing").headers["Content-Type"]


def test_a_static_file_is_kept_under_the_hash_of_its_content(browser):
    path = browser.get("/").content.decode().split('rel="stylesheet" href="')[1].split('"')[0]
    found = browser.get(path)
    assert found.status_code == 200 and "immutable" in found.headers["Cache-Control"]
    stem, hash, suffix = path.rsplit(".", 2)
    for other in (f"{stem}.{'0' * 12}.{suffix}", f"/static/../settings.{hash}.py", f"/static/..%2f..%2fwsgi.{hash}.py"):
        assert browser.get(other).status_code == 404


@pytest.mark.parametrize("language, word", [("fr", "Bienvenue"), ("en", "Welcome")])
def test_language_by_the_browser_and_by_choice(browser, language, word):
    assert word in browser.get("/", headers={"accept-language": language}).content.decode()
    browser.submit("/preferences", {"language": language, "next": "/"})
    assert word in browser.get("/", headers={"accept-language": "de"}).content.decode()
    assert browser.submit("/preferences", {"theme": "dark", "next": "https://evil.example/"}).headers["Location"] == "/"
    assert 'data-theme="dark"' in browser.get("/").content.decode()


def test_sign_in_and_out(browser):
    login("alice", "patient", patient="a")
    before = browser.get("/account/login/").cookies
    answer = browser.sign_in("alice")
    assert answer.status_code == 302 and answer.headers["Location"] == "/"
    cookie = answer.cookies["session"]
    assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax" and not cookie["expires"]
    assert "session" not in before or before["session"].value != cookie.value
    assert "/me/" in browser.get("/").content.decode()
    browser.submit("/account/logout/")
    assert "/me/" not in browser.get("/").content.decode()


def test_signing_in_gives_a_new_session_and_ends_the_one_before(browser):
    login("alice", "patient", patient="a")
    planted = SessionStore()
    planted["language"] = "fr"
    planted.create()
    browser.cookies["session"] = planted.session_key  # as an attacker would see to
    assert browser.get("/").cookies["session"].value == planted.session_key, "a session that the server knows"
    fresh = browser.sign_in("alice").cookies["session"].value
    assert fresh != planted.session_key and "/me/" in browser.get("/").content.decode()
    assert not SessionStore().exists(planted.session_key)
    attacker = Browser()
    attacker.cookies["session"] = planted.session_key
    assert "/me/" not in attacker.get("/").content.decode()
    browser.submit("/account/logout/")
    attacker.cookies["session"] = fresh
    assert "/me/" not in attacker.get("/").content.decode() and not SessionStore().exists(fresh)


def test_the_session_between_password_and_second_factor_is_none_after(browser):
    user = login("agnes", "staff")
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    before = browser.sign_in("agnes").cookies["session"].value
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    page = "/account/security/authenticate/"
    after = browser.submit(page, {"code": code}, page=page).cookies["session"].value
    assert before != after and not SessionStore().exists(before)


def test_forms_without_the_token_of_a_page_are_refused(browser):
    login("alice")
    for path in ("/account/login/", "/account/logout/", "/preferences"):
        assert Browser().post(path, {"login": "alice", "password": PASSWORD}).status_code == 403


def test_failures_lock_the_login_for_that_address_alone_whether_it_exists_or_not(browser):
    login("alice")
    told = {}
    for name in ("alice", "nobody"):
        answers = [browser.sign_in(name, "wrong") for _ in range(5)]
        told[name] = [a.status_code for a in answers]
        locked = browser.sign_in(name)
        told[name].append((locked.status_code, len(locked.content)))
    assert told["alice"] == told["nobody"]
    assert told["alice"][-1][0] == 429
    assert Browser(REMOTE_ADDR="192.0.2.7").sign_in("alice").status_code == 302


def test_a_token_is_no_login_and_a_login_is_no_token(browser):
    login("alice", "patient", patient="a")
    token = Api("user/*.cruds", user="alice").token
    assert "/me/" not in browser.get("/", headers={"authorization": f"Bearer {token}"}).content.decode()
    browser.sign_in("alice")
    assert browser.get("/fhir/Patient").status_code == 401


@pytest.mark.parametrize("kind", ["staff", "professional"])
def test_staff_and_professionals_go_nowhere_without_a_second_factor(browser, kind):
    login("agnes", kind, profession="10" if kind == "professional" else None)
    browser.sign_in("agnes")
    for path in ("/", "/admin/", "/care/"):
        assert browser.get(path).headers["Location"] == "/account/security/"


def test_demo_logins_are_excepted_but_not_in_production(browser, settings):
    Group.objects.create(name="demo").user_set.add(login("dpo", "staff"))
    browser.sign_in("dpo")
    assert browser.get("/").status_code == 200
    settings.FHIRSERVER_ENVIRONMENT = "production"
    assert browser.get("/").status_code == 302


def test_a_second_factor_is_asked_for_and_its_secret_is_kept_encrypted(browser):
    user = login("agnes", "staff")
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    kept = Authenticator.objects.get(user=user, type="totp").data["secret"]
    assert secret not in kept
    answer = browser.sign_in("agnes")
    assert answer.headers["Location"] == "/account/security/authenticate/"
    assert browser.get("/admin/").status_code != 200, "the password alone opens nothing"
    wrong = browser.submit(
        "/account/security/authenticate/", {"code": "000000"}, page="/account/security/authenticate/"
    )
    assert wrong.status_code == 200
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    assert browser.submit("/account/security/authenticate/", {"code": code}).status_code == 302
    assert browser.get("/").status_code == 200
    again = Browser()
    again.sign_in("agnes")
    again.submit("/account/security/authenticate/", {"code": code}, page="/account/security/authenticate/")
    assert again.get("/").content.decode().count("/admin/") == 0, "a code is good for once"


def test_behind_a_trusted_proxy_the_client_is_who_it_says(browser, settings):
    from fhirserver import requests

    requests.trusted.cache_clear()
    settings.FHIRSERVER_TRUSTED_PROXIES = ["127.0.0.1"]
    settings.ALLOWED_HOSTS = ["records.example"]
    login("alice")
    try:
        headers = {"x-forwarded-proto": "https", "x-forwarded-host": "records.example",
                   "x-forwarded-for": "198.51.100.4, 127.0.0.1"}  # fmt: skip
        browser.get("/account/login/", headers=headers)
        fields = {"login": "alice", "password": PASSWORD}
        headers |= {"origin": "https://records.example", "referer": "https://records.example/account/login/"}
        answer = browser.submit("/account/login/", fields, headers=headers)
        assert answer.status_code == 302 and "Strict-Transport-Security" in answer.headers
        headers["origin"] = "https://evil.example"
        assert browser.submit("/account/logout/", headers=headers).status_code == 403
    finally:
        requests.trusted.cache_clear()


def test_the_first_page_leads_each_to_the_own_space(browser):
    kinds = {"none": None, "ann": "patient", "doc": "professional", "boss": "staff"}
    told, excepted = {}, Group.objects.get_or_create(name="demo")[0]  # from second factors
    for name, kind in kinds.items():
        login(name, kind).groups.add(excepted)
        own = Browser()
        own.sign_in(name)
        page = own.get("/").content.decode()
        told[name] = [space for space in ("/me/", "/care/", "/admin/") if f'class="card" href="{space}"' in page]
        assert ("No person stands behind this login yet" in page) == (kind is None)
        assert ('class="card" href="/developers/"' in page) == (kind == "staff")
    assert told == {"none": [], "ann": ["/me/"], "doc": ["/care/"], "boss": ["/admin/"]}
    assert 'class="card" href="/developers/"' in browser.get("/").content.decode(), "for who is not signed in"
