"""Pages in a real Chromium: nothing serious for axe-core, no error in the console, no request elsewhere."""

import gettext
import json
import os
import re
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from accessctl.people import Person
from accessctl.rights import Opening, Review
from fhirserver import sandbox
from fhirserver.models import Sample
from tests.conftest import need

from .conftest import PASSWORD
from .world import Clinic, signed_in, staffed

pytestmark = pytest.mark.browser
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
TASKS = Path(__file__).resolve().parents[2] / "fixtures" / "cases" / "page_tasks.json"
SHOTS = os.environ.get("FHIRSERVER_SHOTS")  # a folder for pictures of the pages
RESULT = "results/?code=http%3A%2F%2Floinc.org%7C718-7"
PAGES = {
    None: ["/", "/account/login/", "/nothing/"],
    "alice": ["/", "/me/{a}/", "/me/{a}/timeline/", f"/me/{{a}}/{RESULT}", "/me/{a}/results/",
              "/me/{a}/access/?name=Perrin",
              "/me/{a}/history/", "/me/{a}/notices/", "/me/{a}/DocumentReference/{document}/", "/account/security/",
              "/account/password/"],
    "paul": ["/me/{a}/"],
    "officer": ["/admin/", "/admin/?hours=24", "/developers/",
                "/admin/audit/?patient=Patient/{a}", "/admin/rights/?patient=Patient/{a}",
                "/admin/matrix/new/", "/admin/clients/{app}/", "/admin/why/?login=doctor&reference=Patient/{a}",
                "/admin/reviews/", "/admin/doubts/", "/admin/matrix/", "/admin/resources/"],
    "registrar": ["/admin/people/new/", "/admin/people/{doctor}/", "/admin/rights/?patient=Patient/{a}"],
    "boss": ["/admin/", "/admin/settings/", "/admin/parameters/", "/admin/parameters/new/", "/admin/clients/new/",
             "/admin/clients/{app}/", "/admin/clients/{app}/edit/",
             "/admin/jobs/", "/admin/clients/", "/admin/people/?q=a",
             "/admin/people/{doctor}/", "/admin/resources/?q=Practitioner",
             "/admin/resources/Practitioner/{practitioner}/", "/developers/",
             "/developers/capabilities/?type=Observation", "/developers/console/", "/developers/errors/"],
    "doctor": ["/care/", "/care/{a}/", "/care/{a}/timeline/", f"/care/{{a}}/{RESULT}", "/care/{a}/results/",
               "/care/{a}/medicines/", "/care/{a}/imaging/", "/care/{a}/apps/",
               "/care/{a}/AllergyIntolerance/{allergy}/",
               "/care/emergency/"],
}  # fmt: skip
CLIPPED = "[...document.querySelectorAll('.scroll:has(.results)')].some(e => e.scrollWidth > e.clientWidth + 1)"
SHORT = [(None, "/"), ("alice", "/me/{a}/"), ("alice", "/me/{a}/access/?name=Perrin"),
         ("doctor", "/care/{a}/"), ("doctor", f"/care/{{a}}/{RESULT}")]  # fmt: skip


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        return None


def sampled():
    """Two hours of samples, for the plots of the dashboard."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    told = {"node": "a", "errors": 1, "seconds": 2.5, "slow": 0.05, "lag": 0.2}
    Sample.objects.bulk_create(
        Sample(at=now - timedelta(minutes=n), requests=100 + n, waiting=n % 7, **told) for n in range(1, 120)
    )


@pytest.fixture
def site(browser, monkeypatch):
    """(address, the people and records) of a server in this process, which is a sandbox."""
    sampled()
    monkeypatch.setattr(sandbox, "is_one", lambda: True)
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(WSGIHandler())
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", staffed(Clinic())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def to_do(site):
    """The site with something to find, to doubt and to judge; made before the browser, whose loop Django refuses."""
    _base, clinic = site
    person = {"resourceType": "Patient", "id": clinic.a, "name": [{"family": "Aubert", "given": ["Alice"]}],
              "identifier": [{"system": "urn:x", "value": "77"}]}  # fmt: skip
    assert clinic.system.put(f"Patient/{clinic.a}", person).status_code == 200
    signed_in("doctor").get(f"/care/{clinic.a}/")  # an access that can be doubted
    opening = Opening.objects.create(patient=clinic.key, person=Person.objects.get(user__username="nurse"),
                                     mode="bris-de-glace", purpose="BTG", reason="Found unconscious")  # fmt: skip
    Review.objects.create(opening=opening)
    return site


@pytest.fixture
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page that remembers what went wrong."""

    def __init__(self, chromium, base, size="desktop", language="en", scheme="light"):
        width, height = SIZES[size]
        self.base, self.size, self.language, self.wrong = base, size, language, []
        self.context = chromium.new_context(
            viewport={"width": width, "height": height}, locale=language, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", self.said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self.asked)

    def said(self, message):
        if message.type in ("error", "warning") and "status of 404" not in message.text:
            self.wrong.append(f"console: {message.text}")

    def asked(self, request):
        if not request.url.startswith((self.base, "data:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def sign_in(self, name):
        self.page.goto(f"{self.base}/account/login/")
        self.page.wait_for_function("document.activeElement.name === 'login'")  # the first field has the focus
        self.page.keyboard.type(name)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.base}/")

    def visit(self, path):
        """Open a page and look at it; what is wrong with it."""
        from axe_playwright_python.sync_playwright import Axe

        answer = self.page.goto(self.base + path)
        assert answer.status < 500, path
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert self.page.title() and self.page.locator("h1").count() == 1, path
        assert self.page.get_attribute("html", "lang") == self.language
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found = [f"{wide} px too wide"] if wide > 0 else []
        if self.page.evaluate(CLIPPED):
            found.append("results are cut off")
        for each in Axe().run(self.page).response["violations"]:
            if each["impact"] in ("serious", "critical"):
                found.append(f"{each['id']}: {[n['html'][:120] for n in each['nodes'][:3]]}")
        if SHOTS:
            name = f"{path.strip('/').replace('/', '-')[:60] or 'home'}-{self.language}-{self.size}.png"
            self.page.screenshot(path=Path(SHOTS) / name, full_page=True)
        found, self.wrong = found + self.wrong, []
        return [f"{path}: {each}" for each in found]


def places(clinic):
    return {"a": clinic.a, "document": clinic.document, "allergy": clinic.allergy, "doctor": clinic.doctor_user,
            "practitioner": clinic.practitioner, "app": clinic.app}  # fmt: skip


def visited(chromium, base, clinic, pages, **named):
    """What is wrong with pages (login, path)."""
    found = []
    for login in dict.fromkeys(login for login, _ in pages):
        tab = Tab(chromium, base, **named)
        if login:
            tab.sign_in(login)
        for path in (path for who, path in pages if who == login):
            found += tab.visit(path.format(**places(clinic)))
        tab.context.close()
    return found


def test_main_pages(site, chromium):
    assert visited(chromium, *site, SHORT) == []


def test_tables_of_a_record_fit_a_phone(site, chromium):
    base, clinic = site
    tab = Tab(chromium, base, size="phone", language="fr")
    tab.sign_in("doctor")
    for path in ("/care/", f"/care/{clinic.a}/imaging/", f"/care/{clinic.a}/{RESULT}"):
        tab.page.goto(base + path)
        assert not tab.page.evaluate(CLIPPED.replace(":has(.results)", "")), path
    shown = tab.page.locator(".results tbody tr").first.inner_text()
    assert "17,9" in shown and "élevé" in shown, "what is outside of its range is said there, too"


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(site, chromium, size, language, scheme):
    pages = [(login, path) for login, paths in PAGES.items() for path in paths]
    assert visited(chromium, *site, pages, size=size, language=language, scheme=scheme) == []


def test_a_patient_gives_and_withdraws_access_by_keyboard_on_a_phone_in_french(site, chromium):
    base, clinic = site
    tab = Tab(chromium, base, size="phone", language="fr")
    tab.sign_in("alice")
    page = tab.page
    page.goto(f"{base}/me/{clinic.a}/access/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    press(page, "Retirer")
    assert "retirée" in page.text_content("[role=status]")
    page.goto(f"{base}/me/{clinic.a}/access/?name=Perrin")
    page.fill("[name=until]", "2099-12-31")
    press(page, "Autoriser")
    assert "a désormais accès" in page.text_content("[role=status]")
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES["phone"][0]
    assert tab.wrong == []


def press(page, start):
    """Tab to the button that says so, and press Enter."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName + document.activeElement.innerText").startswith(
            f"BUTTON{start}"
        ):
            page.keyboard.press("Enter")
            page.wait_for_load_state()
            return
    raise AssertionError(f"no button {start} on the way of the Tab key")


def test_a_doctor_finds_a_patient_and_reads_a_chart_by_mouse(site, chromium):
    base, _clinic = site
    tab = Tab(chromium, base)
    tab.sign_in("doctor")
    page = tab.page
    page.click("text=My patients >> nth=0")
    page.fill("#family", "Aubert")
    page.click("button:has-text('Find')")
    page.click("th a:has-text('Aubert')")
    page.click("a:has-text('Haemoglobin')")
    page.wait_for_selector(".chart canvas")
    assert page.locator("table:has(caption) tbody tr").count() == 3
    assert (
        page.locator(".u-series", has_text="upper limit").is_visible()
        and not page.locator(".u-value").nth(1).is_visible()
    )
    page.locator(".u-over").hover()
    assert "12.5" in page.locator(".u-value").nth(1).inner_text(), "what is pointed at is told"
    assert page.title() != "owned" and tab.wrong == []


@cache
def catalogue():
    folder = Path(__file__).resolve().parents[2] / "fhirserver" / "web" / "locale" / "fr" / "LC_MESSAGES"
    with open(folder / "django.mo", "rb") as file:
        return [(k if isinstance(k, str) else k[0], v) for k, v in gettext.GNUTranslations(file)._catalog.items() if k]


def said(text, language, whole=False):
    """How a text, or a part of one, reads in the language: any of these, each without what is filled in."""
    if language == "en":
        return [text]
    found = [v for k, v in catalogue() if (k.startswith(text) if whole else text in k)]
    return [max(re.split(r"%\(\w+\)s", v), key=len).strip() for v in found] or [text]


class Mouse:
    """Does what a form asks for with the mouse."""

    def __init__(self, page, language="en"):
        self.page, self.language = page, language

    def type(self, id, text):
        self.page.locator(f"#{id}").click()
        self.page.fill(f"#{id}", text)

    def check(self, id):
        self.page.locator(f"#{id}").click()

    def press(self, name):
        named = re.compile("|".join(re.escape(each) for each in said(name, self.language, whole=True)))
        self.page.locator("main :is(button, a, summary)").filter(has_text=named).first.click()
        self.page.wait_for_load_state()


class Keyboard(Mouse):
    """Does the same without: Tab to it, then type or press Enter."""

    def at(self, condition):
        from playwright.sync_api import Error

        for _ in range(150):
            self.page.keyboard.press("Tab")
            try:
                if self.page.evaluate(f"(e => {condition})(document.activeElement)"):
                    return
            except Error:  # what was pressed before leads to another page just now
                self.page.wait_for_load_state()
        raise AssertionError(f"nothing on the way of the Tab key is so: {condition}")

    def type(self, id, text):
        self.at(f"e.id === {id!r}")
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def check(self, id):
        self.at(f"e.id === {id!r}")
        self.page.keyboard.press("Space")

    def press(self, name):
        names = json.dumps(said(name, self.language, whole=True))
        self.at(f"e.closest('main') && {names}.some(n => e.innerText.trim().startsWith(n))")
        self.page.keyboard.press("Enter")
        self.page.wait_for_load_state()


@pytest.mark.long
@pytest.mark.parametrize("hand", [Mouse, Keyboard])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_task_by_mouse_and_by_keyboard(to_do, chromium, hand, size, language):
    base, clinic = to_do
    tabs = {}
    for task in json.loads(TASKS.read_text()):
        login, path = task["who"], task["at"].format(**places(clinic))
        if login not in tabs:
            tabs[login] = Tab(chromium, base, size=size, language=language)
            tabs[login].sign_in(login)
        tab = tabs[login]
        tab.page.goto(base + path)
        for step in task["do"]:
            what, _, rest = step.partition(" ")
            given = rest.split(" ", 1) if what == "type" else [rest]
            getattr(hand(tab.page, language), what)(*(text.format(**places(clinic)) for text in given))
        told = re.compile("|".join(re.escape(each) for each in said(task["says"], language)))
        tab.page.locator("main").get_by_text(told).first.wait_for(state="attached")
        assert tab.wrong == [], task
