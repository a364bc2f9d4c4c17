"""What `validate` says for $validate: profiles, slices, and what it leaves open."""

from pathlib import Path

import pytest

from records.definitions import profiles
from records.resources.validation import check, validate
from records.resources.validation.profiles import tree

from .test_validation import applied, parsed

TABLE = parsed((Path(__file__).parents[1] / "fixtures" / "cases" / "validation_profiles.json").read_text())
BP = "http://hl7.org/fhir/StructureDefinition/bp"


@pytest.mark.parametrize("case", TABLE["cases"], ids=[c["case"] for c in TABLE["cases"]])
def test_a_case(case):
    found = [i for i in validate(applied(case, TABLE), case["profiles"]) if i.severity == "error"]
    assert sorted(f"{i.code}@{i.expression}" for i in found) == sorted(case["expect"]), found


@pytest.mark.parametrize("url", profiles.profile_urls())
def test_every_profile_becomes_a_tree(url):
    name, type, root = tree(url)
    assert name and type and root.children


def test_an_empty_resource_fails_each_profile_without_a_fault():
    for url in profiles.profile_urls():
        validate({"resourceType": tree(url)[1]}, [url])


@pytest.mark.parametrize("resource", [{}, {"resourceType": 7}, {"resourceType": "Patient", "contained": [{}]}])
def test_what_has_no_type_is_told_so(resource):
    assert [i.code for i in validate(resource)][:1] == ["structure"]


def left_open(resource, *profiles):
    return [i.diagnostics for i in validate(resource, profiles) if i.severity == "information"]


def test_what_cannot_be_checked_is_named():
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain"}}],
    }
    assert left_open(document) == [
        "codes of http://hl7.org/fhir/ValueSet/mimetypes cannot be enumerated here and are not checked"
    ]
    lipid = TABLE["resources"]["lipid"]
    (said,) = left_open(lipid, "http://hl7.org/fhir/StructureDefinition/lipidprofile")
    assert "resolve().code" in said
    assert left_open(TABLE["resources"]["bp"] | {"meta": {"profile": ["http://example.org/x"]}}) == [
        "the profile http://example.org/x is not known here and not checked"
    ]


def test_a_contained_subject_is_no_fault():
    resource = TABLE["resources"]["bp"] | {
        "contained": [{"resourceType": "Patient", "id": "p"}],
        "subject": {"reference": "#p"},
    }
    assert [i for i in validate(resource, [BP]) if i.severity == "error"] == []


def test_modes():
    assert [i.expression for i in validate({"resourceType": "Patient"}, mode="update")] == ["Patient.id"]
    assert validate({"resourceType": "Patient"}, mode="create") == []


def test_write_does_not_judge_profiles():
    assert check({**TABLE["resources"]["heartrate"], "meta": {"profile": [BP]}}) == []


def test_an_issue_is_said_once():
    issues = validate(TABLE["resources"]["heartrate"], [BP, BP, BP + "|4.0.1"])
    assert len(issues) == len(set(issues))
