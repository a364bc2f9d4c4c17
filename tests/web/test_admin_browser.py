"""The administration in a browser: a search is completed while it is written, reasons fit a phone."""

import pytest

from .test_browser import Tab, chromium, site  # noqa: F401  (fixtures)

pytestmark = pytest.mark.browser
OFFERED = "[...document.querySelectorAll('#examples option')].map(each => each.value)"


@pytest.mark.parametrize(
    "written, offered, not_offered",
    [
        ("practitionerr", "PractitionerRole?", "Practitioner?"),
        ("Practitioner?fam", "Practitioner?family=", "Practitioner?given="),
        ("Practitioner?family=martin&_so", "Practitioner?family=martin&_sort=", "Practitioner?_sort="),
        ("Practitioner?family=mar", None, "Practitioner?family="),
    ],
)
def test_types_and_parameters_are_offered(site, chromium, written, offered, not_offered):  # noqa: F811
    tab = Tab(chromium, site[0])
    tab.sign_in("boss")
    tab.page.goto(f"{site[0]}/admin/resources/")
    assert "Practitioner?name=a&_sort=family" in tab.page.evaluate(OFFERED), "examples, before anything is written"
    tab.page.fill("#q", written)
    found = tab.page.evaluate(OFFERED)
    assert (offered is None or offered in found) and not_offered not in found
    assert tab.wrong == []


def test_the_reasons_are_read_on_a_phone(site, chromium):  # noqa: F811
    base, clinic = site
    tab = Tab(chromium, base, size="phone")
    tab.sign_in("officer")
    tab.page.goto(f"{base}/admin/why/?login=doctor&reference=Patient/{clinic.a}")
    assert not tab.page.evaluate(
        "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth + 1)"
    )
    assert "A consent of the patient permits it." in tab.page.locator("main table").inner_text()
    assert tab.wrong == []
