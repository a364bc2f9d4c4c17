"""Clients of others against the whole server, as `make up` starts it. (SMART: standalone launch, backend services; S9)

npm's fhirclient in a browser, Python's fhirclient, a backend service.
"""

import json
import shutil
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from fhirclient import client as python
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from joserfc import jwt
from joserfc.jwk import ECKey
from playwright.sync_api import sync_playwright

from tests.conftest import need
from tests.test_up import Up

from .clients import BEARER

LIBRARY = Path(__file__).resolve().parents[2] / "fixtures" / "fhirclient" / "fhir-client.pure.min.js"
SCOPE = "openid fhirUser launch/patient offline_access patient/*.rs"
pytestmark = pytest.mark.xdist_group("smart-clients")

LAUNCH = """<!doctype html><title>launch</title><script src="/library.js"></script><script>
FHIR.oauth2.authorize({iss: "%s", clientId: "demo-app", redirectUri: "%s/callback", scope: "%s", pkceMode: "required"})
  .catch(error => document.title = "error: " + error)
</script>"""
CALLBACK = """<!doctype html><title>callback</title><script src="/library.js"></script><script>
FHIR.oauth2.ready().then(async client => {
  const patient = await client.patient.read()
  const found = await client.request("Observation?_count=3&patient=" + client.patient.id, {flat: true, pageLimit: 1})
  const user = client.getFhirUser()
  await client.refresh()
  const again = await client.patient.read()
  window.told = {id: patient.id, again: again.id, context: client.patient.id, user,
                 found: found.map(r => r.resourceType), scope: client.state.tokenResponse.scope}
  document.title = "done"
}).catch(error => document.title = "error: " + error)
</script>"""


@pytest.fixture(scope="module")
def up():
    """One server with its demo people."""
    folder = Path(tempfile.mkdtemp(prefix="fhirserver-smart-"))
    server = Up(folder / "data").wait_until_ready(120)
    server.site = f"http://127.0.0.1:{server.port}"
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def application(up):
    """The pages of a registered application on a port of its own; what is asked of /callback is kept."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            texts = {"/launch": LAUNCH % (f"{up.site}/fhir", self.server.site, SCOPE), "/callback": CALLBACK}
            body = LIBRARY.read_bytes() if path == "/library.js" else texts.get(path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/javascript" if path == "/library.js" else "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.site = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def password(up, login):
    return json.loads((up.data / "secrets" / "demo.json").read_text())[login]


def agrees(page, up, login="patient"):
    """Signs in and says yes."""
    page.fill("#id_login", login)
    page.fill("#id_password", password(up, login))
    page.click("form[action='/account/login/'] button[type=submit]")
    page.wait_for_selector("button[value=allow]")
    page.click("button[value=allow]")


@pytest.mark.browser
def test_npm_fhirclient_completes_a_standalone_launch(up, application, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{application.site}/launch")
    agrees(page, up)
    page.wait_for_function("document.title == 'done' || document.title.startsWith('error')")
    assert page.title() == "done"
    told = page.evaluate("window.told")
    assert told["id"] == told["again"] == told["context"]
    assert told["found"] == ["Observation"] * 3
    assert told["user"].endswith(f"Patient/{told['id']}")
    assert told["scope"] == SCOPE
    context.close()


@pytest.mark.browser
def test_python_fhirclient_completes_a_standalone_launch(up, application, chromium):
    settings = {"app_id": "demo-app", "api_base": f"{up.site}/fhir/", "scope": SCOPE,
                "redirect_uri": f"{application.site}/callback"}  # fmt: skip
    smart = python.FHIRClient(settings=settings)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(smart.authorize_url)
    agrees(page, up)
    page.wait_for_url(f"{application.site}/callback**")
    smart.handle_callback(page.url)
    assert smart.ready and smart.patient_id
    patient = Patient.read(smart.patient_id, smart.server)
    assert patient.id == smart.patient.id == smart.patient_id
    found = Observation.where({"patient": smart.patient_id, "_count": "2"}).perform_resources_iter(smart.server)
    assert next(found).subject.reference == f"Patient/{smart.patient_id}"
    assert smart.reauthorize() and Patient.read(smart.patient_id, smart.server).id == smart.patient_id
    context.close()


def test_a_backend_service_gets_tokens_and_data(up):
    key = ECKey.import_key((up.data / "secrets" / "demo-service.pem").read_bytes())
    found = httpx.get(f"{up.site}/fhir/.well-known/smart-configuration").json()
    claims = {"iss": "demo-service", "sub": "demo-service", "aud": found["token_endpoint"],
              "exp": int(time.time()) + 240, "jti": str(uuid.uuid4())}  # fmt: skip
    form = {
        "grant_type": "client_credentials", "scope": "system/Patient.rs system/Observation.rs",
        "client_assertion_type": BEARER,
        "client_assertion": jwt.encode({"alg": "ES384", "kid": "demo"}, claims, key, algorithms=["ES384"]),
    }  # fmt: skip
    answer = httpx.post(found["token_endpoint"], data=form)
    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    people = httpx.get(f"{up.site}/fhir/Patient?_summary=count", headers=bearer).json()
    assert people["total"] == 40
    assert httpx.get(f"{up.site}/fhir/Condition", headers=bearer).status_code == 403
    assert httpx.post(found["token_endpoint"], data=form).json()["error"] == "invalid_client"  # once
