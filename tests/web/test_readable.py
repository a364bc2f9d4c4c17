"""FHIR as people read it: one clock for all pages, numbers in the reader's language."""

from datetime import UTC, datetime

import pytest
from django.utils import translation

from fhirserver.web import readable
from fhirserver.web.admin.audit import asked


@pytest.mark.parametrize(
    "given, said",
    [
        ("2026-01-01T23:30:00Z", "2 January 2026, 00:30"),
        ("2026-07-01T23:30:00.123Z", "2 July 2026, 01:30"),
        ("2026-07-01T23:30:00+04:00", "1 July 2026, 23:30"),  # of the place where it was measured
        ("2016-12-31T23:59:60Z", "31 December 2016, 23:59 UTC"),
        ("2026-07", "July 2026"),
        ("2026", "2026"),
        ("", ""),
    ],
)
def test_moments_are_of_one_clock(given, said):
    assert readable.moment(given) == said


def test_times_of_the_database_are_of_the_same_clock():
    assert readable.instant(datetime(2026, 1, 1, 23, 30, tzinfo=UTC)) == readable.moment("2026-01-01T23:30:00Z")


def test_days_of_a_form_are_of_the_same_clock():
    none = dict.fromkeys(("_id", "patient", "agent", "entity", "action", "subtype", "outcome"), "")
    query = asked(none | {"from": "2026-01-02", "to": "2026-07-01"})
    assert query == [("date", "ge2026-01-01T23:00:00Z"), ("date", "lt2026-07-01T22:00:00Z")], "both days are within"
    assert asked(none | {"from": "soon", "to": "9999-12-31"}) == [("date", "gesoon"), ("date", "lt9999-12-31")]


@pytest.mark.parametrize(
    "language, said", [("en", "1.50 mmol/L, 3.5 – 5.1 mmol/L"), ("fr", "1,50 mmol/L, 3,5 – 5,1 mmol/L")]
)
def test_numbers_keep_their_digits_and_say_a_common_unit_once(language, said):
    low, high = ({"value": v, "unit": "mmol/L"} for v in ("3.5", "5.1"))
    with translation.override(language):
        assert f"{readable.quantity({'value': '1.50', 'unit': 'mmol/L'})}, {readable.interval(low, high)}" == said
    assert readable.interval({"value": 3, "unit": "g"}, {"value": 5, "unit": "kg"}) == "3 g – 5 kg"
    assert readable.interval(None, {"value": 5, "unit": "kg"}) == "5 kg"


def test_a_visit_says_in_words_what_it_was():
    visit = {"resourceType": "Encounter", "class": {"code": "AMB", "display": "ambulatory"}}
    with translation.override("fr"):
        assert readable.summary(visit) == "sans hospitalisation"
    assert readable.summary(visit | {"class": {"code": "local", "display": "of this place"}}) == "of this place"
