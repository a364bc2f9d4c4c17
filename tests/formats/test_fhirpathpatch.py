"""FHIRPath Patch: the specification's cases and ours. (fhirpatch.html)"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records import errors
from records.formats import fhirpathpatch, json

from .tables import name, table

CASE_TABLE = table("fhirpathpatch.json")
_FORMS = {
    "type": "valueCode",
    "path": "valueString",
    "name": "valueString",
    "index": "valueInteger",
    "source": "valueInteger",
    "destination": "valueInteger",
}


def parameters(operations):
    """The Parameters resource of operations in the short form of the table."""
    return {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": part} | (value if part == "value" else {_FORMS.get(part, "valueString"): value})
                    for part, value in operation.items()
                ],
            }
            for operation in operations
        ],
    }


@pytest.mark.parametrize("row", CASE_TABLE["applied"], ids=name)
def test_applied(row):
    before = json.dump(row["resource"])
    found = fhirpathpatch.apply(row["resource"], parameters(row["operations"]))
    assert json.same(found, row["expected"]), found
    assert json.dump(row["resource"]) == before


@pytest.mark.parametrize("row", CASE_TABLE["refused"], ids=name)
def test_refused(row):
    before = json.dump(row["resource"])
    given = row["parameters"] if "parameters" in row else parameters(row["operations"])
    with pytest.raises(errors.FHIRError) as caught:
        fhirpathpatch.apply(row["resource"], given)
    assert type(caught.value) is getattr(errors, row["error"])
    assert row["says"] in str(caught.value)
    assert caught.value.issues[0].expression == row.get("at")
    assert json.dump(row["resource"]) == before


def test_number_texts_and_key_order_stay():
    resource = json.parse(b'{"resourceType":"Observation","valueQuantity":{"unit":"kg","value":1.10},"status":"final"}')
    operations = [
        {"type": "replace", "path": "Observation.status", "value": {"valueCode": "amended"}},
        {"type": "replace", "path": "Observation.value.value", "value": {"valueDecimal": json.Lexeme("7.0e1")}},
    ]
    assert json.dump(fhirpathpatch.apply(resource, parameters(operations))) == (
        b'{"resourceType":"Observation","valueQuantity":{"unit":"kg","value":7.0e1},"status":"amended"}'
    )


def test_the_number_of_operations_is_limited():
    operations = [{"type": "delete", "path": "Patient.name"}] * (fhirpathpatch.MAX_OPERATIONS + 1)
    with pytest.raises(errors.TooCostly):
        fhirpathpatch.apply({"resourceType": "Patient"}, parameters(operations))


_WORDS = (
    *("Patient", "name", "given", "contained", "resource", "id", "value", "[0]", "[1]", "(", ")", ".", "as", "is"),
    *("where(family='A')", "first()", "last()", "extension('x')", "ofType(string)", "$this", "%resource"),
    *("'", "`", "and", "\\", "@2020", "1", "//"),
)
_words = st.sampled_from(_WORDS)
_paths = st.lists(_words, max_size=6).flatmap(lambda words: st.sampled_from(["".join(words), ".".join(words)]))
_values = st.sampled_from(
    [
        {"valueString": "x"},
        {"valueHumanName": {"given": "no list"}},
        {"valueHumanName": {"family": "B", "given": ["C"]}},
        {"part": [{"name": "family", "valueString": "z"}]},
        {"resource": {"resourceType": "HumanName"}},
        {"resource": {"resourceType": "Basic", "extension": "no list"}},
    ]
)
_operations = st.fixed_dictionaries(
    {"type": st.sampled_from(["add", "insert", "delete", "replace", "move"]), "path": _paths},
    optional={
        "name": st.sampled_from(["name", "given", "extension", "contained", "x"]),
        "value": _values,
        "index": st.integers(-1, 2),
        "source": st.integers(0, 2),
        "destination": st.integers(0, 2),
    },
)


@settings(max_examples=250, deadline=None)
@given(st.lists(_operations, max_size=3))
def test_law_any_patch_applies_or_is_refused(operations):
    resource = {
        "resourceType": "Patient",
        "name": [{"family": "A", "given": ["B", None], "_given": [None, {"id": "x"}]}],
    }
    try:
        json.dump(fhirpathpatch.apply(resource, parameters(operations)))
    except (errors.BadRequest, errors.Invalid) as error:
        assert error.issues[0].expression.startswith("Parameters.parameter[")
