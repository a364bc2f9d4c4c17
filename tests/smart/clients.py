"""Clients of the authorisation server for tests: a backend service with its keys, and calls to the endpoints."""

import json
import time
import uuid
from urllib.parse import urlencode

from django.test import Client as Http
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from accessctl.smart.registration import register

SITE = "http://testserver"
TOKEN = f"{SITE}/oauth/token"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-384", {"kid": "ec"})


def public(*keys):
    return {"keys": [key.as_dict(private=False) for key in keys]}


def post(path, form, **headers):
    """A form POST; the answer has `.tree`."""
    given = {"HTTP_" + k.upper().replace("-", "_"): v for k, v in headers.items()}
    answer = Http().post(path, urlencode(form, doseq=True), "application/x-www-form-urlencoded", **given)
    answer.tree = json.loads(answer.content) if answer.content else None
    return answer


class Backend:
    """A backend service."""

    def __init__(self, name="robot", scopes="system/*.cruds", key=EC, alg="ES384", **more):
        given = {"jwks": public(RSA, EC)} | more
        self.client = register(name, scopes=scopes, **given)
        self.name, self.key, self.alg = name, key, alg

    def assertion(self, header=None, key=None, **claims):
        now = int(time.time())
        said = {"iss": self.name, "sub": self.name, "aud": TOKEN, "exp": now + 240, "jti": str(uuid.uuid4())} | claims
        said = {name: value for name, value in said.items() if value is not None}
        head = {"alg": self.alg, "kid": self.key.kid, "typ": "JWT"} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, said, key or self.key, algorithms=[head["alg"]], default_type=None)

    def form(self, scope="system/*.rs", assertion=None):
        return {
            "grant_type": "client_credentials", "scope": scope, "client_assertion_type": BEARER,
            "client_assertion": assertion or self.assertion(),
        }  # fmt: skip

    def asks(self, scope="system/*.rs", assertion=None):
        return post("/oauth/token", self.form(scope, assertion))

    def token(self, scope="system/*.rs"):
        answer = self.asks(scope)
        assert answer.status_code == 200, answer.content
        return answer.tree["access_token"]
