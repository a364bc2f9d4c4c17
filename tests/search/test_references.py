"""References to ourselves are the same with and without our base URL. (references.html#literal)"""

import pytest

from records import keys
from records.indexing.extract import extract
from records.search.parameters import parameter
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
