"""Requests byte by byte over a socket, to the web server as it runs: chunks, short bodies, many headers, smuggling."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fhirserver.embedded.child import launch
from tests.api import Api

PATIENT = b'{"resourceType":"Patient","active":true}'
CHECKOUT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("wire")  # one server for all


@pytest.fixture(scope="module")
def port(django_db_setup, addresses, tmp_path_factory):
    """One granian process on the tests' database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("wire") / "web.log").open("wb")
    options = ["--interface", "wsgi", "--http", "1", "--no-ws", "--port", str(port), "--workers", "1"]
    command = launch(sys.executable, "-m", "granian", "fhirserver.wsgi:application", *options)
    environment = (
        os.environ | addresses | {"FHIRSERVER_MAX_BODY": "100000", "DJANGO_SETTINGS_MODULE": "fhirserver.settings"}
    )
    server = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()
        time.sleep(0.05)
    yield port
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def token(port, django_db_blocker):
    with django_db_blocker.unblock():
        yield Api().token


def said(port, *parts, pause=0.0, close=False):
    """(status, headers, body) that the server says to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if close:
            with contextlib.suppress(OSError):  # it may have hung up already
                connection.shutdown(socket.SHUT_WR)
        received = b""
        while b"\r\n\r\n" not in received and (more := connection.recv(65536)):
            received += more
        if not received:
            return None, {}, b""
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        chunked = "chunked" in headers.get("transfer-encoding", "")
        while (not body.endswith(b"0\r\n\r\n") if chunked else len(body) < int(headers.get("content-length", 0))) and (
            more := connection.recv(65536)
        ):
            body += more
        return int(first.split()[1]), headers, body


def head(method, path, token, *lines):
    given = [f"{method} /fhir/{path} HTTP/1.1", "Host: localhost", "Connection: close", *lines]
    if token:
        given.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(given) + "\r\n\r\n").encode("latin-1")


JSON, CHUNKED = "Content-Type: application/fhir+json", "Transfer-Encoding: chunked"


def outcome(body):
    found = json.loads(body)
    assert found["resourceType"] == "OperationOutcome"
    return found["issue"][0]["diagnostics"]


def chunked(data, size):
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_body_is_read(port, token, size):
    status, _, body = said(
        port, head("POST", "Patient", token, JSON, "Transfer-Encoding: chunked"), chunked(PATIENT, size)
    )
    assert status == 201, body
    assert json.loads(body)["active"] is True


def test_a_chunked_body_beyond_the_limit(port, token):
    large = b'{"resourceType":"Patient","x":"' + b"a" * 200_000 + b'"}'
    status, headers, body = said(
        port, head("POST", "Patient", token, JSON, "Transfer-Encoding: chunked"), chunked(large, 4096)
    )
    assert status == 413 and "100000" in outcome(body) and headers["content-type"].startswith("application/fhir+json")


def test_a_body_in_pieces(port, token):
    given = head("POST", "Patient", token, JSON, f"Content-Length: {len(PATIENT)}")
    status, _, body = said(port, given, *(PATIENT[n : n + 10] for n in range(0, len(PATIENT), 10)), pause=0.01)
    assert status == 201, body


def test_a_body_shorter_than_announced(port, token):
    given = head("POST", "Patient", token, JSON, f"Content-Length: {len(PATIENT) + 50}")
    status, _, body = said(port, given, PATIENT, close=True)
    assert status in (None, 400)  # the server may just hang up on who hung up
    if status:
        assert "<html" not in body.decode().lower()


def test_a_body_longer_than_the_limit_is_not_awaited(port, token):
    status, _, body = said(port, head("POST", "Patient", token, JSON, "Content-Length: 5000000000"), PATIENT)
    assert status == 413 and "100000" in outcome(body)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: -1",),
        ("Content-Length: 0x10",),
        ("Transfer-Encoding: gzip, chunked, x",),
        ("X-Odd : 1",),
        ("X: a\rb",),
        ("X: a\0b",),
    ],
)
def test_ambiguous_requests_have_no_effect(port, token, lines):
    """What two servers could read differently is refused or read one way, and never as two requests."""
    before = newest(port, token)
    follow = head("POST", "Patient", token, JSON, f"Content-Length: {len(PATIENT)}") + PATIENT
    status, _, _ = said(port, head("GET", "Patient/none", token, *lines), b"0\r\n\r\n" + follow, close=True)
    assert status in (None, 400, 404, 411, 501)
    assert newest(port, token) == before


def newest(port, token):
    _, _, body = said(port, head("GET", "Patient/_history?_count=1", token))
    return json.loads(body).get("entry", [{}])[0].get("fullUrl")


def test_no_body_where_none_may_be(port, token):
    status, headers, body = said(port, head("DELETE", "Patient/none", token))
    assert (status, body) == (204, b"") and "content-length" not in headers and "content-type" not in headers
    got = said(port, head("GET", "metadata", None))
    asked = said(port, head("HEAD", "metadata", None))
    assert asked[0] == 200 and asked[1]["content-type"] == got[1]["content-type"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Patient/..%2f..%2fmetadata", 404),
        ("Patient/%2e%2e", 400),
        ("Patient/%00", 400),
        ("Patient/%ff", 400),
        ("Patient/%C0%AF", 400),
        ("Patient//x", 400),
        ("Patient/x%0d%0aX-Evil:1", 400),
        ("%50atient/none", 404),
        ("Patient/a%252Fb", 400),
        ("Patient/x?_format=%0d%0a", 406),
    ],
)
def test_paths_as_they_are_sent(port, token, path, status):
    found, headers, body = said(port, head("GET", path, token))
    assert found == status, body
    assert "x-evil" not in headers and outcome(body)


def test_raw_utf8_in_the_query(port, token):
    raw = head("GET", "Patient?_summary=count&name=Lef", token).replace(b"name=Lef", "name=Lefèvre".encode())
    status, _, body = said(port, raw)
    assert status in (200, 400)
    if status == 200:
        assert "Lef%C3%A8vre" in json.loads(body)["link"][0]["url"]


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("POST", "Patient", "If-None-Exist: family=Lefèvre"),
        ("POST", "Patient", "If-None-Exist:"),
        ("PUT", "Patient/none", "If-None-Match: é"),
        ("PUT", "Patient/none", "If-Match: é"),
        ("POST", "Binary", "X-Security-Context: Patient/é"),
        ("POST", "Patient", "X-Provenance: é"),
        ("POST", "Patient", "Idempotency-Key: é"),
    ],
)
def test_a_condition_that_cannot_be_read_is_not_dropped(port, token, method, path, line):
    """granian hands on as empty what is not ASCII: the write would be done as if nothing had been asked of it."""
    before = newest(port, token)
    kind = "Content-Type: text/plain" if path == "Binary" else JSON
    given = head(method, path, token, kind, line.encode().decode("latin-1"), f"Content-Length: {len(PATIENT)}")
    status, _, body = said(port, given, PATIENT)
    assert status == 400 and outcome(body)
    assert newest(port, token) == before


def test_a_header_of_a_megabyte(port, token):
    status, _, body = said(port, head("GET", "Patient/none", token, "X-Large: " + "a" * 1_000_000), close=True)
    assert status in (None, 400, 404, 414, 431) and b"<html" not in body.lower()


def test_an_unknown_host(port, token):
    status, headers, body = said(port, head("GET", "Patient", token).replace(b"Host: localhost", b"Host: evil.example"))
    assert status == 400 and "Host" in outcome(body) and "evil.example" not in str(headers)


def test_only_what_is_below_fhir_is_fhir(port, token):
    beside = head("GET", "x", token).replace(b"/fhir/x", b"/fhirPatient")
    status, headers, body = said(port, beside)
    assert (status, headers["content-type"]) == (404, "application/json") and b'"fhir": "/fhir"' in body
    for path in (b"/fhir", b"/fhir/"):
        status, _, body = said(port, head("GET", "x", token).replace(b"/fhir/x", path))
        assert status in (200, 405) and json.loads(body)["resourceType"] in ("Bundle", "OperationOutcome")
