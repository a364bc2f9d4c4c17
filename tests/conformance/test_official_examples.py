"""Real resources over HTTP: what is put comes back the same, in JSON to the digit and in XML to the tree."""

import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from records.formats import json as fhir_json
from records.formats import xml as fhir_xml
from tests.api import Api
from tests.test_validation import REFUSED

DATA = Path(__file__).parents[3] / "shared" / "data"
XML = "application/fhir+xml"
OURS = ("versionId", "lastUpdated")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the examples stand beside the checkout, in ../shared/data")


def resources(folder):
    """The bytes of each example, as they are."""
    for path in sorted((DATA / folder).glob("*.ndjson.gz")):
        yield from gzip.decompress(path.read_bytes()).splitlines()


def given(tree):
    """The tree without what the server owns: id, meta.versionId, meta.lastUpdated."""
    meta = {k: v for k, v in tree.get("meta", {}).items() if k not in OURS}
    rest = {k: v for k, v in tree.items() if k not in ("id", "meta")}
    return rest | ({"meta": meta} if meta else {})


def round_trip(api, data):
    """Put one resource and read it in both formats; the refusal, or None when it is the same everywhere."""
    source = fhir_json.parse(data)
    path = f"{source['resourceType']}/{source['id']}"
    put = api.put(path, data)
    if put.status_code not in (200, 201):
        return put
    got = api.get(path, accept="application/fhir+json")
    stored = fhir_json.parse(got.content)
    assert got.content == put.content and stored["id"] == source["id"]
    assert fhir_json.text_equal(given(stored), given(source)), path
    as_xml = api.get(path, accept=XML)
    assert fhir_json.same(fhir_xml.parse(as_xml.content), stored), path
    back = api.put(path, as_xml.content, type=XML, accept="application/fhir+json")
    assert back.status_code == 200, back.content
    assert fhir_json.same(given(fhir_json.parse(back.content)), given(source)), path
    return None


def received(api, data):
    """An AuditEvent is sent and read; the refusal, or None when it comes back the same."""
    posted = api.post("AuditEvent", data)
    if posted.status_code != 201:
        return posted
    got = api.get(f"AuditEvent/{posted.tree['id']}").tree
    got["meta"]["tag"].pop()
    if not got["meta"]["tag"]:
        del got["meta"]["tag"]
    assert fhir_json.text_equal(given(got), given(fhir_json.parse(data)))
    return None


def test_the_official_examples(database):
    api, refused, count = Api(), {}, 0
    for data in resources("examples"):
        count += 1
        if b'"resourceType":"AuditEvent"' in data:
            assert (taken := received(api, data)) is None, taken.content
        elif answer := round_trip(api, data):
            assert answer.status_code in (400, 422)
            source = json.loads(data)
            refused[f"{source['resourceType']}/{source['id']}"] = answer.tree["issue"][0]
    assert count == 106
    assert refused.keys() == REFUSED.keys(), refused
    assert len(refused) <= 0.02 * count
    assert all(issue["expression"] for issue in refused.values())


ODD_ORDERS = (
    b'{"active":true,"resourceType":"Patient","gender":"male"}',
    b'{"active":true,"id":"x","resourceType":"Patient"}',
    b'{"resourceType":"Patient","active":true,"id":"x","gender":"male"}',
    b'{"meta":{"tag":[{"code":"a"}]},"active":true,"resourceType":"Patient"}',
    b'{"resourceType":"Patient","active":true,"id":"x","meta":{"tag":[{"code":"a"}]},"gender":"male"}',
)


@pytest.mark.parametrize("data", ODD_ORDERS)
def test_keys_stay_where_they_are(database, data):
    made = Api().post("Patient", data)
    assert made.status_code == 201, made.content
    assert [k for k in made.tree if k not in ("id", "meta")] == [k for k in json.loads(data) if k not in ("id", "meta")]
    again = Api().put(f"Patient/{made.tree['id']}", {**json.loads(data), "id": made.tree["id"]})
    assert again.status_code == 200
    assert again.headers["ETag"] == 'W/"1"' or b"meta" in data  # where id stands says nothing new


# -- Synthea: the main job


def bundles():
    """The information bundles first: the patients refer to what they hold, by condition."""
    paths = sorted((DATA / "synthea").glob("*.json.gz"), key=lambda p: ("Information" not in p.name, p.name))
    return [gzip.decompress(path.read_bytes()) for path in paths]


def written(answer):
    """Entry by entry: (status, location)."""
    return [(e["response"]["status"], e["response"]["location"].split("/_history")[0]) for e in answer.tree["entry"]]


def moment(observation):
    """When it was made."""
    return datetime.fromisoformat(observation["effectiveDateTime"])


def test_synthea(database):
    """0 refused; the page of one patient and one code is right at once after the last bundle."""
    api, last = Api(), None
    for data in bundles():
        source = json.loads(data)
        answer = api.post("", data)
        assert answer.status_code == 200, answer.content[:2000]
        done = written(answer)
        assert len(done) == len(source["entry"]) and {status for status, _ in done} <= {"200 OK", "201 Created"}
        last = (source, done)
    source, done = last
    (patient,) = [
        location for (_, location), e in zip(done, source["entry"], strict=True)
        if e["resource"]["resourceType"] == "Patient"
    ]  # fmt: skip
    observed = {}
    for (_, location), each in zip(done, source["entry"], strict=True):
        if each["resource"]["resourceType"] == "Observation":
            code = each["resource"]["code"]["coding"][0]["code"]
            observed.setdefault(code, []).append({**each["resource"], "id": location.split("/")[1]})
    assert len(observed) > 5
    for code, expected in sorted(observed.items()):
        page = api.get(f"Observation?patient={patient}&code={code}&_sort=-date&_count=50").tree
        found = [e["resource"] for e in page.get("entry", ())]
        assert all(e["search"]["mode"] == "match" for e in page["entry"])
        assert list(map(moment, found)) == sorted(map(moment, expected), reverse=True)[:50]
        assert {o["id"] for o in found} <= {o["id"] for o in expected} and len({o["id"] for o in found}) == len(found)
        assert all(o["subject"]["reference"] == patient for o in found)
        if len(expected) <= 50:
            assert Counter(o["id"] for o in found) == Counter(o["id"] for o in expected)
            assert "next" not in {link["relation"] for link in page["link"]}
