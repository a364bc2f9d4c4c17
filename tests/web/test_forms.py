"""Every form of every page, each field in turn filled with what nobody would: no answer is a fault of the server."""

from html.parser import HTMLParser
from itertools import cycle
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.auth import get_user_model

from .routes import address, routes
from .world import ROLES, Clinic, signed_in, staffed

PEOPLE = ("alice", "doctor", "stranger", *ROLES)
HOSTILE = ["", "x", "\0", "²", "٣", "-1", "9" * 30, "é\u200b", "2020-13-45", "9999-12-31T23:59:60+99:00", "<b>'\"%\\",
           "a" * 5000, "Patient/", "Patient/x", "http://[::1", "name=x&_sort=y", "[1,2]", "{", "/../.."]  # fmt: skip
LEAVES = ("logout", "sandbox")  # what ends the session, or the test's data


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


class Forms(HTMLParser):
    """The forms of a page: (method, action, fields with what stands in them)."""

    def __init__(self, page):
        super().__init__()
        self.forms, self.select = [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given.get("method", "get").lower(), given.get("action", ""), {}))
        elif self.forms and tag in ("input", "textarea", "select", "button") and given.get("name"):
            self.forms[-1][2].setdefault(given["name"], given.get("value", ""))
            self.select = given["name"] if tag == "select" else None
        elif self.select and tag == "option" and ("selected" in given or not self.forms[-1][2][self.select]):
            self.forms[-1][2][self.select] = given.get("value", "")


def forms(clinic):
    """(login, page, method, address, fields) of each form that somebody is shown, once."""
    seen = set()
    for name in PEOPLE:
        if not get_user_model().objects.filter(username=name).exists():
            continue
        browser = signed_in(name)
        for route in routes():
            if route.path.startswith("^"):
                continue
            page = address(route, clinic, pk=0)
            answer = browser.get(page)
            if answer.status_code != 200 or "html" not in answer.headers.get("Content-Type", ""):
                continue
            for method, action, fields in Forms(answer.content.decode()).forms:
                to = urlsplit(urljoin(page, action)).path
                key = (to, method, frozenset(fields))
                if key not in seen and not any(word in to for word in LEAVES):
                    seen.add(key)
                    yield name, browser, method, to, {k: v for k, v in fields.items() if k != "csrfmiddlewaretoken"}


@pytest.mark.parametrize("values", [2, pytest.param(len(HOSTILE), marks=pytest.mark.long)])
def test_no_form_is_a_fault_of_the_server(clinic, values):
    hostile, told, sent = cycle(HOSTILE), [], 0
    for name, browser, method, to, fields in list(forms(clinic)):
        browser.raise_request_exception = False
        for field in fields:
            for _ in range(values):
                given = fields | {field: next(hostile)}
                answer = browser.get(to, given) if method == "get" else browser.submit(to, given)
                sent += 1
                if answer.status_code >= 500:
                    told.append((answer.status_code, name, method, to, field, given[field][:40]))
            rest = {k: v for k, v in fields.items() if k != field}
            answer = browser.get(to, rest) if method == "get" else browser.submit(to, rest)
            if answer.status_code >= 500:
                told.append((answer.status_code, name, method, to, field, None))
    assert sent >= 80 * values
    assert told == []
