"""What `check` says on write: tables of cases, the official examples, laws."""

import copy
import gzip
import json
import os
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.definitions.structures import PRIMITIVES, structure
from records.resources.validation import check

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"


def parsed(text):
    return json.loads(text, parse_float=Decimal)


TABLE = parsed((ROOT / "fixtures" / "cases" / "validation.json").read_text())


def locate(tree, path):
    """(container, key) of a path such as name[0].given."""
    steps = [int(s) if s.isdigit() else s for s in re.findall(r"[^.\[\]]+", path)]
    for step in steps[:-1]:
        tree = tree[step]
    return tree, steps[-1]


def applied(case, table):
    """The base resource of a case with its changes."""
    resource = copy.deepcopy(table["resources"][case["on"]])
    for path, value in case.get("set", {}).items():
        container, key = locate(resource, path)
        if isinstance(container, list) and key == len(container):
            container.append(value)
        else:
            container[key] = value
    for path in case.get("remove", ()):
        container, key = locate(resource, path)
        del container[key]
    return resource


def errors(resource):
    return [issue for issue in check(resource) if issue.severity == "error"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=[c["case"] for c in TABLE["cases"]])
def test_a_case(case):
    assert sorted(f"{i.code}@{i.expression}" for i in errors(applied(case, TABLE))) == sorted(case["expect"])


def test_the_table_is_large():
    assert len(TABLE["cases"]) >= 120


@pytest.mark.parametrize("body", [None, [], "x", 7, True, [{"resourceType": "Patient"}], {}])
def test_what_is_no_resource(body):
    assert [i.severity for i in check(body)] == ["error"]


def test_the_type_of_the_url():
    assert check({"resourceType": "Patient"}, "Patient") == []
    (issue,) = check({"resourceType": "Patient"}, "Observation")
    assert (issue.code, issue.expression) == ("structure", "Patient.resourceType")


def nested(levels):
    resource = {"resourceType": "Patient"}
    node = resource
    for _ in range(levels):
        node["extension"] = [{"url": "http://example.org/a"}]
        node = node["extension"][0]
    node["valueString"] = "x"
    return resource


def test_depth():
    assert check(nested(40)) == []
    assert any("nested deeper than 100" in i.diagnostics for i in check(nested(60)))
    assert any("nested deeper than 100" in i.diagnostics for i in check(nested(5000)))


def test_a_megabyte_of_text():
    resource = {"resourceType": "Basic", "code": {"text": "x" * (1024 * 1024)}}
    assert check(resource) == []
    resource["code"]["text"] += "x"
    assert [(i.code, i.expression) for i in check(resource)] == [("too-long", "Basic.code.text")]


def test_an_issue_does_not_echo_megabytes():
    (issue,) = errors({"resourceType": "Patient", "gender": "x" * 1_000_000})
    assert len(issue.diagnostics) < 300


def test_hostile_text_costs_no_time():
    """Linear on what makes backtracking regexes explode."""
    hostile = {"resourceType": "Binary", "contentType": "a " * 50_000 + "  ", "data": "AAAA" * 250_000 + "!"}
    assert {i.expression for i in errors(hostile)} == {"Binary.contentType", "Binary.data"}


def test_warnings_do_not_refuse():
    issues = check({"resourceType": "ValueSet", "status": "draft", "name": "two words"})
    assert [(i.severity, i.expression) for i in issues] == [("warning", "ValueSet")]


# --- official examples and Synthea

# Each breaks a rule of the specification; the rule that refuses it.
REFUSED = {
    "MedicationRequest/medrx0301": "dispenseRequest.performer refers to a Practitioner; the target is Organization",
    "Observation/clinical-gender": "performer refers to an Encounter, which is none of its targets",
}


def files(folder):
    found = sorted((DATA / folder).glob("*.gz"))
    if not found and not os.environ.get("CI"):
        pytest.skip(f"../shared/data/{folder} is not there")
    assert found
    return found


def test_the_official_examples():
    refused = {}
    for path in files("examples"):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            resource = parsed(line)
            if found := errors(resource):
                refused[f"{resource['resourceType']}/{resource['id']}"] = found
    assert refused.keys() == REFUSED.keys(), refused


def test_synthea():
    for path in files("synthea"):
        bundle = parsed(gzip.decompress(path.read_bytes()))
        assert errors(bundle) == []


def test_the_cost_on_synthea():
    """CPU of the whole check: 0.025 ms a resource when written; the limit leaves room for a slow machine."""
    resources = [e["resource"] for p in files("synthea")[:4] for e in parsed(gzip.decompress(p.read_bytes()))["entry"]]
    for resource in resources:
        check(resource)
    begin = time.process_time()
    for resource in resources:
        check(resource)
    assert (time.process_time() - begin) / len(resources) < 0.0005


# --- laws

RESOURCES = [r for r in TABLE["resources"].values() if not errors(r)]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**12) | st.text(max_size=6) | st.sampled_from([Decimal("1.50")]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "extension", "url", "valueString", "coding", "x", "_x"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def containers(tree):
    """Every object and array with something in it."""
    if isinstance(tree, dict | list) and tree:
        yield tree
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from containers(child)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_mutation_never_raises(data):
    resource = copy.deepcopy(data.draw(st.sampled_from(RESOURCES)))
    for _ in range(data.draw(st.integers(1, 4))):
        container = data.draw(st.sampled_from(list(containers(resource))))
        key = data.draw(st.sampled_from(list(container) if isinstance(container, dict) else range(len(container))))
        container[key] = data.draw(JUNK)
    for issue in check(resource):
        assert issue.severity in ("error", "warning") and issue.code and issue.diagnostics and issue.expression


def required(node, name, path):
    """(object, key, path of the element) of each required element present."""
    current = structure(name)
    for key, value in node.items():
        element = current.elements.get(key)
        if element is None or (element.type in PRIMITIVES and element.min == 0):
            continue
        if element.min and not (element.choice or node.get("_" + key)):
            yield node, key, f"{path}.{key}"
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, dict):
                below = f"{path}.{key}[{index}]" if isinstance(value, list) else f"{path}.{key}"
                yield from required(child, child.get("resourceType", element.type), below)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_required_element_deleted_is_named(data):
    resource = copy.deepcopy(data.draw(st.sampled_from(RESOURCES)))
    places = list(required(resource, resource["resourceType"], resource["resourceType"]))
    if not places:
        return
    node, key, path = data.draw(st.sampled_from(places))
    del node[key]
    if node:
        assert path in {i.expression for i in errors(resource)}
    else:
        assert path.rpartition(".")[0] in {i.expression for i in errors(resource)}
