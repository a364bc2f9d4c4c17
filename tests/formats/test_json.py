"""Strict intake of JSON, and what comes out again. (security A79-A82)"""

import copy
import pickle
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records import errors
from records.formats import json, jsonfault

from .tables import body, name, table


@pytest.mark.parametrize("row", table("json_intake.json", "refused"), ids=name)
def test_refused(row):
    with pytest.raises(getattr(errors, row["error"])) as caught:
        json.parse(body(row))
    assert caught.value.status == 400
    assert row["says"] in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("row", table("json_intake.json", "accepted"), ids=name)
def test_accepted(row):
    given = body(row)
    tree = json.parse(given)
    assert json.dump(tree) == row.get("dumped", given.decode()).encode()
    assert jsonfault.find(given.decode()) is None
    for copied in (json.clone(tree), copy.deepcopy(tree), pickle.loads(pickle.dumps(tree))):
        assert json.text_equal(copied, tree)


def test_numbers_have_the_types_all_agree_on():
    tree = json.parse(b'{"a":[1,123456789012345678,1234567890123456789,1.10,1e5,-0]}')
    assert [type(n) for n in tree["a"]] == [int, int, Decimal, Decimal, json.Lexeme, Decimal]
    assert [str(n) for n in tree["a"]] == ["1", "123456789012345678", "1234567890123456789", "1.10", "1e5", "-0"]
    assert tree["a"][4] == 100000 and tree["a"][4].text == "1e5"


def test_stored_bytes_are_embedded_as_they_are():
    assert json.dump({"resource": msgspec.Raw(b'{"a" : 1.10}')}) == b'{"resource":{"a" : 1.10}}'


def test_pretty_keeps_number_texts():
    assert json.dump_pretty({"a": [Decimal("1.10"), json.Lexeme("1e5")]}) == b'{\n  "a": [\n    1.10,\n    1e5\n  ]\n}'


def test_comparisons():
    one, other = json.parse(b'{"a":1.1,"b":2}'), json.parse(b'{"b":2,"a":1.10}')
    assert not json.same(one, other) and not json.text_equal(one, other)
    assert json.same(one, json.parse(b'{"b":2,"a":1.1}')) and not json.text_equal(one, json.parse(b'{"b":2,"a":1.1}'))
    assert not json.same({"a": True}, {"a": 1})


def test_only_a_patch_may_be_an_array():
    assert json.parse(b"[1]", top=list) == [1]
    with pytest.raises(errors.InvalidJSON, match="not an array"):
        json.parse(b"{}", top=list)


@pytest.mark.parametrize(
    "data",
    [b'{"a":"' + b"x" * 5_000_000, b'{"a":[' + b"1," * 1_000_000, b"[" * 5_000_000, b'{"a":' * 1_000_000],
    ids=["string", "array", "levels", "objects"],
)
def test_a_large_bad_body_is_refused(data):
    with pytest.raises(errors.InvalidJSON):
        json.parse(data)


def test_a_fault_beyond_the_tokens_looked_at_is_still_refused(monkeypatch):
    monkeypatch.setattr(jsonfault, "MAX_TOKENS", 1000)
    many = b"1," * 1000
    for end, says in (
        (b'{"a":1,"a":2}]}', "'a' is given twice"),
        (b"NaN]}", "NaN"),
        (b"1e999]}", "1e999"),
        (b'"\\ud800"]}', "lone surrogate"),
        (b"[" * 100 + b"]" * 101 + b"}", "nesting beyond 100"),
        (b"]", "Expecting value"),
    ):
        with pytest.raises(errors.InvalidJSON, match=says):
            json.parse(b'{"b":[' + many + end)


_digits = st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?\Z")
_numbers = _digits.map(lambda text: json.integer(text) if text.lstrip("-").isdigit() else json.number(text))
_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")
_texts = st.text(_characters.filter(lambda c: c >= " " or c in "\t\n\r"), max_size=12)
_trees = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_texts, _trees, max_size=5))
def test_law_what_is_dumped_parses_to_the_same(tree):
    data = json.dump(tree)
    again = json.parse(data)
    assert json.dump(again) == data
    assert list(again) == list(tree) and json.same(again, tree)
    assert json.dump(json.parse(json.dump_pretty(tree))) == data


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]:,"\\u0dD8a1-.eE \ntrfN\x00é', max_size=25))
def test_law_the_quick_parser_and_the_slow_one_agree(text):
    """What is accepted has no fault; what is refused has one that is explained."""
    try:
        json.parse(text.encode(), top=list)
    except errors.InvalidJSON as error:
        assert jsonfault.find(text) is not None or "not an array" in str(error)
    else:
        assert jsonfault.find(text) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda b: b'{"a":"' + b + b'"}'))
def test_law_any_bytes_give_a_tree_or_invalid_json(data):
    try:
        tree = json.parse(data)
    except errors.InvalidJSON:
        return
    assert json.dump(json.parse(json.dump(tree))) == json.dump(tree)
