"""Attacks with what is sent: content, names, sizes, paths. (A55, A56, A72-A88)

The tables of fixtures/cases/bad_requests.json, and the tests of the formats and of the wire, have many more of each.
"""

import base64
import gzip
import json
from urllib.parse import unquote

import pytest

from records.errors import MOST_ISSUES
from records.search import parse
from tests.accessctl.people import observation
from tests.api import Api, indexed

XHTML = "http://www.w3.org/1999/xhtml"
IN_XML = {"type": "application/fhir+xml", "accept": "application/fhir+json"}
FHIR = 'xmlns="http://hl7.org/fhir"'
ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def api(database):
    return Api()


def refused(answer, *statuses):
    """A 4xx with an OperationOutcome that says neither SQL nor stack."""
    assert answer.status_code in (statuses or range(400, 500)), answer.content
    assert answer.tree["resourceType"] == "OperationOutcome" and answer.tree["issue"][0]["diagnostics"]
    assert not any(w in answer.content for w in (b"Traceback", b"SELECT ", b"psycopg", b"<html"))
    return answer


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript"])
def test_A55_no_browser_runs_a_binary(api, kind):
    page = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"
    body = {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(page).decode()}
    id = api.post("Binary", body).tree["id"]
    for path in (f"Binary/{id}", f"Binary/{id}/_history/1"):
        for accept in (kind, "*/*;q=0.1", "text/html,application/xhtml+xml,*/*;q=0.8"):
            answer = api.get(path, accept=accept)
            assert answer.status_code == 200 and answer.headers["X-Content-Type-Options"] == "nosniff"
            if "fhir" not in answer.headers["Content-Type"]:
                assert answer.content == page
                assert answer.headers["Content-Disposition"].startswith("attachment")
                assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "inner",
    ["<script>alert(1)</script>", '<img src="x" onerror="alert(1)"/>', '<a href="javascript:alert(1)">x</a>',
     '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "<iframe src='http://evil.example'/>",
     "<form action='http://evil.example'><input/></form>", "<p onclick='alert(1)'>x</p>",
     '<a href=" java&#x09;script:alert(1)">x</a>', "<object data='x'/>", "<style>@import url(http://x)</style>",
     "<link rel='stylesheet' href='http://evil.example'/>", "<meta http-equiv='refresh' content='0'/>",
     '<a href="data:text/html,x">x</a>', "<base href='http://evil.example/'/>", "<embed src='x'/>",
     '<a href="vbscript:x">x</a>'],
)  # fmt: skip
def test_A56_a_narrative_holds_nothing_that_runs(api, inner):
    for div in (f'<div xmlns="{XHTML}">{inner}</div>', f'<div xmlns="{XHTML}"><p><b>{inner}</b></p></div>'):
        body = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
        refused(api.post("Patient", body), 400, 422)
        xml = f'<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/>{div}</text></Patient>'
        answer = api.post("Patient", xml.encode(), **IN_XML)
        refused(answer, 400, 422)
    assert api.get("Patient?_summary=count").tree["total"] == 0


def test_A72_A73_a_subscription_sends_nothing(world, trap):
    """Nothing delivers here yet: whatever a Subscription names, nobody is asked, now or when its matter changes."""
    for endpoint in ("http://169.254.169.254/latest", "http://localhost:8000/", "http://[::1]/", "file:///etc/passwd"):
        body = {
            "resourceType": "Subscription", "status": "requested", "reason": "x",
            "criteria": f"Observation?patient={world.a}",
            "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json",
                        "header": ["X-A: b\r\nX-Evil: 1"]},
        }  # fmt: skip
        for who in (world.other, world.doctor):
            made = who.post("Subscription", body)
            assert made.status_code in (201, 400, 403, 422), made.content
            if made.status_code == 201:  # the sender's own note, that nobody acts upon
                assert made.tree is None or made.tree["status"] != "active"
    world.observation()
    indexed()
    assert world.patient.get("Subscription").tree.get("entry") is None


def test_A74_nothing_is_fetched_for_what_a_resource_names(world, trap):
    url = "http://127.0.0.1:9/evil"
    profiled = observation(world.a) | {"meta": {"profile": [url]}, "implicitRules": None}
    del profiled["implicitRules"]
    document = {
        "resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{world.a}"},
        "content": [{"attachment": {"url": url, "contentType": "text/plain"}}],
    }  # fmt: skip
    valued = {"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": "1", "type": "choice", "answerValueSet": url}]}  # fmt: skip
    for body in (profiled, document, valued):
        type = body["resourceType"]
        assert world.system.post(type, body).status_code in (201, 400, 422)
        assert world.system.post(f"{type}/$validate?profile={url}", body).status_code in (200, 400, 422)
    indexed()
    for path in (f"Observation?code:in={url}", f"Observation?code:not-in={url}", f"Observation?code:below={url}|x",
                 f"Observation?subject={url}/Patient/1", f"Observation?_profile={url}"):  # fmt: skip
        assert world.system.get(path).status_code < 500


@pytest.mark.parametrize(
    "query",
    ["identifier__x=1", "_connector=OR&_negated=1", "name__regex=.*", "identifier__system__startswith=u", "pk=1",
     "body__contains=x", "_sort=;drop table resource", "_sort=name);--", "_sort=-(select 1)", "_elements=body;--",
     "name=') OR 1=1 --", "_id=x' OR 'a'='a", "identifier=a|b') OR TRUE --", "r.labels=0", "_has:Patient:link:x'=1",
     "_has:Observation:subject:code);--=1", "_include=Patient:link;--", "_type=Patient);--", "%s=%s", "name=%s%%(x)s",
     "name:missing=true) OR (TRUE", "birthdate=ge2000') OR TRUE --", "_filter=name eq 'x') or (1 eq 1"],
)  # fmt: skip
def test_A75_no_name_and_no_value_becomes_sql_or_orm(world, query):
    world.observation()
    indexed()
    who = world.other
    for path in (f"Patient?{query}", f"Patient?{query.replace('=', '%3D', 1)}", f"Observation?{query}"):
        answer = who.get(path, prefer="handling=strict")
        if answer.status_code != 200:
            refused(answer, 400, 403, 404, 422)
        lenient = who.get(path)
        assert lenient.status_code < 500
        for each in (answer, lenient):
            if each.status_code == 200:
                shown = {e["resource"].get("id") for e in each.tree.get("entry", ())}
                assert shown <= {world.b, None}, path


def test_A76_what_means_something_to_a_pattern_is_literal(api):
    """Punctuation may be passed over, as FHIR has it for strings; it never stands for letters."""
    families = ("Dupont", "Du%ont", "Du_ont", "Du\\ont", "a:*b")
    for family in families:
        api.post("Patient", {"resourceType": "Patient", "name": [{"family": family}]})
    indexed()

    def found(modifier, value):
        page = api.get(f"Patient?family{modifier}={value}").tree
        return {e["resource"]["name"][0]["family"] for e in page.get("entry", ())}

    for value in ("%25", "_", "Du%25ont", "Du_ont", "D.*t", "Du.ont", "%7C", "D%25t"):
        assert "Dupont" not in found(":contains", value) | found(":exact", value) | found("", value), value
        assert found(":exact", value) <= {unquote(value).replace("\\\\", "\\")}
    assert found(":exact", "Du%25ont") == {"Du%ont"} and found(":contains", "upon") == {"Dupont"}


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient {FHIR}><id value="&x;"/></Patient>',
        f'<!DOCTYPE p [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x">%x;]><Patient {FHIR}/>',
        f'<!DOCTYPE Patient SYSTEM "http://127.0.0.1:9/x.dtd"><Patient {FHIR}/>',
        f'<?xml-stylesheet href="http://127.0.0.1:9/x.xsl"?><Patient {FHIR}><id value="1"/></Patient>',
        f'<Patient {FHIR}><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd"/></Patient>',
    ],
)
def test_A77_xml_reads_nothing_but_itself(api, trap, text):
    answer = api.post("Patient", text.encode(), **IN_XML)
    assert b"root:" not in answer.content
    if "stylesheet" not in text:
        refused(answer, 400)
    hidden = base64.b64encode(text.encode()).decode()
    assert api.post("Binary", {"resourceType": "Binary", "contentType": "text/xml", "data": hidden}).status_code == 201


def test_A78_entities_do_not_expand(api):
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    quadratic = f'<!DOCTYPE p [<!ENTITY a "{"a" * 50000}">]>'
    for head, inner in (
        (f'<!DOCTYPE p [<!ENTITY l0 "ha">{laughs}]>', '<id value="&l11;"/>'),
        (quadratic, "&a;" * 5000),
    ):
        text = f"{head}<Patient {FHIR}>{inner}</Patient>"
        refused(api.post("Patient", text.encode(), **IN_XML), 400)
        div = f'{head}<div xmlns="{XHTML}">{inner}</div>'
        refused(api.post("Patient", {"resourceType": "Patient", "text": {"status": "generated", "div": div}}), 400, 422)


@pytest.mark.parametrize("levels", [2_000, 5_000, 100_000])
@pytest.mark.parametrize("opening", ['{"a":', "[", '{"extension":[{"url":"a",'])
def test_A79_depth_is_refused(api, levels, opening):
    for body in (opening * levels, f'{{"resourceType":"Patient","x":{opening * levels}'):
        refused(api.post("Patient", body.encode()), 400)
        refused(api.post("", body.encode()), 400)


def weighing(number):
    value = f'"valueQuantity":{{"value":{number}}}'
    return f'{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},{value}}}'.encode()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "01", "+1", ".5"])
def test_A80_odd_numbers_are_refused(api, number):
    refused(api.post("Observation", weighing(number)), 400)


def test_A80_a_number_keeps_its_digits(api):
    for number in ("1.10", "0.1000000000000000000001", "123456789012345678901234567890", "1e3", "-0.0"):
        made = api.post("Observation", weighing(number))
        assert made.status_code == 201, made.content
        assert f'"value":{number}}}'.encode() in api.get(f"Observation/{made.tree['id']}").content


@pytest.mark.parametrize(
    "text",
    [
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\x00"',
        b'"\x01"',
    ],
)
def test_A81_odd_strings_are_refused(api, text):
    refused(api.post("Patient", b'{"resourceType":"Patient","name":[{"family":' + text + b"}]}"), 400, 422)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
def test_A81_other_encodings_are_refused(api, encoding):
    refused(api.post("Patient", '{"resourceType":"Patient"}'.encode(encoding)), 400)


def test_A82_two_readings_of_one_body_are_refused(api):
    for body in (
        b'{"resourceType":"Patient","id":"a","id":"b"}',
        b'{"resourceType":"Patient","active":true,"\\u0061ctive":false}',
        b'{"resourceType":"Patient"}{"resourceType":"Patient"}',
        b'{"resourceType":"Patient",}',
        b"{'resourceType':'Patient'}",
        b'{"resourceType":"Patient"/**/}',
        b'<Patient xmlns="http://hl7.org/fhir"/>',
    ):
        refused(api.post("Patient", body), 400)
    answer = api.post("Patient", b'{"resourceType":"Patient"}', **IN_XML)
    refused(answer, 400)
    assert api.get("Patient?_summary=count").tree["total"] == 0


def test_A83_sizes_are_bounded(api, settings):
    settings.FHIRSERVER_MAX_BODY = 100_000
    settings.FHIRSERVER_MAX_ENTRIES = 50
    large = json.dumps({"resourceType": "Patient", "name": [{"family": "a" * 200_000}]}).encode()
    refused(api.post("Patient", large), 413)
    refused(api.post("Patient", gzip.compress(large), content_encoding="gzip"), 413)
    refused(api.post("Patient", gzip.compress(b" " * 50_000_000), content_encoding="gzip"), 413)
    refused(api.post("Patient", b"x", content_encoding="br"), 415)
    refused(api.post("Patient", gzip.compress(gzip.compress(b"{}")), content_encoding="gzip, gzip"), 415)
    entry = {"request": {"method": "GET", "url": "Patient/x"}}
    for kind in ("batch", "transaction"):
        refused(api.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry] * 51}), 413)


@pytest.mark.parametrize(
    "path",
    [
        "Patient?" + "&".join(f"name=a{n}" for n in range(1500)),
        "Patient?_id=" + ",".join(f"a{n}" for n in range(60_000)),
        "Patient?_filter=" + "(" * 500 + "name eq x" + ")" * 500,
        "Patient?_filter=" + "not (" * 200 + "name eq x" + ")" * 200,
    ],
    ids=["parameters", "values", "parentheses", "negations"],
)  # fmt: skip
def test_A84_a_query_is_bounded(api, path):
    answer = api.get(path, prefer="handling=strict")
    assert answer.status_code in (200, 400, 403, 413, 414, 422, 503) and answer.tree
    assert len(answer.content) < 1_000_000


def test_A84_pages_and_steps_are_bounded(api):
    made = [api.post("Patient", {"resourceType": "Patient"}).tree["id"] for _ in range(3)]
    for one, other in zip(made, made[1:] + made[:1], strict=True):
        link = [{"other": {"reference": f"Patient/{other}"}, "type": "seealso"}]
        api.put(f"Patient/{one}", {"resourceType": "Patient", "id": one, "link": link})
    indexed()
    page = api.get(f"Patient?_id={made[0]}&_include:iterate=Patient:link&_revinclude:iterate=Patient:link").tree
    assert sorted(e["resource"]["id"] for e in page["entry"]) == sorted(made)
    assert parse("Patient", (("_count", "999999999999999999999"),)).count <= 1000
    chain = "link:Patient." * 10 + "name"
    assert api.get(f"Patient?{chain}=x").status_code in (200, 400)


@pytest.mark.parametrize(
    "name",
    ["link:Patient." * 200 + "name", "link." * 400 + "name", "_has:Patient:link:" * 200 + "name",
     "_has:Observation:focus:" * 30 + "status", "focus." * 6 + "status", "focus." * 18 + "status",
     "_has:Observation:patient:focus." + "focus." * 17 + "status"],
    ids=["chain", "chain without types", "_has", "_has of anything", "three times as many at each step", "so for long",
         "both"],
)  # fmt: skip
def test_A84_a_chain_of_any_length_is_answered(api, name):
    type = "Observation" if name.startswith("focus") else "Patient"
    for query in (f"{name}=x", *(() if "_has" in name else (f"_filter={name} eq x",))):
        answer = api.get(f"{type}?{query}")
        assert answer.status_code == 400 and answer.tree["issue"][0]["code"] == "too-costly", answer.content[:300]


def test_A84_chains_count_together(api):
    for query in ("focus.subject.name=x&" * 5, "_filter=" + " and ".join(["focus.subject.name eq x"] * 5)):
        answer = api.get(f"Observation?{query}")
        assert answer.status_code == 400 and answer.tree["issue"][0]["code"] == "too-costly", answer.content[:300]


@pytest.mark.parametrize(
    "query",
    ["Provenance?target._lastUpdated=ge2000", "Observation?focus.subject.name=x", "Observation?focus.focus.status=x",
     "Patient?" + "link:Patient." * 20 + "name=x", "Patient?" + "_has:Patient:link:" * 20 + "name=x",
     "Observation?_filter=subject.name eq x", "List?item.subject.name=x"],
)  # fmt: skip
def test_A84_what_people_ask_is_within_bounds(api, query):
    assert api.get(query, prefer="handling=strict").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["Observation?date=" + "2020-" * 5000, "Observation?date=ge" + "0" * 50_000, "Patient?_id=" + "a" * 50_000,
     "Patient?identifier=" + "|" * 50_000, "Observation?value-quantity=" + "1" * 50_000,
     "Observation?_filter=" + '"' + "\\\\" * 20_000, "Patient?phone=" + "a!" * 20_000, "Patient/" + "a." * 20_000,
     "Observation?_lastUpdated=" + "9" * 20_000, "Patient?name=" + "&#x" * 10_000],
    ids=["date", "zeros", "id", "token", "number", "filter", "phone", "path", "instant", "entities"],
)  # fmt: skip
def test_A85_no_pattern_runs_away(api, path):
    """A pattern that backtracks would take minutes here: the test's own time limit is the judge."""
    answer = api.get(path)
    assert answer.status_code < 500 and answer.tree


def test_A85_no_invariant_runs_away(api):
    long = "a" * 30_000
    for body in (
        {"resourceType": "Patient", "birthDate": "1" * 30_000},
        {"resourceType": "Patient", "id": long, "contact": [{"gender": "male"}] * 500},
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "2020-" * 6000},
        {"resourceType": "Patient", "link": [{"type": "seealso", "other": {"reference": "http://" + "a/" * 15_000}}]},
        {"resourceType": "ValueSet", "status": "draft", "url": "urn:uuid:" + long, "name": long},
    ):
        answer = api.post(body["resourceType"], body)
        assert answer.status_code in (201, 400, 422)
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "delete"},
        {"name": "path", "valueString": "Patient" + ".descendants()" * 40},
    ]}]}  # fmt: skip
    id = api.post("Patient", {"resourceType": "Patient", "name": [{"family": "x"}]}).tree["id"]
    refused(api.patch(f"Patient/{id}", patch), 400, 422)


def test_A86_no_header_is_made_of_what_is_sent(api, settings):
    for header, value in (
        ("host", "evil.example"), ("x_forwarded_host", "evil.example"), ("forwarded", "host=evil.example"),
        ("x_forwarded_proto", "javascript"), ("x_forwarded_prefix", "/evil"),
    ):  # fmt: skip
        answer = api.post("Patient", {"resourceType": "Patient"}, **{header: value})
        told = f"{answer.headers} {answer.content}"
        assert "evil" not in told and "javascript" not in told
        assert answer.status_code == (400 if header == "host" else 201)
    for name in ("if_none_exist", "prefer", "x_request_id", "origin", "idempotency_key", "x_security_context"):
        answer = api.post("Patient", {"resourceType": "Patient"}, **{name: "identifier=a|b\r\nX-Evil: 1"})
        assert answer.status_code < 500
        assert "X-Evil" not in answer.headers and not any("\n" in v or "\r" in v for v in answer.headers.values())
    settings.FHIRSERVER_BASE_URL = "https://record.example/fhir"
    made = api.post("Patient", {"resourceType": "Patient"}, host="localhost", x_forwarded_host="evil.example")
    assert made.headers["Location"].startswith("https://record.example/fhir/Patient/")


def test_A87_a_method_is_the_one_of_the_request(world):
    id = world.observation(world.b, by=world.other)
    for override in ({"x_http_method_override": "DELETE"}, {"x_http_method": "DELETE"}, {"x_method_override": "PUT"}):
        assert world.other.get(f"Observation/{id}", **override).status_code == 200
        refused(world.other.post(f"Observation/{id}", {}, **override), 400, 404, 405)
    for path in (f"Observation/{id}?_method=DELETE", f"Observation/{id}?method=DELETE"):
        assert world.other.get(path).status_code == 200
    for method in ("TRACE", "CONNECT", "PROPFIND", "LINK"):
        assert world.other.request(method, f"Observation/{id}").status_code in (400, 405, 501)
    refused(world.other.put(f"Observation/{id}", observation(world.b) | {"id": id}, type="text/plain"), 415)
    refused(world.other.get(f"Observation/{id}?_format=text/html"), 406)
    assert world.other.get(f"Observation/{id}?_format=json", accept="application/fhir+xml").tree["id"] == id
    assert world.other.get(f"Observation/{id}").headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    "path",
    ["Patient/..%2f..%2fmetadata", "Patient/%2e%2e", "Patient/.", "Patient/a%00b", "Patient/" + "a" * 65,
     "Patient/a%20b", "Patient/%C3%A9", "Pаtient/x", "patient/x", "PATIENT/x", "Patient%00/x", "Patient/x/_history/1e9",
     "Patient/x/_history/-1", "Patient/x/_history/%D9%A1", "Patient/x/_history/99999999999999999999", "Patient;a=b/x",
     "Patient/x/../../metadata", "//Patient/x", "Patient//x", "Patient/x/$%6det%61/x", "Patient/a%252Fb", "Patient/a'b",
     "Patient/x/Observation/y/z", "Patient/x/_history/1/2", "_history/x", "metadata/x", "$everything",
     "Patient/$nosuch"],
)  # fmt: skip
def test_A88_a_path_names_what_it_says_or_nothing(api, path):
    refused(api.get(path), 400, 404, 405)


def test_A83_a_refusal_is_shorter_than_what_is_refused(api):
    body = {"resourceType": "Patient", "name": [{"x": 1}] * 20_000}
    issues = refused(api.post("Patient", body), 400).tree["issue"]
    assert len(issues) == MOST_ISSUES + 1 and "more" in issues[-1]["diagnostics"]
