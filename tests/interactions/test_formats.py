"""JSON and XML both ways, what the client prefers, the headers around it, patches. (http.html#mime-type)"""

import base64
import gzip
import json

import pytest

from fhirserver import requests
from records.formats import json as fhir_json
from records.formats import xml as fhir_xml
from tests.api import Api
from tests.formats.tables import name, table

JSON, XML, PATCH = "application/fhir+json", "application/fhir+xml", "application/json-patch+json"
WEIGHT = (
    b'{"resourceType":"Observation","id":"w","language":"fr","text":{"status":"generated","div":"<div xmlns=\\"http://www'
    b'.w3.org/1999/xhtml\\">72,10 kg</div>"},"status":"final","code":{"coding":[{"system":"http://loinc.org",'
    b'"code":"29463-7"}]},"subject":{"reference":"Patient/p"},"effectiveDateTime":"2026-01-02T10:00:00+01:00",'
    b'"valueQuantity":{"value":72.10,"unit":"kg"},"note":[{"text":"a < b & \\u00e9"}]}'
)
PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Zoé</div>'},
    "identifier": [{"system": "urn:s", "value": "1"}],
    "active": True,
    "name": [{"family": "Lefèvre", "given": ["Zoé"]}],
    "photo": [{"contentType": "image/png", "data": "AAAA"}],
    "contact": [{"name": {"family": "Noël"}}],
}
SUBSETTED = "SUBSETTED"


@pytest.fixture(scope="module")
def api(django_db_setup, django_db_blocker):
    """Two resources to read; tests that write use ids of their own."""
    with django_db_blocker.unblock():
        api = Api()
        assert api.put("Observation/w", WEIGHT).status_code in (200, 201)
        assert api.put("Patient/p", PATIENT).status_code in (200, 201)
        yield api


def tree(answer):
    """The resource of an answer in either format, without what the server adds."""
    kind = answer.headers["Content-Type"]
    assert kind in (f"{JSON}; charset=utf-8", f"{XML}; charset=utf-8")
    found = (fhir_json if kind.startswith(JSON) else fhir_xml).parse(answer.content)
    return {k: v for k, v in found.items() if k != "meta"}


def kind(answer):
    return answer.headers["Content-Type"].removesuffix("; charset=utf-8")


# -- JSON and XML


def test_the_four_ways(api):
    given = fhir_json.parse(WEIGHT)
    for sent in (JSON, XML):
        data = WEIGHT if sent == JSON else fhir_xml.dump(given)
        for wanted in (JSON, XML):
            answer = api.put("Observation/w", data, type=sent, accept=wanted)
            assert (answer.status_code, kind(answer)) == (200, wanted)
            assert fhir_json.text_equal(tree(answer), given)
            assert answer.tree is None or answer.tree["meta"]["versionId"] == "1"  # in either format it says the same


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("text/json", JSON),
        ("text/xml", XML),
        ("application/xml", XML),
        (XML, XML),
        (f"{XML}, {JSON}", XML),
        (f"{JSON}, {XML}", JSON),
        (f"{XML};q=0.5, {JSON};q=0.9", JSON),
        (f"{JSON};q=0.1, {XML};q=0.2", XML),
        (f"*/*, {XML}", XML),
        (f"*/*;q=0.9, {JSON};q=0", XML),
        (f"{XML};q=0, */*", JSON),
        (f"text/html, {XML};q=0.9, */*;q=0.8", XML),
        (f"{JSON}; fhirVersion=4.0", JSON),
        (f"{JSON}; fhirVersion=3.0, {XML}; fhirVersion=4.0", XML),
        (f"{XML};q=x, {JSON};q=0.1", JSON),
        (f"{XML} ; charset=utf-8", XML),
        ("APPLICATION/FHIR+XML", XML),
        (",,,*/*", JSON),
    ],
)
def test_accept(api, accept, expected):
    answer = api.get("Patient/p", **({} if accept is None else {"accept": accept}))
    assert (answer.status_code, kind(answer)) == (200, expected)


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("json", JSON),
        ("xml", XML),
        ("application/json", JSON),
        ("text/xml", XML),
        ("application/fhir%2Bxml", XML),
        ("application/fhir+xml", XML),
        ("application/fhir%2Bjson;fhirVersion=4.0", JSON),
    ],
)
def test_format_wins_over_accept(api, format, expected):
    other = XML if expected == JSON else JSON
    assert kind(api.get(f"Patient/p?_format={format}", accept=other)) == expected
    assert kind(api.get(f"Patient?_id=p&_format={format}", accept=other)) == expected
    assert kind(api.get(f"Patient/absent?_format={format}", accept=other)) == expected
    form = f"_id=p&_format={format}&_pretty=true".encode()
    sent = api.request("POST", "Patient/_search", form, type="application/x-www-form-urlencoded", accept=other)
    assert kind(sent) == expected and sent.content.count(b"\n") > 5


def test_pretty(api):
    plain, pretty = api.get("Observation/w"), api.get("Observation/w?_pretty=true")
    assert b"\n" not in plain.content and b'\n  "status": "final"' in pretty.content
    assert b"72.10" in pretty.content and pretty.json() == plain.json()
    assert b'\n  <status value="final"/>' in api.get("Observation/w?_pretty=true&_format=xml").content
    assert api.get("Observation/w?_pretty=false").content == plain.content
    assert b'\n  "resourceType": "OperationOutcome"' in api.get("Patient/absent?_pretty=true").content


def test_every_kind_of_answer_in_xml(api):
    for path in (
        "metadata",
        "Patient?_id=p",
        "Patient/p/_history",
        "Patient/absent",
        "Patient/p/$meta",
        "Patient/p/_history/1",
    ):
        answer = api.get(path, accept=XML)
        assert kind(answer) == XML
        assert tree(answer)["resourceType"] in answer.content.decode()[:80]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/p"}}]}
    answer = api.post("", fhir_xml.dump(bundle), type=XML, accept=XML)
    assert tree(answer)["entry"][0]["resource"]["id"] == "p"


def test_head(api):
    for path in ("Patient/p", "Patient?_id=p", "metadata", "Patient/p/_history"):
        got, head = api.get(path), api.request("HEAD", path)
        assert head.status_code == 200 and head.content == b""
        for header in ("Content-Type", "ETag", "Last-Modified"):
            assert head.headers.get(header) == got.headers.get(header)
    assert api.request("HEAD", "Patient/absent").status_code == 404


# -- gzip


def test_gzip_of_a_request(api):
    answer = api.put("Observation/w", gzip.compress(WEIGHT), content_encoding="gzip")
    assert answer.status_code == 200 and fhir_json.text_equal(tree(answer), fhir_json.parse(WEIGHT))


@pytest.mark.parametrize(
    ("encodings", "packed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("*", True),
        ("GZIP", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("xgzip", False),
        ("deflate", False),
    ],
)
def test_gzip_of_an_answer(api, encodings, packed):
    answer = api.get("metadata", accept_encoding=encodings)
    assert (answer.headers.get("Content-Encoding") == "gzip") == packed
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert "Accept-Encoding" in answer.headers["Vary"]
    body = gzip.decompress(answer.content) if packed else answer.content
    assert json.loads(body)["resourceType"] == "CapabilityStatement"


def test_a_small_answer_is_sent_as_it_is(api):
    assert "Content-Encoding" not in api.get("Patient/absent", accept_encoding="gzip").headers


# -- CORS


def test_cors_preflight(api, settings):
    settings.FHIRSERVER_CORS_ORIGINS = ["https://app.example"]
    asked = {
        "origin": "https://app.example",
        "access_control_request_method": "PUT",
        "access_control_request_headers": "authorization, if-match",
    }
    answer = Api(token="").request("OPTIONS", "Patient/p", **asked)
    assert answer.status_code == 204 and answer.content == b"" and "Content-Type" not in answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "If-Match"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    other = Api(token="").request("OPTIONS", "Patient/p", **{**asked, "origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Origin" in other.headers["Vary"]


def test_cors_of_answers(api, settings):
    settings.FHIRSERVER_CORS_ORIGINS = ["https://app.example"]
    read = api.get("Patient/p", origin="https://app.example")
    assert read.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert {"Location", "ETag"} <= set(read.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in read.headers  # tokens are sent by the page, never by the browser
    assert "Access-Control-Allow-Origin" not in api.get("Patient/p", origin="https://evil.example").headers
    assert "Access-Control-Allow-Origin" in api.get("Patient/absent", origin="https://app.example").headers
    anybody = Api(token="").get("metadata", origin="https://evil.example")
    assert anybody.headers["Access-Control-Allow-Origin"] == "https://evil.example"
    settings.FHIRSERVER_CORS_ORIGINS = []
    assert "Access-Control-Allow-Origin" not in api.get("Patient/p", origin="https://app.example").headers


# -- Binary


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/html", b"<script>alert(1)</script>"),
        ("image/svg+xml", b"<svg onload='alert(1)'/>"),
        ("application/pdf", b"%PDF-1.7\x00\xff"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9"),
        ("application/json", b"1"),
        ("application/x-www-form-urlencoded", b"a=b"),
    ],
)
def test_raw_content_in_and_out(api, content_type, content):
    made = api.post("Binary", content, type=content_type, x_security_context="Patient/p")
    assert made.status_code == 201, made.content
    resource = api.get(f"Binary/{made.tree['id']}", accept=JSON).tree
    assert resource["contentType"] == content_type and base64.b64decode(resource["data"]) == content
    assert resource["securityContext"] == {"reference": "Patient/p"}
    for accept in ("*/*", "text/html", "image/png, */*;q=0.1"):
        raw = api.get(f"Binary/{made.tree['id']}", accept=accept)
        assert (raw.status_code, raw.content, raw.headers["Content-Type"]) == (200, content, content_type)
        assert raw.headers["Content-Disposition"] == "attachment"
        assert raw.headers["X-Content-Type-Options"] == "nosniff"
        assert raw.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert (raw.headers["X-Security-Context"], raw.headers["ETag"]) == ("Patient/p", 'W/"1"')
    again = api.put(f"Binary/{made.tree['id']}", content + b"!", type=content_type)
    assert (again.status_code, again.headers["ETag"]) == (200, 'W/"2"')
    assert api.get(f"Binary/{made.tree['id']}/_history/1", accept="*/*").content == content
    assert api.get(f"Binary/{made.tree['id']}", accept="*/*").content == content + b"!"


def test_a_binary_belongs_to_the_patient_of_its_context(api):
    mine = api.post("Binary", b"x", type="text/plain", x_security_context="Patient/p").tree["id"]
    other = api.post("Binary", b"x", type="text/plain", x_security_context="Patient/q").tree["id"]
    phone = Api("patient/Binary.r", name="phone", patient="p")
    assert phone.get(f"Binary/{mine}").status_code == 200
    assert phone.get(f"Binary/{other}").status_code == 404


def test_a_content_type_that_no_header_can_hold(api):
    binary = {"resourceType": "Binary", "contentType": "text/html\nX-Evil: 1", "data": "AAAA"}
    made = api.post("Binary", binary)
    raw = api.get(f"Binary/{made.tree['id']}", accept="*/*")
    assert raw.headers["Content-Type"] == "application/octet-stream" and "X-Evil" not in raw.headers


def test_a_search_of_binaries_is_no_raw_content(api):
    assert kind(api.get("Binary", accept="*/*")) == JSON
    assert api.get("Binary", accept="image/png").status_code == 406


# -- _summary and _elements


SUBSETS = [
    ("_summary=true", {"identifier", "active", "name"}),
    ("_summary=text", {"text"}),
    ("_summary=data", {"identifier", "active", "name", "photo", "contact"}),
    ("_elements=name", {"name"}),
    ("_elements=name,active", {"name", "active"}),
]


@pytest.mark.parametrize(("query", "keys"), SUBSETS)
def test_a_part_of_a_resource(api, query, keys):
    in_batch = api.post(
        "",
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": f"Patient/p?{query}"}}],
        },
    )
    read = api.get(f"Patient/p?{query}")
    found = [
        read.tree,
        api.get(f"Patient/p/_history/1?{query}").tree,
        api.get(f"Patient?_id=p&{query}").tree["entry"][0]["resource"],
        in_batch.tree["entry"][0]["resource"],
    ]
    for each in found:
        assert each.keys() == {"resourceType", "id", "meta"} | keys
        assert each["meta"]["tag"][-1]["code"] == SUBSETTED and each["meta"]["versionId"] == "1"
    assert read.headers["ETag"] == 'W/"1"'


def test_required_elements_stay(api):
    assert {"status", "code"} <= api.get("Observation/w?_elements=note").tree.keys()
    assert {"status", "code"} <= api.get("Observation/w?_summary=text").tree.keys()
    assert "valueQuantity" in api.get("Observation/w?_elements=value").tree


def test_what_cuts_nothing(api):
    whole = api.get("Patient/p").content
    assert api.get("Patient/p?_summary=false").content == whole
    count = api.get("Patient?_id=p&_summary=count").tree
    assert (count["total"], "entry" in count) == (1, False)
    full = api.get("Patient?_id=p&_summary=false").tree["entry"][0]["resource"]
    assert full == json.loads(whole)


# -- Prefer


def test_prefer(api):
    for method, path, body in (
        ("POST", "Patient", {k: v for k, v in PATIENT.items() if k != "id"}),
        ("PUT", "Patient/p", PATIENT),
    ):
        minimal = api.request(method, path, body, prefer="return=minimal")
        assert minimal.content == b"" and minimal.headers["ETag"] == 'W/"1"' and "Content-Type" not in minimal.headers
        whole = api.request(method, path, body, prefer="return=representation; handling=lenient")
        assert whole.tree["name"] == PATIENT["name"]
        told = api.request(method, path, body, prefer='return="OperationOutcome"')
        assert told.tree["resourceType"] == "OperationOutcome"
        assert api.request(method, path, body, prefer="return=everything").tree["resourceType"] == "Patient"


# -- the address that the client used


def location(api, **headers):
    answer = api.post("Patient", {"resourceType": "Patient"}, **headers)
    assert answer.status_code == 201, answer.content
    return answer.headers["Location"].partition("/Patient/")[0]


FORWARDED = [
    ({"x_forwarded_host": "fhir.example", "x_forwarded_proto": "https"}, "https://fhir.example/fhir"),
    ({"x_forwarded_host": "fhir.example:8443"}, "http://fhir.example:8443/fhir"),
    ({"x_forwarded_host": "a.example, b.example", "x_forwarded_proto": "https, http"}, "https://a.example/fhir"),
    ({"forwarded": "for=1.2.3.4;host=fhir.example;proto=https"}, "https://fhir.example/fhir"),
    ({"forwarded": 'host="fhir.example:8443";proto=https, host=other.example'}, "https://fhir.example:8443/fhir"),
    ({"forwarded": "host=a.example", "x_forwarded_host": "b.example"}, "http://a.example/fhir"),
    ({"x_forwarded_host": "fhir.example", "x_forwarded_prefix": "/hospital/"}, "http://fhir.example/hospital/fhir"),
    ({"x_forwarded_host": "fhir.example", "x_forwarded_prefix": "//evil.example"}, "http://fhir.example/fhir"),
    ({"x_forwarded_host": "evil.example/x?"}, "http://testserver/fhir"),
    ({"x_forwarded_host": "fhir.example", "x_forwarded_proto": "javascript"}, "http://testserver/fhir"),
    ({}, "http://testserver/fhir"),
]


@pytest.mark.parametrize(("headers", "expected"), FORWARDED)
def test_behind_a_proxy(api, settings, headers, expected):
    settings.FHIRSERVER_TRUSTED_PROXIES = ["127.0.0.0/8"]
    requests.trusted.cache_clear()
    try:
        assert location(api, **headers) == expected
        bundle = api.get("Patient?_count=1", **headers).tree
        assert bundle["entry"][0]["fullUrl"].startswith(f"{expected}/Patient/")
        assert all(link["url"].startswith(f"{expected}/Patient?") for link in bundle["link"])
        history = api.get("Patient/_history?_count=1", **headers).tree
        assert all(link["url"].startswith(f"{expected}/Patient/_history?") for link in history["link"])
    finally:
        settings.FHIRSERVER_TRUSTED_PROXIES = []
        requests.trusted.cache_clear()


def test_nobody_else_is_believed(api, settings):
    for proxies in ([], ["10.0.0.0/8"]):
        settings.FHIRSERVER_TRUSTED_PROXIES = proxies
        requests.trusted.cache_clear()
        for headers, _ in FORWARDED:
            assert location(api, **headers) == "http://testserver/fhir"
    settings.FHIRSERVER_TRUSTED_PROXIES = []
    requests.trusted.cache_clear()


def test_a_configured_base_url_wins(api, settings):
    settings.FHIRSERVER_BASE_URL = "https://record.example/r4/fhir"
    assert location(api, x_forwarded_host="evil.example") == settings.FHIRSERVER_BASE_URL
    statement = Api(token="").get("metadata").tree
    assert statement["implementation"]["url"] == settings.FHIRSERVER_BASE_URL
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"{settings.FHIRSERVER_BASE_URL}/Patient/p"},
    }
    id = api.post("Observation", body).tree["id"]
    assert Api("patient/*.rs", name="phone", patient="p").get(f"Observation/{id}").status_code == 200


# -- patches


CASES = table("http_patch.json")  # changes: elements after the patch, null: gone


def changed(row):
    """The patient with the changes of a row."""
    return {k: v for k, v in ({**PATIENT, "id": "patched"} | row["changes"]).items() if v is not None}


@pytest.mark.parametrize("row", CASES["applied"], ids=name)
def test_json_patch(api, row):
    api.put("Patient/patched", {**PATIENT, "id": "patched"})
    answer = api.patch("Patient/patched", row["patch"], type=PATCH)
    assert answer.status_code == 200, answer.content
    assert {k: v for k, v in answer.tree.items() if k != "meta"} == changed(row)
    assert api.get("Patient/patched").content == answer.content


MALFORMED = [
    row for row in table("jsonpatch.json", "refused") if row["error"] == "BadRequest" and isinstance(row["patch"], list)
]


@pytest.mark.parametrize("row", MALFORMED, ids=name)
def test_malformed_json_patch(api, row):
    answer = api.patch("Patient/p", fhir_json.dump(row["patch"]), type=PATCH)
    assert answer.status_code == 400, answer.content
    assert row["says"] in answer.tree["issue"][0]["diagnostics"] and answer.tree["issue"][0]["expression"] == [
        row["at"]
    ]


@pytest.mark.parametrize("row", CASES["refused"], ids=name)
def test_json_patch_refused(api, row):
    before = api.get("Patient/p").content
    answer = api.patch("Patient/p", row["text"].encode() if "text" in row else row["patch"], type=PATCH)
    assert answer.status_code == row["status"], answer.content
    assert row["says"] in str(answer.tree["issue"])
    assert api.get("Patient/p").content == before


def test_there_are_enough_json_patches():
    assert len(CASES["applied"]) + len(MALFORMED) + len(CASES["refused"]) >= 30


@pytest.mark.parametrize("format", [JSON, XML])
@pytest.mark.parametrize("row", CASES["fhirpath"], ids=name)
def test_fhirpath_patch(api, row, format):
    api.put("Patient/patched", {**PATIENT, "id": "patched"})
    body = {"resourceType": "Parameters", "parameter": [row["operation"]]}
    answer = api.patch("Patient/patched", body if format == JSON else fhir_xml.dump(body), type=format, accept=format)
    assert answer.status_code == 200, answer.content
    assert tree(answer) == changed(row)


def test_xml_patch_is_not_served(api):
    answer = api.patch("Patient/p", b"<diff/>", type="application/xml-patch+xml")
    assert answer.status_code == 415 and "application/json-patch+json" in answer.tree["issue"][0]["diagnostics"]


def test_a_patch_with_conditions(api):
    api.put("Patient/patched", {**PATIENT, "id": "patched"})
    version = api.get("Patient/patched").headers["ETag"]
    patch = [{"op": "add", "path": "/language", "value": "fr"}]
    assert api.patch("Patient/patched", patch, type=PATCH, if_match='W/"99999"').status_code == 412
    assert api.patch("Patient/patched", patch, type=PATCH, if_match=version).status_code == 200
    same = api.patch("Patient/patched", patch, type=PATCH)
    assert same.status_code == 200 and same.headers["ETag"] == api.get("Patient/patched").headers["ETag"]
    api.delete("Patient/patched")
    assert api.patch("Patient/patched", patch, type=PATCH).status_code == 410
