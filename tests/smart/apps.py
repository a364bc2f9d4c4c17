"""An application of a person for tests: what its code does, and what the browser of the person does."""

import base64
import hashlib
import json
import re
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client as Http

from accessctl.smart.registration import register

from .clients import SITE, post

REDIRECT = "https://app.example.org/callback"
SCOPES = "openid fhirUser launch launch/patient offline_access online_access patient/*.cruds user/*.cruds"
BASE = f"{SITE}/fhir"


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


class App:
    """A public client."""

    def __init__(self, name="app", scopes=SCOPES, redirect=REDIRECT, **more):
        given = {"redirects": [redirect]} | more
        self.client = register(name, scopes=scopes, **given)
        self.name, self.redirect = name, redirect
        self.verifier = secrets.token_urlsafe(48)

    def request(self, scope="launch/patient patient/*.rs", **more):
        """Parameters of an authorization request; None takes one away."""
        asked = {
            "response_type": "code", "client_id": self.name, "redirect_uri": self.redirect, "scope": scope,
            "state": "s t&1", "aud": BASE, "code_challenge": challenge(self.verifier), "code_challenge_method": "S256",
        } | more  # fmt: skip
        return {name: value for name, value in asked.items() if value is not None}

    def exchange(self, code_, **more):
        form = {
            "grant_type": "authorization_code", "code": code_, "redirect_uri": self.redirect, "client_id": self.name,
            "code_verifier": self.verifier,
        } | more  # fmt: skip
        return post("/oauth/token", {name: value for name, value in form.items() if value is not None})

    def refresh(self, token, **more):
        return post(
            "/oauth/token", {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.name} | more
        )

    def tokens(self, login, scope="launch/patient patient/*.rs", patient=None, **more):
        """The token response after a person has said yes to everything."""
        browser = Browser(login)
        answer = self.exchange(browser.allows(self.request(scope, **more), patient)["code"])
        assert answer.status_code == 200, answer.content
        return answer.tree


class Browser:
    """A person with a session."""

    def __init__(self, login=None, strict=False):
        self.http = Http(enforce_csrf_checks=strict)
        if login:
            user = get_user_model().objects.get(username=login)
            user.groups.add(Group.objects.get_or_create(name="demo")[0])  # spared the second factor
            self.http.force_login(user, "django.contrib.auth.backends.ModelBackend")

    def asks(self, request):
        return self.http.get("/oauth/authorize?" + urlencode(request))

    def page(self, request):
        """The consent page as {state, scopes, patients, text}."""
        answer = self.asks(request)
        text = answer.content.decode()
        assert answer.status_code == 200, (answer.status_code, answer.headers, text[-2000:])
        return {
            "state": re.search(r'name="state" value="([^"]+)"', text)[1],
            "scopes": re.findall(r'name="scope" value="([^"]+)"', text),
            "patients": re.findall(r'name="patient" value="([^"]+)"', text),
            "text": text,
            "answer": answer,
        }

    def decides(self, page, decision="allow", patient=None, scopes=None):
        form = {"state": page["state"], "decision": decision, "scope": page["scopes"] if scopes is None else scopes}
        if patient or page["patients"]:
            form["patient"] = patient or page["patients"][0]
        return self.http.post("/oauth/decide", form)

    def allows(self, request, patient=None, scopes=None):
        """What the application is told."""
        return told(self.decides(self.page(request), patient=patient, scopes=scopes))


def told(answer, redirect=REDIRECT):
    """The parameters of the redirect to the application."""
    assert answer.status_code == 303, (answer.status_code, answer.content[-1500:])
    where, _, query = answer.headers["Location"].partition("?")
    assert where == redirect
    return dict(parse_qsl(query))


def claims(token):
    """The claims of a JWT, unverified."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def path(url):
    return urlsplit(url).path
