"""The index against an independent engine: values by fhirpathpy, compared by the words of the specification.

For each parameter of the examples, each value that fhirpathpy yields is looked for; who must be found is decided by a
scan over all values. Differences that are meant stand in docs/explanation/search-differences.md.
"""

import gzip
import json
import random
import re
from pathlib import Path

import fhirpathpy
import pytest
from fhirpathpy.models import models

from records.access import Everything
from records.search import parse, run
from records.search.parameters import COLUMNS, parameters

from .conftest import put

DATA = Path(__file__).parents[3] / "shared" / "data" / "examples"
SYNTHEA = DATA.parent / "synthea"
EACH = 12  # resources of a type
# Written for engines that resolve references, or with what fhirpathpy 2.2.4 has not.
BEYOND = re.compile(r"resolve\(|\bas\b|hasValue|extension\(|\.as\(")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the examples stand beside the checkout, in ../shared/data")


@pytest.fixture(scope="module")
def examples(rows):
    """Type -> resources, in the database and indexed."""
    found = {}
    for path in sorted(DATA.glob("*.ndjson.gz")):
        with gzip.open(path, "rt") as lines:
            chosen = [json.loads(line) for _, line in zip(range(EACH), lines, strict=False)]
        found[chosen[0]["resourceType"]] = list({r["id"]: r for r in chosen}.values())
    for resource in synthetic():
        of_type = found.setdefault(resource["resourceType"], [])
        if len(of_type) < 2 * EACH:
            of_type.append(resource)
    stored = {}
    for written in put(*(r for resources in found.values() for r in resources)):
        stored.setdefault(written.type, []).append(written.resource)  # with the labels that it was given
    return stored


def synthetic():
    """The record of one of Synthea's patients."""
    path = sorted(SYNTHEA.glob("*-*.json.gz"))[0]
    with gzip.open(path, "rt") as file:
        entries = json.load(file)["entry"]
    text = json.dumps([e["resource"] for e in entries])
    for each in entries:
        text = text.replace(each["fullUrl"], f"{each['resource']['resourceType']}/{each['resource']['id']}")
    return json.loads(text)


def values_of(resource, param):
    expression = re.sub(r"\b(?:Domain)?Resource\.", f"{param.type}.", param.expression)  # it knows no supertypes
    return fhirpathpy.evaluate(resource, expression, {}, models["r4"])


def codings(value):
    """(system, code) pairs of a value."""
    if isinstance(value, bool):
        return [(None, "true" if value else "false")]
    if isinstance(value, str):
        return [(None, value)]
    if not isinstance(value, dict):
        return []
    if "coding" in value:
        return [(c.get("system"), c["code"]) for c in value["coding"] if "code" in c]
    if "code" in value:
        return [(value.get("system"), value["code"])]
    if "value" in value and not isinstance(value["value"], dict):
        return [(value.get("system") if "use" not in value and "rank" not in value else None, value["value"])]
    return []


def plain(code):
    return isinstance(code, str) and not re.search(r"[,|$\\\s]|^$", code)


def find(type, name, value):
    query = parse(type, [(name, value), ("_count", "1000")], strict=True, most=1000)
    return {row.id for row in run(query, Everything()).rows}


def checked(examples, kind):
    for type, resources in examples.items():
        for param in parameters(type).values():
            expression = param.expression if param.kind == kind and param.code not in COLUMNS else None
            if expression and not BEYOND.search(expression):
                yield type, param, {r["id"]: values_of(r, param) for r in resources}


def test_tokens(examples):
    looked = 0
    for type, param, values in checked(examples, "token"):
        if param.code in ("phone", "email", "telecom"):
            continue  # compared as numbers and addresses, not as texts
        pairs = {id: {p for v in found for p in codings(v)} for id, found in values.items()}
        for code in sorted({c for found in pairs.values() for _, c in found if plain(c)})[:8]:
            expected = {id for id, found in pairs.items() if any(c == code for _, c in found)}
            assert find(type, param.code, code) == expected, (type, param.code, code)
            looked += 1
        for system, code in sorted({(s, c) for found in pairs.values() for s, c in found if s and plain(c)})[:8]:
            expected = {id for id, found in pairs.items() if (system, code) in found}
            assert find(type, param.code, f"{system}|{code}") == expected, (type, param.code, system, code)
            looked += 1
        missing = {id for id, found in values.items() if not found}
        assert find(type, f"{param.code}:missing", "true") == missing, (type, param.code)
    assert looked > 100


def test_references(examples):
    looked = 0
    for type, param, values in checked(examples, "reference"):
        texts = {id: {v["reference"] for v in found if isinstance(v, dict) and "reference" in v}
                 for id, found in values.items()}  # fmt: skip
        for text in sorted({t for found in texts.values() for t in found if re.fullmatch(r"[A-Z]\w+/[\w.-]+", t)})[:8]:
            expected = {id for id, found in texts.items() if text in found}
            assert find(type, param.code, text) == expected, (type, param.code, text)
            looked += 1
    assert looked > 20


def test_strings(examples):
    looked, chosen = 0, random.Random(1)
    for type, param, values in checked(examples, "string"):
        if param.code == "phonetic":
            continue
        texts = {id: {t for v in found for t in strings(v)} for id, found in values.items()}
        every = sorted({t for found in texts.values() for t in found if re.fullmatch(r"[A-Za-z ]{3,}", t)})
        for text in chosen.sample(every, min(8, len(every))):
            expected = {id for id, found in texts.items() if any(text == t for t in found)}
            assert find(type, f"{param.code}:exact", text) == expected, (type, param.code, text)
            start = text[:3].strip().lower()
            expected = {id for id, found in texts.items() if any(t.lower().startswith(start) for t in found)}
            assert find(type, param.code, start) >= expected, (type, param.code, start)
            looked += 1
    assert looked > 20


def strings(value):
    """The texts of a string, name or address."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        parts = ("family", "given", "prefix", "suffix", "text", "line", "city", "district", "state", "postalCode",
                 "country")  # fmt: skip
        for part in parts:
            found = value.get(part, ())
            yield from [found] if isinstance(found, str) else found


def test_dates(examples):
    looked = 0
    for type, param, values in checked(examples, "date"):
        days = {id: {v[:10] for v in map(date_text, found) if v and len(v) in (10, 20, 24)}
                for id, found in values.items()}  # fmt: skip
        simple = {id for id, found in values.items() if all(date_text(v) for v in found)}
        for day in sorted({d for found in days.values() for d in found})[:8]:
            found = find(type, param.code, day)
            assert found & simple == {id for id in simple if utc(values[id], day)}, (type, param.code, day)
            looked += 1
    assert looked > 10


def date_text(value):
    text = getattr(value, "asStr", value)
    return text if isinstance(text, str) else None


def utc(values, day):
    """Is one of the values within the day in UTC?"""
    from datetime import UTC, datetime

    for value in map(date_text, values):
        if len(value) == 10 and value == day:
            return True
        if len(value) > 10 and datetime.fromisoformat(value).astimezone(UTC).date().isoformat() == day:
            return True
    return False
