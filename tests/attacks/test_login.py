"""Attacks on the login of people. (A71; more in tests/web)"""

import re

import pytest

from tests.web.conftest import Browser, browser, login

__all__ = ["browser"]


def shape(answer, name):
    """What an answer says, without the name that was typed and what is new on each page."""
    text = re.sub(r'value="[A-Za-z0-9]{64}"|nonce-[\w+/=-]+|nonce="[^"]*"', "", answer.content.decode())
    return answer.status_code, text.replace(name, "NAME")


def test_A71_who_exists_is_not_told(browser):
    """A wrong password and an unknown name get one answer."""
    login("someone", "patient", patient="a")
    told = [shape(Browser(REMOTE_ADDR=f"192.0.2.{n}").sign_in(name, "wrong"), name)
            for n, name in enumerate(("someone", "nobodyy"))]  # fmt: skip
    assert told[0] == told[1] and told[0][0] == 200


def test_A71_guessing_ends(browser):
    """Neither one name with many passwords, nor with the right one at last."""
    login("alice", "patient", patient="a")
    statuses = [browser.sign_in("alice", f"guess {n}").status_code for n in range(8)]
    assert statuses[-1] == 429 and browser.sign_in("alice").status_code == 429
    assert "session" not in browser.cookies or "/me/" not in browser.get("/").content.decode()


def test_A71_a_session_is_a_new_one_after_the_login(browser):
    login("alice", "patient", patient="a")
    browser.cookies["session"] = planted = "x" * 32
    assert browser.sign_in("alice").cookies["session"].value != planted


@pytest.mark.parametrize("path", ["/admin/", "/care/", "/", "/account/password/change/"])
def test_A71_no_page_leads_around_the_second_factor(browser, path):
    login("agnes", "professional", profession="10")
    browser.sign_in("agnes")
    answer = browser.get(path)
    assert answer.status_code in (302, 403, 404)
    assert answer.status_code != 302 or answer.headers["Location"].startswith("/account/")


def test_A71_a_session_is_no_token(browser):
    """What a page's cookie opens is not the record's interface: no other site's form can use it."""
    login("alice", "patient", patient="a")
    browser.sign_in("alice")
    for path in ("/fhir/Patient", "/fhir/Patient/a", "/fhir/_history"):
        assert browser.get(path).status_code == 401
        assert browser.post(path, "{}", content_type="application/fhir+json").status_code in (401, 404, 405)
