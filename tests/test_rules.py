"""What the rules of each type refuse, by element; the key of an INS as a law; refusals over HTTP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.formats.json import dump
from records.resources import rules
from records.resources.rules.patient import NIR, key_of
from records.resources.validation import check
from tests.api import Api
from tests.formats.tables import name, table

CASES = table("rules.json")


def resource_of(row):
    """The base resource of a row with its changes; null takes an element away."""
    changed = CASES["resources"][row["on"]] | row.get("set", {})
    return {k: v for k, v in changed.items() if v is not None}


@pytest.fixture
def configured(settings):
    """Sets the settings of a row."""
    return lambda row: [setattr(settings, k, v) for k, v in row.get("settings", {}).items()]


@pytest.mark.parametrize("row", CASES["cases"], ids=name)
def test_rule(row, configured):
    configured(row)
    resource = resource_of(row)
    assert [i for i in check(resource) if i.severity == "error"] == []  # the definition has nothing to say
    found = [i for i in rules.issues(resource, row["on"]) if i.severity == "error"]
    assert sorted(f"{i.code}@{i.expression}" for i in found) == sorted(row["expect"])


def test_over_http_and_the_number_is_not_told(database, configured, settings):
    api = Api()
    for row in CASES["cases"]:
        settings.FHIRSERVER_REQUIRE_SUBJECT = False
        configured(row)
        resource = {k: v for k, v in resource_of(row).items() if k != "id"}
        if row["on"] == "Patient" and "link" in resource:
            continue  # a link to itself needs an id, which a create does not have
        answer = api.post(row["on"], dump(resource))
        if not row["expect"]:
            assert answer.status_code == 201, answer.content
            continue
        assert answer.status_code == 422, answer.content
        assert [i["expression"][0] for i in answer.tree["issue"] if i["severity"] == "error"] == [
            e.partition("@")[2] for e in row["expect"]
        ]
        if row["on"] == "Patient" and "identifier" in resource:
            assert resource["identifier"][-1]["value"].encode() not in answer.content


def test_a_link_to_itself(database):
    patient = {"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "Patient/p"}, "type": "seealso"}]}
    answer = Api().put("Patient/p", patient)
    assert answer.status_code == 422 and answer.tree["issue"][0]["expression"] == ["Patient.link[0].other"]


NUMBERS = st.from_regex(r"[12][0-9]{2}(0[1-9]|1[0-2])([0-9]{2}|2A|2B)[0-9]{6}", fullmatch=True)


@given(NUMBERS)
def test_exactly_one_key_is_right(number):
    keys = [k for k in range(1, 100) if (NIR.match(f"{number}{k:02d}") and key_of(number) == k)]
    assert keys == [key_of(number)] and 1 <= keys[0] <= 97


@given(NUMBERS, st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_found(number, at, by):
    """97 is prime and no power of ten is a multiple of it: a wrong digit always changes the key."""
    if not number[at].isdigit() or (number[5:7] in ("2A", "2B") and at in (5, 6)):
        return
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]
    assert key_of(wrong) != key_of(number)
