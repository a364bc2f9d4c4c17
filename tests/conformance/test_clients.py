"""Clients of other people page through a search, with us before them and behind a proxy under a path of its own."""

import http.client
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import need
from tests.faults.client import bundle, entry
from tests.faults.conftest import FAST
from tests.faults.server import Server

pytestmark = pytest.mark.xdist_group("clients")
FAMILY, COUNT, PAGE = "Clientèle", 25, 4
IDS = [f"client-{n:02}" for n in range(COUNT)]
PREFIX = "/dossier"
PASSED_ON = ("Authorization", "Content-Type", "Accept", "Prefer")


class Proxy(BaseHTTPRequestHandler):
    """Serves PREFIX/... from the server's /..., as a reverse proxy does that says under which name it was asked."""

    protocol_version = "HTTP/1.1"

    def forward(self):
        there = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        given = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        given |= {"X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": PREFIX}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there.request(self.command, self.path.removeprefix(PREFIX), body, given)
        answer = there.getresponse()
        content = answer.read()
        there.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = forward

    def log_message(self, *_):
        """Quiet: the answers are what the tests look at."""


@pytest.fixture(scope="module")
def server():
    server = Server(FAST, FHIRSERVER_TRUSTED_PROXIES="127.0.0.1")
    people = [{"resourceType": "Patient", "id": id, "name": [{"family": FAMILY}]} for id in IDS]
    written = server.client().post("", bundle(*(entry("PUT", f"Patient/{p['id']}", p) for p in people)))
    assert written.status == 200
    yield server
    server.stop()


@pytest.fixture(params=["straight", "behind a proxy"])
def base(request, server):
    """A base URL, and every link of an answer begins with it."""
    if request.param == "straight":
        yield f"http://127.0.0.1:{server.up.port}/fhir"
        return
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.port = server.up.port
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}/fhir"
    proxy.shutdown()
    proxy.server_close()
    thread.join()


def test_fhirpy(base, server):
    from fhirpy import SyncFHIRClient

    client = SyncFHIRClient(base, authorization=f"Bearer {server.token}")
    found = client.resources("Patient").search(family="clientele").limit(PAGE)
    assert sorted(patient.id for patient in found) == IDS


def test_fhirclient(base, server):
    from fhirclient.client import FHIRClient
    from fhirclient.models.patient import Patient

    there = FHIRClient(settings={"app_id": "test", "api_base": base}).server
    there.session.headers["Authorization"] = f"Bearer {server.token}"
    pages = Patient.where({"family": "clientele", "_count": str(PAGE)}).perform_iter(there)
    assert sorted(each.resource.id for page in pages for each in page.entry or []) == IDS


def test_fhir_pyrate(base, server):
    import requests
    from fhir_pyrate import Pirate

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {server.token}"
    pirate = Pirate(auth=session, base_url=base, print_request_url=False, num_processes=1)
    found = pirate.steal_bundles_to_dataframe(
        "Patient", request_params={"family": "clientele", "_count": PAGE}, num_pages=-1
    )
    assert sorted(found["id"]) == IDS


@pytest.mark.long
def test_fhir_kit_client(base, server, tmp_path):
    node, npm = need("node"), need("npm")
    for file in (Path(__file__).parent / "clients").iterdir():
        shutil.copy(file, tmp_path)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=tmp_path, check=True, capture_output=True)
    told = subprocess.run(
        [node, "page.mjs", base, server.token, "clientele"], cwd=tmp_path, capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if "proxy" not in k.lower()},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    told = json.loads(told.stdout)
    assert sorted(told["ids"]) == IDS and told["back"] == (COUNT - 1) // PAGE
