"""Search expressions: all compile to plain functions, and yield what the general engine yields."""

import gzip
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from records import fhirpath
from records.definitions.parameters import search_parameter_definitions
from records.definitions.structures import RESOURCE_TYPES
from records.fhirpath import engine, plain
from records.fhirpath.narrative import is_safe

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
ABSTRACT = re.compile(r"^(Domain)?Resource\b")
TYPES = {"id": "string"}  # the model of fhirpathpy says System.String
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1980-01-02",
    "_birthDate": {"extension": [{"url": "http://t/time", "valueDateTime": "1980-01-02T03:04:05Z"}]},
    "name": [{"family": "Lefèvre", "given": ["Zoé", None], "_given": [None, {"extension": [{"url": "x"}]}]}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b"}],
    "deceasedBoolean": False,
    "extension": [{"url": "http://t/x", "valueCode": "c"}, {"url": "http://t/y", "valueCode": "d"}],
    "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}, {"other": {"reference": "RelatedPerson/3"}}],
}


def definitions():
    for given in search_parameter_definitions():
        if "expression" in given:
            for base in given["base"]:
                yield base, given


def test_every_official_expression_is_plain():
    total = 0
    for base, given in definitions():
        plain.compile(given["expression"], base)
        total += 1
    assert total > 1372


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("Patient.name.given", [("Zoé", "string")]),
        ("name.family", [("Lefèvre", "string")]),
        ("Patient.telecom.where(system='email').value", [("a@b", "string")]),
        ("Patient.birthDate.extension('http://t/time').value", [("1980-01-02T03:04:05Z", "dateTime")]),
        ("Patient.extension('http://t/x').value as code", [("c", "code")]),
        ("Patient.deceased.exists() and Patient.deceased != false", [(False, "boolean")]),
        ("Patient.deceased as dateTime", []),
        ("(Patient.deceased as boolean)", [(False, "boolean")]),
        ("Patient.link.other.where(resolve() is Patient)", [({"reference": "Patient/2"}, "Reference")]),
        ("Patient.name.exists().not()", [(False, "boolean")]),
        ("Observation.code | Patient.id", [("p", "id")]),
        ("Patient.name[0].family", [("Lefèvre", "string")]),
        ("Patient.name.given.first()", [("Zoé", "string")]),
        ("Patient.name.count()", [(1, "integer")]),
        ("Patient.name.trace('x').family", [("Lefèvre", "string")]),
        ("Patient.telecom.where(system='email' or value='1').value", [("1", "string"), ("a@b", "string")]),
    ],
)
def test_expression(expression, expected, capsys):
    assert [tuple(v) for v in fhirpath.compile(expression, "Patient")(PATIENT)] == expected
    assert capsys.readouterr().out == ""


def test_unknown_element_is_refused():
    with pytest.raises(fhirpath.InvalidExpression):
        fhirpath.compile("Patient.nome", "Patient")
    with pytest.raises(fhirpath.InvalidExpression):
        fhirpath.compile("Nobody.name", "Patient")


def test_roots_are_the_keys_an_expression_starts_from():
    assert fhirpath.compile("Observation.value as Quantity", "Observation").roots == {"valueQuantity"}
    assert fhirpath.compile("Patient.name | Patient.telecom", "Patient").roots == {"name", "telecom"}


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("name.hasValue()", [False]),
        ("birthDate.hasValue()", [True]),
        ("link.other.resolve().id", ["2", "3"]),
        ("link.other.where(resolve() is Patient).reference", ["Patient/2"]),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", [True]),
        ("extension.value as code", ["c", "d"]),
        ("gender.memberOf('http://unknown')", []),
    ],
)
def test_functions_the_engine_lacked(expression, expected):
    assert [v.value for v in fhirpath.evaluate(expression, PATIENT)] == expected


@pytest.mark.parametrize(
    "text, safe",
    [
        ("<div xmlns='http://www.w3.org/1999/xhtml'><p>é</p></div>", True),
        ("<div xmlns='http://www.w3.org/1999/xhtml'><script>1</script>x</div>", False),
        ("<div xmlns='http://www.w3.org/1999/xhtml'><p onclick='x()'>x</p></div>", False),
        ("<div xmlns='http://www.w3.org/1999/xhtml'> </div>", False),
        ("<div>no namespace</div>", False),
        ("<div", False),
    ],
)
def test_narrative(text, safe):
    assert is_safe(text) is safe


def resources():
    for path in sorted((SHARED / "examples").glob("*.ndjson.gz")):
        yield from (json.loads(line, parse_float=Decimal) for line in gzip.decompress(path.read_bytes()).splitlines())
    for path in sorted((SHARED / "synthea").glob("*.json.gz"))[:4]:
        entries = json.loads(gzip.decompress(path.read_bytes()), parse_float=Decimal)["entry"]
        yield from (e["resource"] for e in entries[::7])


@pytest.mark.skipif(not SHARED.exists(), reason="needs the example resources")
def test_plain_functions_equal_the_general_engine():
    """The same items and types on the official examples and Synthea."""
    by_type = {}
    for base, given in definitions():
        for type in RESOURCE_TYPES if base in ("Resource", "DomainResource") else [base]:
            by_type.setdefault(type, set()).add(given["expression"])
    compared = 0
    for resource in resources():
        for expression in by_type[resource["resourceType"]]:
            ours = fhirpath.compile(expression, resource["resourceType"])(resource)
            # fhirpathpy takes "Resource" for a type name of its own
            theirs = engine.evaluate(ABSTRACT.sub(resource["resourceType"], expression), resource)
            if ours or theirs:
                compared += 1
                assert items(ours) == items(theirs), (resource["resourceType"], resource["id"], expression)
    assert compared > 2000


def items(values):
    """As texts, each once (a union drops duplicates, index rows too); without references to contained resources:
    such a reference alone does not tell its type, and no search by reference finds it."""
    return set(
        (json.dumps(v.value, default=str, sort_keys=True), TYPES.get(v.type, "" if "." in v.type else v.type))
        for v in values
        if not (isinstance(v.value, dict) and v.value.get("reference", "").startswith("#"))
    )
