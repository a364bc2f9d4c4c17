"""References to ourselves are the same with and without our base URL. (references.html#literal)"""

import pytest

from records import keys
from records.indexing.extract import extract
from records.resources.compartments import is_of_patients
from records.search.parameters import parameter
from records.search.parse import parse
from records.search.types import TYPES

BASE = "https://record.example/fhir"


@pytest.mark.parametrize("text", ["Patient/1", f"{BASE}/Patient/1", f"{BASE}/Patient/1/_history/2"])
def test_own_references_are_local(settings, text):
    settings.FHIRSERVER_BASE_URL = BASE
    resource = {"resourceType": "Observation", "id": "o", "subject": {"reference": text}}
    param = parameter("Observation", "subject")
    assert (param.key, keys.identity("Patient", "1")) in extract(resource, "Observation").reference


def test_a_query_may_name_our_base(settings):
    settings.FHIRSERVER_BASE_URL = BASE
    param = parameter("Observation", "subject")
    match = TYPES["reference"].match(param, [f"{BASE}/Patient/1"])
    assert match.keys == ((param.key, keys.identity("Patient", "1")),)
    elsewhere = TYPES["reference"].match(param, ["https://other.example/fhir/Patient/1"])
    assert elsewhere.keys == ((param.key, keys.key("https://other.example/fhir/Patient/1")),)


def test_what_a_reference_may_be_to_is_what_its_elements_say():
    """The definition of `patient` is one for all types: some of them may be about a Group, these are not."""
    assert parameter("AllergyIntolerance", "patient").targets == ("Patient",)
    observation = parameter("Observation", "patient")
    assert observation.targets == ("Patient",)
    assert TYPES["reference"].match(observation, ["1"]).keys == ((observation.key, keys.identity("Patient", "1")),)
    subject = parameter("Observation", "subject")
    assert set(subject.targets) == {"Group", "Device", "Patient", "Location"}
    by_canonical = parameter("CarePlan", "instantiates-canonical")
    assert keys.key("1") in {target for _, target in TYPES["reference"].match(by_canonical, ["1"]).keys}


OF_PATIENTS = {
    ("Observation", "patient"): True,
    ("Observation", "subject"): True,
    ("Observation", "performer"): True,
    ("Observation", "focus"): False,  # in the record of its subject alone
    ("Encounter", "patient"): True,
    ("Task", "patient"): True,
    ("Device", "patient"): True,
    ("Patient", "link"): False,  # a link between identities carries no right
    ("Provenance", "patient"): False,  # among its targets others are
    ("Observation", "encounter"): False,
}


@pytest.mark.parametrize("of", OF_PATIENTS, ids=".".join)
def test_which_references_put_a_resource_in_the_record_of_a_patient(of):
    assert is_of_patients(parameter(*of)) == OF_PATIENTS[of]


NAMED = [("AllergyIntolerance", "patient:Group"), ("AllergyIntolerance", "patient:Group.identifier"),
         ("Group", "_has:AllergyIntolerance:patient:_id")]  # fmt: skip


@pytest.mark.parametrize(("type", "name"), NAMED)
def test_a_type_that_the_definition_names_is_no_error(type, name):
    """Though no element of it may be of that type: then there is none."""
    assert parse(type, [(name, "1")], strict=True).criteria
