"""JSON Patch: the suite of the RFC, and cases written for resources. (RFC 6902)"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records import errors
from records.formats import json, jsonpatch

from .tables import name, table

CASE_TABLE = table("jsonpatch.json")
SUITE = [
    row | {"name": f"{file}: {row.get('comment', i)}"}
    for file in ("tests", "spec_tests")
    for i, row in enumerate(table(f"json-patch-test-suite/{file}.json"))
    if "patch" in row and not row.get("disabled")
]
DOCUMENT = {"a": 1, "s": "secret", "l": [1, 2], "o": {"x": {}}}


def test_the_whole_suite_is_there():
    assert len(SUITE) == 91


@pytest.mark.parametrize("row", SUITE, ids=name)
def test_suite(row):
    if "error" in row:
        with pytest.raises((errors.BadRequest, errors.Invalid)):
            jsonpatch.apply(row["doc"], row["patch"])
    else:
        before = json.dump(row["doc"])
        found = jsonpatch.apply(row["doc"], row["patch"])
        assert "expected" not in row or jsonpatch.equal(found, row["expected"])
        assert json.dump(row["doc"]) == before


@pytest.mark.parametrize("row", CASE_TABLE["applied"], ids=name)
def test_applied(row):
    patch = json.dump(row["patch"])
    assert json.text_equal(jsonpatch.apply(row["document"], jsonpatch.parse(patch)), row["expected"])


@pytest.mark.parametrize("row", CASE_TABLE["refused"], ids=name)
def test_refused(row):
    with pytest.raises(getattr(errors, row["error"])) as caught:
        jsonpatch.apply(DOCUMENT, row["patch"])
    assert row["says"] in str(caught.value)
    assert caught.value.issues[0].expression == row.get("at")
    assert "secret" not in str(caught.value)
    assert DOCUMENT == {"a": 1, "s": "secret", "l": [1, 2], "o": {"x": {}}}


def test_every_malformed_operation_is_named():
    with pytest.raises(errors.BadRequest) as caught:
        jsonpatch.check([{"op": "x"}, {"op": "remove", "path": ""}, {"op": "add"}])
    assert [i.expression for i in caught.value.issues] == ["patch[0]", "patch[2]"]


def test_a_duplicate_member_is_refused():
    with pytest.raises(errors.InvalidJSON, match="'op' is given twice"):
        jsonpatch.parse(b'[{"op":"add","path":"/a","value":1,"op":"remove"}]')


def test_the_number_of_operations_is_limited():
    with pytest.raises(errors.TooCostly):
        jsonpatch.apply({}, [{"op": "test", "path": "", "value": {}}] * (jsonpatch.MAX_OPERATIONS + 1))


def test_copies_of_copies_are_limited():
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(errors.TooLarge):
        jsonpatch.apply({"a": ["x" * 1000]}, doubling)


def test_levels_are_limited():
    deeper = {"a": 1}
    for _ in range(60):
        deeper = {"a": deeper}
    with pytest.raises(errors.Invalid, match="levels"):
        jsonpatch.apply({"a": deeper}, [{"op": "add", "path": "/a" * 60, "value": deeper}])


_pointers = st.lists(st.sampled_from(["a", "s", "l", "o", "x", "0", "1", "-", "~0", ""]), max_size=4).map(
    lambda tokens: "".join("/" + token for token in tokens)
)
_operations = st.fixed_dictionaries(
    {"op": st.sampled_from(sorted(jsonpatch._MEMBERS)), "path": _pointers, "from": _pointers},
    optional={"value": st.sampled_from([1, "x", None, {"x": [1]}, []])},
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_operations, max_size=5))
def test_law_any_patch_applies_or_is_refused_and_the_document_stays(operations):
    before = json.dump(DOCUMENT)
    try:
        jsonpatch.apply(DOCUMENT, operations)
    except (errors.BadRequest, errors.Invalid) as error:
        assert error.issues[0].expression.startswith("patch[")
    assert json.dump(DOCUMENT) == before
