"""Discovery, keys, CORS. (SMART requirements S1-S9)"""

import json

import pytest
from django.test import Client as Http
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from accessctl.scopes import InvalidScope, granted
from accessctl.smart.registration import register
from fhirserver import origins
from fhirserver.oauth import signing
from tests.api import Api

from .clients import RSA, SITE, Backend, post

ADDRESSES = ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("accept", [None, "application/json", "text/html", "application/fhir+xml"])
def test_S1_S2_S3_for_anybody(db, address, accept):
    answer = Http().get(address, **({"HTTP_ACCEPT": accept} if accept else {}))
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    told = json.loads(answer.content)
    assert told["token_endpoint"] == f"{SITE}/oauth/token"
    for name, value in told.items():
        if name.endswith(("_endpoint", "_uri")) or name == "issuer":
            assert value.startswith(f"{SITE}"), name
    assert told["grant_types_supported"] and told["capabilities"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    launches = any(c.startswith("launch-") for c in told["capabilities"])
    assert ("authorization_endpoint" in told) == launches


def test_S1_other_methods(db):
    assert Http().post(ADDRESSES[0]).status_code == 405


def test_S2_a_forged_host_is_in_no_address(db):
    for headers in ({"HTTP_HOST": "evil.example"}, {"HTTP_X_FORWARDED_HOST": "evil.example"}):
        answer = Http().get(ADDRESSES[0], **headers)
        assert answer.status_code in (200, 400) and b"evil" not in answer.content


def test_S3_S8_what_is_not_listed_is_not_there(database):
    """No grant, way of proving oneself or context beyond what is told."""
    told = json.loads(Http().get(ADDRESSES[0]).content)
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"):
        assert grant not in told["grant_types_supported"]
        assert post("/oauth/token", {"grant_type": grant}).tree["error"] == "unsupported_grant_type"
    robot = Backend()
    secret = {"grant_type": "client_credentials", "client_id": robot.name, "client_secret": "x"}
    assert "client-confidential-symmetric" not in told["capabilities"]
    assert post("/oauth/token", secret).tree["error"] == "invalid_client"
    assert "context-standalone-encounter" not in told["capabilities"]
    with pytest.raises(InvalidScope):
        granted("launch/nothing", "launch/patient")


def test_S5_sso(db):
    told = json.loads(Http().get(ADDRESSES[0]).content)
    assert ("sso-openid-connect" in told["capabilities"]) == ("issuer" in told) == ("jwks_uri" in told)


def test_S5_the_keys_verify_what_is_ours_alone(database):
    keys = KeySet.import_key_set(json.loads(Http().get("/oauth/jwks").content))
    assert jwt.decode(signing.signed({"sub": "x"}), keys, algorithms=["RS256"]).claims["sub"] == "x"
    forged = jwt.encode({"alg": "RS256", "kid": keys.keys[0].kid}, {"sub": "x"}, RSA, algorithms=["RS256"])
    with pytest.raises(BadSignatureError):
        jwt.decode(forged, keys, algorithms=["RS256"])


def test_S7_endpoints_beside_the_token(database):
    """Introspection, revocation and the page where people manage applications are named, and answer."""
    told = json.loads(Http().get(ADDRESSES[0]).content)
    assert told["response_types_supported"] == ["code"]
    for name in ("introspection_endpoint", "revocation_endpoint"):
        asked = Http().post(told[name].removeprefix(SITE), "token=x", content_type="application/x-www-form-urlencoded")
        assert (asked.status_code, json.loads(asked.content)["error"]) == (401, "invalid_client"), name
    assert Http().get(told["management_endpoint"].removeprefix(SITE)).status_code == 302  # to the login
    assert "registration_endpoint" not in told  # nobody registers an application but an administrator


def test_S6_asymmetric(db):
    told = json.loads(Http().get(ADDRESSES[0]).content)
    assert "client-confidential-asymmetric" in told["capabilities"]
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert set(told["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert told["scopes_supported"]


def test_S26_keys_are_public_and_bare(database):
    first = json.loads(Http().get("/oauth/jwks").content)["keys"]
    assert first == json.loads(Http().get("/oauth/jwks").content)["keys"]
    for key in first:
        assert key["kty"] == "RSA" and key["kid"] and not {"d", "p", "q", "x5c"} & set(key)


def test_capability_statement_names_the_endpoints(db):
    security = Api(token="").get("metadata").tree["rest"][0]["security"]
    told = {e["url"]: e["valueUri"] for e in security["extension"][0]["extension"]}
    assert told["token"] == f"{SITE}/oauth/token" and told["authorize"] == f"{SITE}/oauth/authorize"
    assert {c["code"] for s in security["service"] for c in s["coding"]} == {"OAuth", "SMART-on-FHIR"}


def test_S9_cors(database):
    register("app", scopes="patient/*.rs", redirects=["https://app.example.org/cb", "http://127.0.0.1/cb"])
    origins.forget()

    def told(path, origin, method="GET"):
        answer = Http().generic(method, path, HTTP_ORIGIN=origin)
        return answer.headers.get("Access-Control-Allow-Origin")

    for origin in ("https://app.example.org", "http://127.0.0.1:5173", "https://other.example.org"):
        known = "other" not in origin
        assert told(ADDRESSES[0], origin) == told("/fhir/metadata", origin) == told("/oauth/jwks", origin) == origin
        for path in ("/oauth/token", "/fhir/Patient"):
            for method in ("POST", "OPTIONS"):
                assert told(path, origin, method) == (origin if known else None), (path, method)
    assert told("/oauth/token", "http://127.0.0.1.example.org:80", "POST") is None
    answer = Http().options("/oauth/token", HTTP_ORIGIN="https://app.example.org")
    assert answer.status_code == 204 and "POST" in answer.headers["Access-Control-Allow-Methods"]
