"""What is wrong is refused by name: a 4xx, an OperationOutcome that says where, never HTML. (security A62, A76-A88)"""

import xml.etree.ElementTree as ET
from io import BytesIO

import pytest

from tests.api import Api
from tests.formats.tables import body, name, table

ROWS = table("bad_requests.json")
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Noël"}]}
NS = {"f": "http://hl7.org/fhir"}


@pytest.fixture(scope="module")
def known(django_db_setup, django_db_blocker):
    """A patient to aim at; nothing that is refused has an effect, so one is enough."""
    with django_db_blocker.unblock():
        api = Api()
        api.put("Patient/p1", {**PATIENT, "language": "fr"})
        made = api.put("Patient/p1", PATIENT)
        assert made.status_code == 200, made.content
        yield api
        assert api.get("Patient/p1").content == made.content
        assert len(api.get(f"_history?_since={made.tree['meta']['lastUpdated']}").tree["entry"]) == 1


def sent(row, token):
    """The answer to a row's request."""
    environ = {"HTTP_AUTHORIZATION": row.get("token", f"Bearer {token}")}
    if not environ["HTTP_AUTHORIZATION"]:
        del environ["HTTP_AUTHORIZATION"]
    for header, value in row.get("headers", {}).items():
        variable = header.upper().replace("-", "_")
        environ[variable if header == "content-length" else f"HTTP_{variable}"] = value.replace("{token}", token)
    path, _, query = row["path"].replace("{token}", token).partition("?")
    data = body(row).replace(b"{token}", token.encode()) if {"text", "base64", "repeat"} & row.keys() else b""
    content_type = row.get("type", "application/fhir+json" if data else "")
    if query:
        environ["QUERY_STRING"] = query
    if "content-length" in row.get("headers", {}):
        environ["wsgi.input"] = BytesIO(data)  # the client's own refuses to be read beyond its end; a socket just ends
    http = Api(token="-").http
    return http.generic(row["method"], f"/fhir/{path}", data, content_type=content_type, **environ)


def issues(answer):
    """(code, diagnostics, expression) of each issue, whatever the format."""
    if answer.headers["Content-Type"].startswith("application/fhir+xml"):
        root = ET.fromstring(answer.content)
        assert root.tag == "{http://hl7.org/fhir}OperationOutcome"
        return [tuple((i.find(f"f:{n}", NS).get("value") if i.find(f"f:{n}", NS) is not None else "")
                      for n in ("code", "diagnostics", "expression")) for i in root.findall("f:issue", NS)]  # fmt: skip
    assert answer.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [(i["code"], i["diagnostics"], i.get("expression", [""])[0]) for i in outcome["issue"]]


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_refused(row, known, settings):
    settings.FHIRSERVER_MAX_BODY = 1_000_000
    answer = sent(row, known.token)
    assert answer.status_code == row["status"], answer.content
    found = issues(answer)
    assert found
    if "code" in row:
        assert row["code"] in {code for code, _, _ in found}, found
    if "says" in row:
        assert any(row["says"] in f"{diagnostics} {place}" for _, diagnostics, place in found), found
    if "at" in row:
        assert row["at"] in {place for _, _, place in found}, found
    if "allow" in row:
        assert answer.headers["Allow"] == row["allow"]
    assert len(answer.content) < 20_000  # a refusal does not echo what was sent
    assert all(word not in answer.content for word in (b"Traceback", b"psycopg", b"SELECT ", b"<html"))


def test_the_table_is_large():
    assert len(ROWS) >= 65
