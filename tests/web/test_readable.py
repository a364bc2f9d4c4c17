"""FHIR as people read it: one clock for all pages, numbers in the reader's language."""

from datetime import UTC, datetime

import pytest
from django.utils import translation

from fhirserver.web import paper, readable, vocabulary
from fhirserver.web.admin.audit import asked
from fhirserver.web.admin.rights import DECIDED
from fhirserver.web.tags import grouped


@pytest.mark.parametrize(
    "given, said",
    [
        ("2026-01-01T23:30:00Z", "2 January 2026, 00:30"),
        ("2026-07-01T23:30:00.123Z", "2 July 2026, 01:30"),
        ("2026-07-01T23:30:00+04:00", "1 July 2026, 23:30"),  # of the place where it was measured
        ("2016-12-31T23:59:60Z", "31 December 2016, 23:59 UTC"),
        ("2026-05-01", "1 May 2026"),
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


def test_the_first_of_a_month_is_written_as_french_writes_it():
    with translation.override("fr"):
        assert readable.moment("2026-05-01") == "1er mai 2026" and readable.moment("2026-05-11") == "11 mai 2026"
        assert readable.instant(datetime(2026, 5, 1, 8, tzinfo=UTC)) == "1er mai 2026, 10:00"


def test_an_entry_says_its_codes_in_words_and_names_what_it_refers_to():
    coding = "http://terminology.hl7.org/CodeSystem/"
    allergy = {
        "resourceType": "AllergyIntolerance", "criticality": "high", "category": ["medication"],
        "clinicalStatus": {"coding": [{"system": f"{coding}allergyintolerance-clinical", "code": "active"}]},
        "reaction": [{"severity": "severe"}, {"severity": "severe"}], "note": [{"text": "Said by her daughter"}],
        "recorder": {"reference": "Practitioner/1"}, "asserter": {"reference": "RelatedPerson/hidden"},
    }  # fmt: skip
    names = {"Practitioner/1": "Dr Anne Perrin"}
    with translation.override("fr"):
        said = readable.details(allergy, lambda reference: names.get(reference, ""))
    assert said == [
        ("Statut", "en cours"), ("Danger en cas de nouveau contact", "élevé"), ("Réaction", "sévère"),
        ("Catégorie", "médicament"), ("Remarque", "Said by her daughter"), ("Par", "Dr Anne Perrin"),
    ]  # fmt: skip


def test_how_an_entry_stands_is_judged_by_its_code_and_told_where_it_is_not_what_one_expects():
    current = {"clinicalStatus": {"coding": [{"code": "active", "display": "Actif"}]}}
    doubtful = current | {"verificationStatus": {"coding": [{"code": "provisional"}]}}
    wrong = {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    found = [readable.status(each) for each in (current, doubtful, wrong)]
    assert found == ["active", "provisional", "entered-in-error"]
    with translation.override("fr"):
        assert [readable.remark(each) for each in (current, doubtful, wrong, {"status": "final"})] == [
            "", "non confirmé", "saisi par erreur", "",
        ]  # fmt: skip


def test_a_remark_is_not_told_twice():
    wrong = {"resourceType": "Observation", "status": "entered-in-error", "method": {"text": "By hand"}}
    assert readable.details(wrong, str) == [("Method", "By hand")]


def test_paper_says_how_an_entry_stands_and_how_she_was_born(monkeypatch):
    lines = []
    monkeypatch.setattr(paper.Paper, "said", lambda self, text, *style: lines.append(text))
    asthma = {"resourceType": "Condition", "id": "1", "code": {"text": "Asthme"}, "onsetDateTime": "2020-05-01",
              "verificationStatus": {"coding": [{"code": "provisional"}]}}  # fmt: skip
    with translation.override("fr"):
        she = {"name": "Zoé Née", "gender": "femme", "born": str(vocabulary.BORN["female"]), "birth": "1er mai 1990",
               "birth_name": "Martin", "identifiers": []}  # fmt: skip
        paper.pdf(she, dict.fromkeys(paper.PARTS, ()) | {"problems": [readable.item(asthma)]})
    assert any("Martin" in line and "femme · née le 1er mai 1990" in line for line in lines)
    assert "Asthme  -  non confirmé  -  1er mai 2020" in lines


def test_a_time_with_an_offset_is_written_as_one():
    assert readable.facts({"date": "2026-02-16T12:35:00+01:00"}) == [("Date", "16 February 2026, 12:35")]


@pytest.mark.parametrize("language, said", [("en", "2,000,847"), ("fr", "2\xa0000\xa0847")])
def test_large_numbers_are_grouped(language, said):
    with translation.override(language):
        assert grouped(2_000_847) == said and grouped(0) == "0"


@pytest.mark.parametrize("language, said", [("en", "opened the record"), ("fr", "ouverture du dossier en urgence")])
def test_a_decision_is_told_as_the_access_history_tells_it(language, said):
    with translation.override(language):
        assert readable.deed("$break-glass").startswith(said) and readable.deed("read") == "read"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_decision_has_words(language):
    with translation.override(language):
        assert [each for each in DECIDED if readable.deed(f"${each}").startswith("$")] == []
