"""Whatever becomes of a resource on its way here, the answer is no 500: an official example with parts replaced, taken
out, doubled or of another kind, created, validated, in a Bundle, as an operation's Parameters or as a patch.
"""

import gzip
import json
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accessctl.identities import digests
from records.errors import FHIRError
from records.interactions.writing import Target
from records.operations import OPERATIONS
from records.resources.intake import accept
from records.resources.rules import BEFORE_WRITE
from records.resources.store import Write
from tests.accessctl.people import World, consent, provision

from .test_access import LONG, SLOW, sweep, undone

DATA = Path(__file__).parents[3] / "shared" / "data" / "examples"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the examples stand beside the checkout, in ../shared/data")
FEW, MANY = 100, 4000
SHAPES = (None, 1, "x", [], [1], ["x"], {}, {"a": 1}, [{"a": "x"}])
OTHER = [None, True, 0, -1, 1.5, 10**30, "", "x", " ", "é", "\u200b", "a" * 5000, "2020-13-01", "Patient/x", "http://x",
         [], [None], [[]], [1, 2], {}, {"a": 1}, {"reference": 5}, {"reference": "Patient/"}, {"coding": "x"},
         {"coding": [None]}, {"extension": [{}]}, {"value": "1", "unit": 5}, {"resourceType": "Patient"},
         {"resourceType": 5}]  # fmt: skip
NAMES = [
    "zzz",
    "_status",
    "extension",
    "modifierExtension",
    "id",
    "meta",
    "contained",
    "text",
    "resourceType",
    "language",
]
PATCHED = ["/name", "/name/0/family", "/name/-", "/name/0/given/99", "/zzz", "", "/", "/id", "/meta/versionId",
           "/resourceType", "/code/coding/0~1", "/subject", "/status"]  # fmt: skip
OURS = [
    consent("x", "permit", to="Practitioner/y", nested=[provision(type="deny", to="Organization/z")]),
    {"resourceType": "SearchParameter", "url": "urn:x", "name": "x", "status": "active", "description": "x",
     "code": "x", "base": ["Patient"], "type": "token", "expression": "Patient.active", "target": ["Patient"],
     "component": [{"definition": "urn:y", "expression": "x"}]},
]  # fmt: skip


@cache
def examples():
    return [json.loads(line) for path in sorted(DATA.glob("*.gz")) for line in gzip.open(path, "rt") if line.strip()]


def places(tree, at=()):
    """Paths to all that is in a tree."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*at, key)
        yield from places(value, (*at, key))


changes = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(("out", "other", "other", "twice", "within", "beside")),
              st.sampled_from(OTHER), st.sampled_from(NAMES)),
    min_size=1, max_size=3,
)  # fmt: skip


def changed(tree, drawn):
    """The tree with the changes made, one after the other."""
    tree = deepcopy(tree)
    for number, how, other, name in drawn:
        if not (found := list(places(tree))):
            break
        *way, last = found[number % len(found)]
        within = tree
        for key in way:
            within = within[key]
        if how == "out":
            del within[last]
        elif how == "twice" and isinstance(within, list):
            within.append(deepcopy(within[last]))
        elif how == "within":
            within[last] = [within[last]]
        elif how == "beside" and isinstance(within, dict):
            within[name] = deepcopy(other)
        else:
            within[last] = deepcopy(other)
    return tree


def type_of(tree):
    found = tree.get("resourceType")
    return found if isinstance(found, str) and found.isalpha() else "Patient"


def operations(world, row):
    """The URL of each operation, wherever it may be called."""
    for operation in OPERATIONS:
        if operation.level == "system":
            yield f"${operation.name}"
        for type in operation.types or ("Patient",):
            here = f"{type}/{world.a if type == 'Patient' else row}"
            yield f"{here if operation.level == 'instance' else type}/${operation.name}"


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        sweep()
        world = World()
        world.consents()
        world.row = world.observation()
        yield world
        sweep()


WAYS = ("create", "create", "validate", "batch", "transaction", "bundle", "operation", "patch")


@pytest.mark.parametrize("many", [FEW, pytest.param(MANY, marks=LONG)])
def test_no_body_is_a_fault_of_the_server(world, django_db_blocker, many):
    urls = sorted(set(operations(world, world.row)))

    @settings(max_examples=many, deadline=None, suppress_health_check=[*SLOW, HealthCheck.filter_too_much],
              derandomize=many == FEW)  # fmt: skip
    @given(st.sampled_from(WAYS), st.sampled_from(("system", "doctor", "patient")), st.integers(0, 10**6), changes)
    def holds(way, login, number, drawn):
        who, example = getattr(world, login), examples()[number % len(examples())]
        tree = changed(example, drawn)
        entry = {"fullUrl": "urn:uuid:5f6c1f9e-7a0e-4c9f-9b51-0d1c3f6b2a11", "resource": tree,
                 "request": {"method": "POST", "url": type_of(tree)}}  # fmt: skip
        with undone():
            if way == "create":
                answer = who.post(type_of(tree), tree)
            elif way == "validate":
                answer = who.post(f"{type_of(tree)}/$validate", tree)
            elif way == "operation":
                given = [
                    {"name": "resource", "resource": example},
                    {"name": "meta", "valueMeta": example.get("meta")},
                    {"name": "reason", "valueString": "x"},
                    {"name": "patient", "valueReference": {"reference": "x"}},
                ]
                body = changed({"resourceType": "Parameters", "parameter": given}, drawn)
                answer = who.post(urls[number % len(urls)], body)
            elif way == "patch":
                patch = [{"op": op, "path": PATCHED[n % len(PATCHED)], "value": other, "from": "/name"}
                         for (n, _, other, _), op in zip(drawn, ("add", "replace", "copy"), strict=False)]  # fmt: skip
                answer = who.patch(f"Observation/{world.row}", patch, type="application/json-patch+json")
            else:
                kind = "transaction" if way == "transaction" else "batch"
                bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
                answer = who.post("", changed(bundle, drawn) if way == "bundle" else bundle)
        assert answer.status_code < 500, answer.content
        if answer.status_code >= 400:
            assert answer.tree["resourceType"] == "OperationOutcome" and answer.tree["issue"][0]["diagnostics"]
        else:
            assert b'"exception"' not in answer.content

    with django_db_blocker.unblock():
        holds()


@pytest.mark.parametrize("type", sorted(BEFORE_WRITE))
def test_rules_of_a_type_see_nothing_of_another_shape(type):
    """Every element of an example becomes something else, one at a time: it is refused, or no matter."""
    found = [each for each in (*examples(), *OURS) if each["resourceType"] == type][:2] or [{"resourceType": type}]
    for example in found:
        for at in range(len(list(places(example)))):
            for other in SHAPES:
                tree = changed(example, [(at, "other", other, "")])
                if tree.get("resourceType") == type:
                    with suppress(FHIRError):
                        accept([(Target(None, None, tree), Write("POST", type, None, tree))])
                    digests(tree)
