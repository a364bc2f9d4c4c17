"""Backend services: client_credentials with private_key_jwt. (SMART requirements S6, S17-S19, S27-S31; A64-A67, A70)"""

import base64
import hmac
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Http
from joserfc.jwk import ECKey

from accessctl.models import Token
from accessctl.smart import families
from accessctl.smart.registration import InvalidClient, register
from accessctl.smart.tables import Client, SeenAssertion
from fhirserver.oauth import fetch, jwks
from tests.accessctl.people import observation, person
from tests.api import Api

from .clients import EC, RSA, SITE, TOKEN, Backend, post, public


@pytest.mark.parametrize("key, alg", [(RSA, "RS384"), (EC, "ES384")])
def test_S18_S19_a_token_for_five_minutes(database, key, alg):
    answer = Backend(key=key, alg=alg).asks("system/Patient.rs")
    assert answer.status_code == 200, answer.content
    assert answer.tree.pop("access_token")
    assert answer.tree == {"token_type": "Bearer", "expires_in": 300, "scope": "system/Patient.rs"}
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Pragma"] == "no-cache"


def test_the_token_works_as_far_as_its_scope(database):
    api = Api(token=Backend().token("system/Patient.crs"))
    assert api.post("Patient", {"resourceType": "Patient"}).status_code == 201
    assert api.get("Patient").tree["total"] == 1
    assert api.get("Observation").status_code == 403


def test_S19_an_expired_token_is_refused(database):
    api = Api(token=Backend().token())
    assert api.get("Patient").status_code == 200
    Token.objects.update(expires="2020-01-01T00:00:00Z")
    answer = api.get("Patient")
    assert answer.status_code == 401 and "invalid_token" in answer.headers["WWW-Authenticate"]


WRONG = {
    "another audience": {"aud": f"{SITE}/oauth/authorize"},
    "no audience": {"aud": None},
    "iss is somebody else": {"iss": "other"},
    "sub is somebody else": {"sub": "other"},
    "no sub": {"sub": None},
    "over": {"exp": int(time.time()) - 60},
    "too long": {"exp": int(time.time()) + 86400},
    "no exp": {"exp": None},
    "exp is a text": {"exp": "tomorrow"},
    "exp is true": {"exp": True},
    "not yet": {"nbf": int(time.time()) + 86400},
    "issued in the future": {"iat": int(time.time()) + 86400},
    "no jti": {"jti": None},
    "jti is a number": {"jti": 7},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
def test_A66_S28_claims(database, claims):
    robot = Backend()
    assert robot.asks().status_code == 200
    refused(robot.asks(assertion=robot.assertion(**claims)))


def refused(answer):
    assert (answer.status_code, answer.tree["error"]) == (401, "invalid_client"), answer.content


def hmac_signed(head, claims):
    """What a verifier that takes the public key for a shared secret would believe."""
    mac = hmac.new(RSA.as_pem(private=False), f"{head}.{claims}".encode(), "sha256").digest()
    return f"{head}.{claims}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def part(tree):
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")


def test_A64_algorithms(database):
    robot = Backend()
    head, claims, signature = robot.assertion().split(".")
    forged = {
        "none": f"{part({'alg': 'none', 'kid': 'ec'})}.{claims}.",
        "no signature": f"{head}.{claims}.",
        "another signature": f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
        "other claims": f"{head}.{part({'iss': 'robot'})}.{signature}",
        "HS256 with the public key": hmac_signed(part({"alg": "HS256", "kid": "rsa"}), claims),
        "RS256": robot.assertion({"alg": "RS256", "kid": "rsa"}, RSA),
        "unknown kid": robot.assertion({"kid": "other"}),
        "no kid": robot.assertion({"kid": None}),
        "kid of another key": robot.assertion({"kid": "rsa"}),
        "a key of its own": robot.assertion({"jwk": EC.as_dict(private=False)}),
        "a key that is not registered": robot.assertion(key=ECKey.generate_key("P-384", {"kid": "ec"})),
        "crit": f"{part({'alg': 'ES384', 'kid': 'ec', 'crit': ['b64'], 'b64': False})}.{claims}.{signature}",
        "no JWT": "x",
        "nothing": "..",
        "deep": f"{head}.{base64.urlsafe_b64encode(b'[' * 4000).decode()}.{signature}",
    }  # fmt: skip
    for name, assertion in forged.items():
        answer = robot.asks(assertion=assertion)
        assert (name, answer.status_code, answer.tree["error"]) == (name, 401, "invalid_client")
    assert not SeenAssertion.objects.exists()  # what proves nothing uses nothing up


def test_A65_an_assertion_counts_once_of_fifty_at_a_time(database):
    robot = Backend()
    assertion, started = robot.assertion(), threading.Barrier(10)

    def ask(n):
        if n < 10:
            started.wait(10)
        try:
            return robot.asks(assertion=assertion).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        told = sorted(pool.map(ask, range(50)))
    assert told == [200] + [401] * 49


def test_a_jti_is_the_clients_own(database):
    one, other = Backend("one"), Backend("other")
    assert one.asks(assertion=one.assertion(jti="7")).status_code == 200
    assert other.asks(assertion=other.assertion(jti="7")).status_code == 200
    refused(one.asks(assertion=one.assertion(jti="7")))


@pytest.mark.parametrize(
    "scope", ["", "system/Observation.rs", "system/Patient.sr", "system/Nothing.rs", "user/Patient.rs", "openid",
              "system/Patient.rs system/Observation.rs", "patient/Patient.rs", "system/Patient.rs?nosuch=1"],
)  # fmt: skip
def test_A24_S27_scopes_beyond_what_was_registered(database, scope):
    answer = Backend(scopes="system/Patient.rs").asks(scope)
    assert (answer.status_code, answer.tree["error"]) == (400, "invalid_scope")


def test_version_1_is_answered_with_version_1(database):
    assert Backend().asks("system/Patient.read").tree["scope"] == "system/Patient.read"


def test_S17_what_the_token_endpoint_takes(database):
    robot = Backend()
    form = robot.form()
    assert Http().get("/oauth/token").status_code == 405
    assert Http().post("/oauth/token", json.dumps(form), "application/json").status_code == 415
    assert post("/oauth/token?x=1", robot.form()).tree["error"] == "invalid_request"
    assert post("/oauth/token", {**robot.form(), "scope": ["system/*.rs", "system/*.cruds"]}).tree["error"] == (
        "invalid_request"
    )
    assert post("/oauth/token", {"grant_type": "password"}).tree["error"] == "unsupported_grant_type"
    assert post("/oauth/token", {}).tree["error"] == "invalid_request"
    for form in ({f"a{n}": 1 for n in range(2000)}, {"grant_type": "\0"}, {"grant_type": "x" * 70_000}):
        assert post("/oauth/token", form).tree["error"] in ("invalid_request", "unsupported_grant_type")
    refused(post("/oauth/token", {"grant_type": "client_credentials", "scope": "system/*.rs"}))
    refused(post("/oauth/token", {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "x"}))
    refused(post("/oauth/token", {**robot.form(), "client_id": "other"}))
    Client.objects.update(active=False)
    refused(robot.asks())


def test_the_command_registers(database, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///the-one-in-use")  # so that it reaches for no folder
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(public(EC)))
    call_command("register_client", "robot", "--scope", "system/Patient.rs", "--jwks", str(path), stdout=StringIO())
    robot = Backend.__new__(Backend)
    robot.name, robot.key, robot.alg = "robot", EC, "ES384"
    assert robot.asks("system/Patient.rs").status_code == 200
    path.write_text("x")
    for wrong in (["--jwks", str(path)], ["--behalf", "nobody"], ["--redirect", "http://evil.example/"], []):
        with pytest.raises(CommandError):
            call_command("register_client", "other", "--scope", "system/Patient.rs", *wrong)


def test_S30_no_shared_secrets(database):
    for keys in ({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}, {"keys": [EC.as_dict(private=True)]},
                 {"keys": []}, {}, {"keys": [{"kty": "RSA"}]}):  # fmt: skip
        with pytest.raises(InvalidClient):
            register("robot", scopes="system/*.rs", jwks=keys)


def test_a_client_inactive_ends_its_tokens_at_the_next_request(database):
    api = Api(token=Backend().token())
    Client.objects.filter(name="robot").update(active=False)
    assert api.get("Patient").status_code == 401


def test_S31_introspection(database):
    robot, other = Backend(), Backend("other")
    token = robot.token("system/Patient.rs")
    told = post("/oauth/introspect", {"token": token}, authorization=f"Bearer {token}").tree
    assert told["active"] and told["scope"] == "system/Patient.rs" and told["client_id"] == "robot"
    assert told["exp"] - told["iat"] in (299, 300, 301) and told["iss"] == SITE
    foreign = other.token()
    assert post("/oauth/introspect", {"token": token}, authorization=f"Bearer {foreign}").tree == {"active": False}
    Client.objects.filter(name="other").update(introspects=True)
    assert post("/oauth/introspect", {"token": token}, authorization=f"Bearer {foreign}").tree["active"]
    Token.objects.filter(digest=families.digest(token)).update(revoked="2026-01-01T00:00:00Z")
    assert post("/oauth/introspect", {"token": token}, authorization=f"Bearer {foreign}").tree == {"active": False}


def test_A70_introspection_needs_a_client(database):
    token = Backend().token()
    for headers in ({}, {"authorization": "Bearer nothing"}, {"authorization": "Basic cm9ib3Q6eA=="}):
        answer = post("/oauth/introspect", {"token": token}, **headers)
        assert answer.status_code == 401 and "active" not in answer.tree
    answer = post("/oauth/introspect", {"token": "guess"}, authorization=f"Bearer {token}")
    assert (answer.status_code, answer.tree) == (200, {"active": False})


def test_revocation_counts_at_the_next_request(database):
    robot, other = Backend(), Backend("other")
    token = robot.token()
    api = Api(token=token)
    assert api.get("Patient").status_code == 200

    def revokes(who):
        form = who.form(assertion=who.assertion(aud=f"{SITE}/oauth/revoke"))
        return post("/oauth/revoke", {k: v for k, v in form.items() if k.startswith("client")} | {"token": token})

    assert revokes(other).status_code == 200 and api.get("Patient").status_code == 200
    assert revokes(robot).status_code == 200 and api.get("Patient").status_code == 401
    refused(post("/oauth/revoke", {"token": token}))


def test_a_service_account_has_the_rights_of_the_person_it_serves(database):
    system = Api()
    ids = [system.post("Patient", {"resourceType": "Patient"}).headers["Location"].split("/")[-3] for _ in range(2)]
    user = person("alice", "patient", patient=ids[0]).user
    api = Api(token=Backend(behalf=user, scopes="user/*.rs").token("user/*.rs"))
    assert [api.get(f"Patient/{id}").status_code for id in ids] == [200, 404]
    with pytest.raises(InvalidClient):
        Backend("nobodys", behalf=get_user_model().objects.create(username="root"), scopes="user/*.rs")
    user.person.delete()
    assert api.get(f"Patient/{ids[0]}").status_code == 401  # else it would see every patient
    user = person("alice", "patient", patient=ids[0]).user
    assert api.get(f"Patient/{ids[0]}").status_code == 200
    user.is_active = False
    user.save()
    assert api.get(f"Patient/{ids[0]}").status_code == 401


def test_what_a_service_account_writes_says_on_whose_behalf(database):
    """The person is not there when it is written; a Provenance of its own must say so too."""
    system = Api()
    id = system.post("Patient", {"resourceType": "Patient"}).headers["Location"].split("/")[-3]
    user = person("dr", "professional", practitioner="dr-dr").user
    api = Api(token=Backend("robot", behalf=user, scopes="user/*.cruds").token("user/*.cruds"))
    assert api.post("Observation", observation(id)).status_code == 201
    (entry,) = system.get("Provenance").tree["entry"]
    (agent,) = entry["resource"]["agent"]
    assert agent["who"]["identifier"] == {"system": "urn:fhirserver:client", "value": "robot"}
    assert agent["onBehalfOf"]["identifier"] == {"system": "urn:fhirserver:login", "value": "dr"}
    said = {"resourceType": "Provenance", "agent": [{"who": {"display": "a robot"}}]}
    answer = api.post("Observation", observation(id), x_provenance=json.dumps(said))
    assert answer.status_code == 422 and answer.tree["issue"][0]["expression"] == ["Provenance.agent.onBehalfOf"]
    said["agent"][0]["onBehalfOf"] = {"display": "Dr Dr"}
    assert api.post("Observation", observation(id), x_provenance=json.dumps(said)).status_code == 201
    assert Api("user/*.cruds", user="dr").post("Observation", observation(id)).status_code == 201
    assert len(system.get("Provenance").tree["entry"]) == 2


# keys by address


class Keys:
    """A server of keys on loopback; `answer` is (status, headers, body)."""

    def __init__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                status, headers, body = outer.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.asked, self.answer = 0, (200, {}, json.dumps(public(EC)).encode())
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/jwks"


@pytest.fixture
def keys():
    server = Keys()
    jwks._kept.clear()
    yield server
    server.server.shutdown()
    jwks._kept.clear()


def by_address(keys, **more):
    return Backend(jwks=None, jwks_uri=keys.address, **more)


def test_S11_keys_by_address_are_kept_for_a_while(database, keys):
    robot = by_address(keys)
    assert [robot.asks().status_code for _ in range(3)] == [200] * 3 and keys.asked == 1
    keys.answer = (200, {"Cache-Control": "no-store"}, json.dumps(public(EC)).encode())
    jwks._kept.clear()
    assert [robot.asks().status_code for _ in range(2)] == [200] * 2 and keys.asked == 3


def test_A67_no_transaction_waits_for_keys(database, keys, monkeypatch):
    """Whether they are kept or not, and whether the key is among them: a slow address holds no connection."""
    open_then, call = [], jwks.call

    def asked(*given, **named):
        open_then.append(connection.in_atomic_block)
        return call(*given, **named)

    monkeypatch.setattr(jwks, "call", asked)
    robot = by_address(keys)
    keys.answer = (200, {"Cache-Control": "no-store"}, json.dumps(public(EC)).encode())
    assert robot.asks().status_code == 200
    robot.key = ECKey.generate_key("P-384", {"kid": "unknown"})
    refused(robot.asks())
    keys.answer = (500, {}, b"")
    jwks._kept.clear()
    refused(robot.asks())
    assert open_then and not any(open_then)


def test_S29_a_new_key_is_fetched(database, keys, monkeypatch):
    robot = by_address(keys)
    assert robot.asks().status_code == 200
    fresh = ECKey.generate_key("P-384", {"kid": "fresh"})
    keys.answer = (200, {}, json.dumps(public(fresh)).encode())
    robot.key = fresh
    refused(robot.asks())  # just fetched: an attacker cannot make us fetch at will
    monkeypatch.setattr(jwks, "FAILED", 0.0)
    assert robot.asks().status_code == 200 and keys.asked == 2


def test_S29_jku(database, keys):
    robot = by_address(keys)
    assert robot.asks(assertion=robot.assertion({"jku": keys.address})).status_code == 200
    before = keys.asked
    refused(robot.asks(assertion=robot.assertion({"jku": keys.address + "2"})))
    inline = Backend("inline")
    refused(inline.asks(assertion=inline.assertion({"jku": keys.address})))
    assert keys.asked == before


@pytest.mark.parametrize(
    "answer",
    [
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (200, {}, b"x"),
        (200, {}, b"[]"),
        (200, {}, b'{"keys": "x"}'),
        (200, {}, b'{"keys": [7, {"kid": "ec", "kty": "EC", "crv": "P-384"}]}'),
        (200, {}, b" " * 70_000 + json.dumps(public(EC)).encode()),
        (500, {}, json.dumps(public(EC)).encode()),
        (200, {"Content-Length": "9"}, b"x"),
    ],
    ids=["redirect", "no JSON", "no object", "no list", "no keys", "too large", "error", "cut off"],
)
def test_A67_what_is_fetched(database, keys, answer):
    robot = by_address(keys)
    keys.answer = answer
    refused(robot.asks())
    refused(robot.asks())
    assert keys.asked == 1  # the failure is remembered


def test_A67_a_slow_server(database, keys, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        refused(Backend(jwks=None, jwks_uri=f"http://127.0.0.1:{silent.getsockname()[1]}/").asks())


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "10.0.0.1", "127.0.0.1", "[::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
             "192.168.1.1", "100.64.0.1", "224.0.0.1", "localhost"],
)  # fmt: skip
def test_A67_private_addresses_are_not_connected_to(host, monkeypatch):
    def connect(*_, **__):
        raise AssertionError("connected")

    monkeypatch.setattr(fetch.socket, "create_connection", connect)
    with pytest.raises(fetch.Unreachable):
        fetch.call(f"https://{host}/jwks")


def test_A67_a_name_is_resolved_once(monkeypatch):
    """The connection goes to the address that was judged, whatever the name says a moment later."""
    told, connected = [("93.184.216.34", 443)], []
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", told.pop())])

    def connect(address, timeout):
        connected.append(address)
        raise OSError("not really")

    monkeypatch.setattr(fetch.socket, "create_connection", connect)
    with pytest.raises(OSError, match="not really"):
        fetch.call("https://keys.example.org/jwks")
    assert connected == [("93.184.216.34", 443)] and not told


@pytest.mark.parametrize(
    "address", ["http://keys.example.org/", "ftp://127.0.0.1/", "https://a@b/", "https://x/#f", "https://*.x/", "x",
                "http://127.0.0.1.example.org/", "http://localhost@evil/", "https://x\\y/", "file:///etc/passwd"],
)  # fmt: skip
def test_S11_addresses_that_are_not_registered(database, address):
    with pytest.raises(InvalidClient):
        register("robot", scopes="system/*.rs", jwks_uri=address)
    with pytest.raises(InvalidClient):
        register("app", scopes="patient/*.rs", redirects=[address])


def test_audience_may_be_a_list(database):
    robot = Backend()
    assert robot.asks(assertion=robot.assertion(aud=[TOKEN])).status_code == 200
