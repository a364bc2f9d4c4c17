"""The models of fhir.resources, another reading of the definitions, find nothing that the checker lets pass."""

import copy
import gzip
import random
from decimal import Decimal

import pytest

from records.definitions.structures import RESOURCE_TYPES, structure
from records.resources.validation import check, validate
from records.resources.validation.models import REDEFINED, model, second_opinion

from .test_validation import RESOURCES, containers, errors, files, parsed

JUNK = [None, True, 0, -1, Decimal("1.50"), "", "x", " a", "2020-02-30", "2020", "Patient/1", [], {}, ["x"], [{}]]


def official():
    for path in files("examples"):
        yield from map(parsed, gzip.decompress(path.read_bytes()).splitlines())


def test_they_agree_on_the_official_examples():
    for resource in official():
        if not errors(resource):
            assert second_opinion(resource) == []


def test_they_refuse_nothing_more_among_mutations():
    chance = random.Random(2)
    accepted = 0
    for _ in range(3000):
        resource = copy.deepcopy(chance.choice(RESOURCES))
        container = chance.choice(list(containers(resource)))
        key = chance.choice(list(container) if isinstance(container, dict) else range(len(container)))
        if key != "resourceType":
            container[key] = copy.deepcopy(chance.choice(JUNK))
        if not errors(resource):
            accepted += 1
            assert second_opinion(resource) == [], resource
    assert accepted > 100


@pytest.mark.parametrize(
    "type", ["Patient", "Observation", "ImagingStudy", "Claim", "Questionnaire", "Bundle", "Timing"]
)
def test_a_model_has_the_elements_of_the_definition(type):
    fields = {f.alias or name for name, f in model(type).model_fields.items()}
    plain = {f for f in fields if not f.startswith("_")} - {"resourceType", "fhir_comments", "resource_type"}
    assert plain == set(structure(type).elements)


def test_types_without_a_model_of_r4():
    assert all(second_opinion({"resourceType": t}) == [] for t in (*REDEFINED, "SubstanceSpecification"))
    assert set(RESOURCE_TYPES) >= REDEFINED


def test_on_write_they_are_asked_only_when_wanted(monkeypatch):
    resource = {"resourceType": "Patient"}
    monkeypatch.setattr("records.resources.validation.write.second_opinion", lambda r: 1 / 0)
    assert check(resource) == []
    with pytest.raises(ZeroDivisionError):
        check(resource, models=True)


def test_the_value_of_an_extension_may_have_a_sibling():
    resource = {
        "resourceType": "Patient",
        "extension": [{"url": "http://example.org/a", "_valueString": {"extension": [{"url": "b", "valueCode": "c"}]}}],
    }
    assert validate(resource) == []
