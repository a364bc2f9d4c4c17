"""Attacks on pages, over the URL table itself: a page that is added is attacked, too. (A01, A55, A56, A71)"""

import pytest
from django.contrib.auth import get_user_model
from django.urls import resolve

from accessctl.models import AuditRecord, Client
from accessctl.people import Block, Dossier, Person, Proxy
from accessctl.rights import Doubt, Opening, Review, StaffRole

from .conftest import Browser
from .routes import address, routes, spaces
from .world import EVIL, ROLES, Clinic, signed_in, staffed

OF = {"care": ("professional",), "me": ("patient",), "admin": ("staff",),
      "developers": ("patient", "professional", "staff")}  # fmt: skip
READS = {"me": ("alice", "paul"), "care": ("doctor",)}  # the people who may open Alice's record, in each space
OPEN = {  # what is no page of a space, and why
    "", "preferences",  # the first page
    "oauth/authorize", "oauth/decide", "account/external/", "account/external/callback",  # sign-ins of applications
    "account/applications/", "account/applications/<int:pk>",  # tests/oauth/test_connected.py
}  # fmt: skip
SILENT = ("care/<rid:id>/end/",)  # ends what is open, and says the same of any record
EXEMPT = ("oauth/authorize", "account/external/", "account/external/callback")  # what they do waits for another form
ALL = ("operations", "data-protection", "identity", "support")
PAGES = {  # of the administration; a page that is not here fails
    "": ALL, "resources/": ALL, "resources/<rtype:type>/<rid:rid>/": ALL, "audit/": ("data-protection",),
    "audit/verify": ("data-protection",), "why/": ("data-protection",), "reviews/": ("data-protection",),
    "doubts/": ("data-protection",), "people/": ("identity", "support"), "people/<int:id>/": ("identity", "support"),
    "people/new/": ("identity",), "people/<int:id>/person": ("identity",), "people/<int:id>/membership": ("identity",),
    "rights/": ("data-protection", "identity"), "rights/<rid:id>/grant": ("data-protection",),
    "rights/<rid:id>/grant/end": ("data-protection",), "rights/<rid:id>/<slug:kind>/name": ("identity",),
    "rights/<rid:id>/<slug:kind>/end": ("identity",),
    "clients/new/": ("operations",), "clients/<int:id>/": ("operations", "data-protection"),
    "clients/<int:id>/edit/": ("operations",), "clients/<int:id>/switch": ("operations", "data-protection"),
    "clients/<int:id>/revoke": ("operations", "data-protection"), "clients/<int:id>/launch": ("operations",),
    "matrix/": ("data-protection", "operations"), "clients/": ("operations", "data-protection"),
    "matrix/export": ("data-protection", "operations"), "matrix/new/": ("data-protection",),
    "parameters/": ("operations",), "parameters/new/": ("operations",), "parameters/<rid:rid>/retire": ("operations",),
    "jobs/": ("operations",), "settings/": ("operations",),
}  # fmt: skip


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


def rows():
    """What no refused request may change."""
    tables = (Block, Dossier, Proxy, StaffRole, Client, Doubt, Review)
    return [(table.objects.count(), list(table.objects.order_by("pk").values_list())) for table in tables]


def test_every_page_belongs_to_a_space_or_is_open_on_purpose():
    ours = [r for r in routes() if not r.path.startswith(("developers/", "account/", "^"))]
    assert {r.path for r in ours if r.kinds is None} == {p for p in OPEN if not p.startswith("account/")}
    assert all(r.kinds == OF[r.space] for r in spaces())
    assert {r.path.removeprefix("admin/"): r.roles or ALL for r in spaces() if r.space == "admin"} == PAGES


def test_nobody_opens_a_page_of_others_by_its_address_or_posts_to_it(clinic):
    kept = rows()
    for login in (None, "bob", "stranger", "officer", "helper", "runner", "registrar", "clerk"):
        kind = login and Person.objects.get(user__username=login).kind
        refused = [route for route in spaces() if not may_open(route, login, kind)]
        browser = signed_in(login) if login else Browser()
        assert len(refused) > 10
        for route in refused:
            attacked(browser, login, kind, route, address(route, clinic))
    assert rows() == kept


def may_open(route, login, kind):
    if kind not in route.kinds:
        return False
    if route.roles is not None:
        return bool(ROLES[login] & set(route.roles or ALL))
    return "<rid:id>" not in route.path or login in READS[route.space]


def attacked(browser, login, kind, route, path):
    """The page is refused, or as if it were not there, asked for and posted to with a token of the own session."""
    answers = [browser.get(path)]
    if route.space == "admin" or kind in route.kinds:  # else the kind of person is refused before anything else
        answers.append(browser.submit(path, {"do": "role", "role": "operations", "id": "1"}))
    for answer in answers:
        if route.path in SILENT and kind in route.kinds and answer.status_code == 302:
            continue
        to_login = answer.status_code == 302 and answer.headers["Location"].startswith("/account/login/")
        assert answer.status_code in (403, 404, 405) or (login is None and to_login), (login, path, answer.status_code)
        assert "Haemoglobin" not in answer.content.decode()


def test_no_form_from_elsewhere_is_taken(clinic):
    kept, seen = rows(), 0
    browsers = {"me": signed_in("alice"), "care": signed_in("doctor"), "admin": signed_in("boss")}
    for route in routes():
        if route.path.startswith("^") or route.path in EXEMPT or route.path.startswith("account/security/"):
            continue
        browser = browsers.get(route.space, browsers["me"])
        path = address(route, clinic, pk=1)
        answer = browser.post(path, {"hide": "yes", "practitioner": clinic.practitioner, "do": "switch"})
        assert answer.status_code == 403, path
        seen += 1
    assert seen > 50 and rows() == kept


def opened(clinic):
    """(login, address, answer) of each page of a space that opens, by who may."""
    for route in spaces():
        for login in {"admin": ("boss", "officer"), "care": ("doctor",)}.get(route.space, ("alice",)):
            path = address(route, clinic)
            answer = signed_in(login).get(path)
            if answer.status_code == 200:
                yield login, path, answer


def poisoned(clinic):
    """Markup in everything that somebody else can write."""
    get_user_model().objects.filter(username__in=("doctor", "stranger", "boss")).update(last_name=EVIL)
    name = [{"family": EVIL, "given": [EVIL]}]
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><b>bold</b></div>'}
    for type, id, tree in (
        ("Patient", clinic.a, {"name": name, "birthDate": "1980-01-01", "text": narrative}),
        ("Practitioner", clinic.practitioner, {"name": name, "qualification": [{"code": {"text": EVIL}}]}),
    ):
        answer = clinic.system.put(f"{type}/{id}", {"resourceType": type, "id": id, **tree})
        assert answer.status_code == 200, answer.content
    clinic.observation(
        code={"coding": [{"system": "http://loinc.org", "code": "718-7", "display": EVIL}]}, valueString=EVIL,
        category=[{"coding": [{"code": "laboratory"}]}], effectiveDateTime="2025-03-01",
        note=[{"text": EVIL}], referenceRange=[{"text": EVIL}],
    )  # fmt: skip
    opening = Opening.objects.create(patient=clinic.key, person=Person.objects.get(user__username="stranger"),
                                     mode="bris-de-glace", purpose="BTG", reason=EVIL)  # fmt: skip
    Review.objects.create(opening=opening)
    Doubt.objects.create(patient=clinic.key, event=1, text=EVIL)
    Client.objects.filter(name="app").update(
        title=EVIL,
        scopes="patient/*.rs",
        redirects=["https://x.example/" + EVIL],
        launch_url="https://x.example/launch",
    )


def test_what_others_wrote_is_markup_on_no_page_and_no_page_may_be_framed_or_kept(clinic):
    poisoned(clinic)
    told = 0
    for login, path, answer in opened(clinic):
        body = answer.content.decode(errors="replace")
        if answer.headers["Content-Type"].startswith("text/html"):
            assert EVIL not in body and "<img src=x" not in body and "<script>" not in body, (login, path)
            told += "&lt;img src=x" in body
            for form in body.split("<form ")[1:]:
                tag = form.split(">")[0]
                if 'method="post"' in tag:
                    assert "csrfmiddlewaretoken" in form.split("</form>")[0], (path, tag)
                    assert 'action="' not in tag or 'action="/' in tag, (path, tag)
        else:
            assert "attachment" in answer.headers["Content-Disposition"], path
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy or "sandbox" in policy, path
        assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store" and "unsafe" not in policy, path
    assert told > 10, "the markup is told as text where it stands"


def test_ids_of_other_records_below_ones_own_are_not_found(clinic):
    """Every id in an address is judged, not only the record's."""
    bobs = {"rid": clinic.foreign, "type": "Observation", "event": "1"}
    theirs = AuditRecord.objects.exclude(patient=clinic.key).order_by("-seq").values_list("seq", flat=True).first()
    alice, kept = signed_in("alice"), rows()
    for route in spaces():
        if route.space == "me" and ("<rid:rid>" in route.path or "<int:event>" in route.path):
            path = address(route, clinic, **bobs | {"event": str(theirs)})
            assert alice.get(path).status_code in (404, 405), path
            assert alice.submit(path, {"hide": "yes"}).status_code == 404, path
    assert rows() == kept


def test_the_table_of_addresses_resolves(clinic):
    for route in routes():
        if not route.path.startswith(("^", "account/security/")):
            assert resolve(address(route, clinic, pk=1), "fhirserver.web.urls").func
