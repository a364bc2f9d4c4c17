"""Each invariant's plain function says what its own FHIRPath expression says, on random nodes made for it."""

import random
import re
from decimal import Decimal

import pytest

from records.definitions.structures import PRIMITIVES, RESOURCE_TYPES, structure
from records.fhirpath.engine import evaluate
from records.resources.validation.invariants import ELSEWHERE, HOSTED, holds
from records.resources.validation.rules import RULES

# Not compared: fhirpathpy cannot order Quantities, and its matches() is content with a part of the name. Cases below.
DEPARTURES = re.compile(r"rng-2|\w+-0").fullmatch


def constraints():
    """(structure or element path, constraint, type of the node) of every base invariant."""
    seen, todo, found = (
        set(),
        [*RESOURCE_TYPES, "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"],
        {},
    )
    while todo:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        current = structure(name)
        for c in current.constraints:
            found[current.name, c.key] = (current.name, c, current.name)
        for e in current.elements.values():
            for c in e.constraints:
                found[e.path, c.key] = (e.path, c, e.type)
            todo.append(e.type)
        todo += [current.base] if current.base else []
    return [f for f in found.values() if f[1].severity != "best-practice" and f[1].key not in ELSEWHERE]


CONSTRAINTS = constraints()
COMPARED = [each for each in CONSTRAINTS if not DEPARTURES(each[1].key)]


class Maker:
    """Random nodes of a structure, made of the elements and the literals that an expression speaks of."""

    def __init__(self, expression, seed):
        self.random = random.Random(seed)
        self.names = set(re.findall(r"[A-Za-z]+", expression))
        self.literals = [*re.findall(r"'([^'\\]*)'", expression), "a", "b", "a.b", "a.c"]
        if "%ucum" in expression:
            self.literals += ["http://unitsofmeasure.org"] * 3

    def node(self, name, depth=0):
        node = {"resourceType": name} if name in RESOURCE_TYPES else {}
        current = structure(name)
        taken = set()
        for e in current.elements.values():
            if e.name not in self.names or e.name in taken or (not e.min and self.random.random() < 0.4):
                continue
            if e.type == "Resource" and depth > 1:
                continue
            if e.choice:
                e = current.elements[self.random.choice(current.choices[e.choice])]
            taken.add(e.name)
            values = [self.value(e.type, depth) for _ in range(self.random.randint(1, 3) if e.many else 1)]
            node[e.key] = values if e.many else values[0]
        return node or {"extension": [{"url": "http://example.org", "valueString": "a"}]}

    def value(self, type, depth=0):
        if type == "boolean":
            return self.random.random() < 0.5
        if type in ("integer", "positiveInt", "unsignedInt"):
            return self.random.randint(0, 3)
        if type == "decimal":
            return Decimal(self.random.choice(["-1", "0", "1.5", "99.5", "100.5"]))
        if type in ("date", "dateTime", "instant"):
            return self.random.choice(["2020-01-01", "2020-02-01T10:00:00Z", "2020-02-01T10:00:00+01:00", "2021-01-01"])
        if type in PRIMITIVES:
            return self.random.choice(self.literals)
        if type == "Resource":
            return self.node(self.random.choice(["Composition", "MessageHeader", "Patient"]), depth + 1)
        return self.node(type, depth + 1) if depth < 4 else {"id": "a"}


def theirs(expression, node, type, resource):
    """What FHIRPath says: True, False, or None when it cannot decide."""
    try:
        found = evaluate(expression, node, {"resource": resource}, base=None if type in RESOURCE_TYPES else type)
    except Exception as fault:
        if "singleton" in str(fault):
            return None
        raise
    return all(v.value is not False for v in found) if found else None


@pytest.mark.parametrize(("path", "constraint", "type"), COMPARED, ids=[f"{c.key} {p}" for p, c, _ in COMPARED])
def test_a_function_equals_its_expression(path, constraint, type):
    function = holds(path, constraint)
    host = HOSTED.get(constraint.key)
    for seed in range(40):
        make = Maker(constraint.expression, seed)
        if host:
            make.names |= {host[1][1:], "kind", "type"}
            node = make.node(host[0])
            part = node.get(host[1][1:], {})
            mine, fhirpath = function(node), theirs(constraint.expression, part, type, node) if part else None
        else:
            node = make.node(type) if type not in PRIMITIVES else make.value(type)
            mine = function(node)
            fhirpath = theirs(constraint.expression, node, type, node)
        # Where FHIRPath gives nothing it cannot decide; the functions then decide as rules.py says.
        assert fhirpath in (None, mine), (constraint.expression, node)


NAMES = [("Good_1", True), ("bad", False), ("Two Words", False), ("X" * 256, False)]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_names_of_conformance_resources(name, expected):
    assert RULES["que-0"]({"name": name}) is expected


def test_every_invariant_has_a_function_and_every_function_an_invariant():
    keys = {c.key for _, c, _ in CONSTRAINTS}
    assert {key.split()[0] for key in RULES} == keys
    assert len(CONSTRAINTS) > 200


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ({"value": 1}, {"value": Decimal("1.0")}, True),
        ({"value": 2, "unit": "mg"}, {"value": 1, "unit": "mg"}, False),
        ({"value": 2, "unit": "mg"}, {"value": 1, "unit": "g"}, True),
        ({"value": 2}, None, True),
    ],
)
def test_range(low, high, expected):
    assert RULES["rng-2"]({"low": low} | ({"high": high} if high else {})) is expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2020", "2020-05", True),
        ("2020-05", "2020", True),
        ("2021", "2020-05", False),
        ("2020-05-02", "2020-05-01", False),
        ("2020-05-01T23:00:00-12:00", "2020-05-02T00:00:00+14:00", False),
        ("2020-05-01T10:00:00Z", "2020-05-01T11:00:00+01:00", True),
        ("2020-05-01T10:00:01Z", "2020-05-01T11:00:00+01:00", False),
        ("2020-05-01T10:00:00.5Z", "2020-05-01T10:00:00Z", False),
        ("2016-12-31T23:59:60Z", "2017-01-01", True),
        ("0001", "9999", True),
        ("9999-12-31", "0001-01-01T00:00:00+14:00", False),
        (None, "2020", True),
    ],
)
def test_period(start, end, expected):
    assert RULES["per-1"]({k: v for k, v in (("start", start), ("end", end)) if v}) is expected
