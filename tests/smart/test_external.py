"""Sign-in by an identity provider: a real one on loopback, and one that lies. (attacks A57, A63, A71)"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Http
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import User, run_server_in_thread

from accessctl.external import FINESS, ExternalIdentity
from accessctl.people import Membership, Person
from fhirserver.oauth import jwks
from tests.accessctl.people import World

RPPS = "810000000001"
NUMBER = "750000001"
KEY = RSAKey.generate_key(2048, {"kid": "1"})


def claims(**more):
    """What Pro Santé Connect says of a doctor."""
    return {
        "acr": "eidas1", "SubjectNameID": RPPS, "given_name": "Anne", "family_name": "Aubert",
        "SubjectRefPro": {"codeCivilite": "M", "exercices": [
            {"codeProfession": "10", "activities": [{"numeroFinessSite": NUMBER, "raisonSocialeSite": "CHU"}]}]},
    } | more  # fmt: skip


PEOPLE = [
    User(sub="doctor", claims=claims()),
    User(sub="weak", claims=claims(acr="eidas0")),
    User(sub="unknown", claims=claims(SubjectNameID="899999999999")),
    User(sub="nurse", claims=claims(SubjectRefPro={"exercices": [{"codeProfession": "60", "activities": []}]})),
    User(sub="both", claims=claims(SubjectRefPro={"exercices": [{"codeProfession": c} for c in ("60", "10")]})),
    User(sub="neither", claims=claims(SubjectRefPro={"exercices": [{"codeProfession": c} for c in ("60", "26")]})),
    User(sub="odd", claims=claims(SubjectRefPro={"exercices": [7, {"codeProfession": 7}, {"activities": "x"}]})),
]


@pytest.fixture(scope="module")
def provider():
    with run_server_in_thread(user_claims=PEOPLE) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def world(database, provider, settings):
    settings.FHIRSERVER_OIDC_ISSUER = provider
    settings.FHIRSERVER_OIDC_CLIENT_ID, settings.FHIRSERVER_OIDC_CLIENT_SECRET = "fhirserver", "secret of the client"
    settings.FHIRSERVER_OIDC_SCOPE = "openid"
    jwks._kept.clear()
    found = World()
    ExternalIdentity.objects.create(system=provider, value=RPPS, user=Person.objects.get(user__username="doctor").user)
    return found


def begins(browser, next="/preferences"):
    answer = browser.get("/account/external/?" + urlencode({"next": next}))
    assert answer.status_code == 302, answer.content
    return answer.headers["Location"]


def comes_back(browser, sub, change=lambda query: query, next="/"):
    """The answer here after somebody has signed in there."""
    answer = httpx.post(begins(browser, next), data={"sub": sub})
    assert answer.status_code in (302, 303), answer.text
    there = urlsplit(answer.headers["Location"])
    assert there.path == "/account/external/callback"
    return browser.get(f"{there.path}?{change(there.query)}")


def signed_in(browser):
    return browser.session.get("_auth_user_id") is not None


def test_a_doctor_signs_in(world, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///the-one-in-use")  # so that the command reaches for no folder
    Membership.objects.all().delete()
    call_command("link_identity", NUMBER, "--organization", "chu", stdout=StringIO())
    for wrong in (["--login", "nobody"], [], ["--login", "doctor", "--organization", "chu"], ["--organization", "/"]):
        with pytest.raises(CommandError):
            call_command("link_identity", NUMBER, *wrong)
    browser = Http()
    asked = parse_qs(urlsplit(begins(browser)).query)
    assert asked["acr_values"] == ["eidas1"] and asked["code_challenge_method"] == ["S256"] and asked["nonce"]
    answer = comes_back(browser, "doctor", next="/preferences?x=1")
    assert answer.status_code == 302 and answer.headers["Location"] == "/preferences?x=1"
    assert signed_in(browser) and browser.session["external"]["acr"] == "eidas1"
    assert [m.party for m in Membership.objects.filter(person__user__username="doctor", until=None)] == [
        "Organization/chu"
    ]
    assert browser.get("/care/").status_code != 302  # no second factor is asked for here
    answer = comes_back(Http(), "doctor", next="https://evil.example/")
    assert answer.headers["Location"] == "/"


def test_memberships_end_when_the_provider_says_them_no_more(world):
    for number, party in ((NUMBER, "Organization/chu"), ("750000002", "Organization/other")):
        ExternalIdentity.objects.create(system=FINESS, value=number, party=party)
    doctor = Person.objects.get(user__username="doctor")
    Membership.objects.create(person=doctor, party="Organization/other")
    assert comes_back(Http(), "doctor").status_code == 302
    assert comes_back(Http(), "doctor").status_code == 302
    now = Membership.objects.filter(person=doctor, until=None).values_list("party", flat=True)
    assert sorted(now) == ["Organization/chu", "Organization/clinic"]  # what is not linked is not the provider's


@pytest.mark.parametrize(
    "sub, works, profession",
    [("nurse", True, "60"), ("both", True, "10"), ("neither", False, "10"), ("odd", False, "10"), ("weak", False, "10"),
     ("unknown", False, "10"), ("somebody", False, "10")],
)  # fmt: skip
def test_A71_who_is_refused_and_what_is_believed(world, sub, works, profession):
    browser = Http()
    answer = comes_back(browser, sub)
    assert (answer.status_code == 302, signed_in(browser)) == (works, works)
    assert Person.objects.get(user__username="doctor").profession == profession
    if not works:
        assert answer.status_code == 403 and b"eidas" not in answer.content and RPPS.encode() not in answer.content


def test_A71_only_active_professionals(world):
    person = Person.objects.get(user__username="doctor")
    Person.objects.filter(pk=person.pk).update(kind="patient")
    assert comes_back(Http(), "doctor").status_code == 403
    Person.objects.filter(pk=person.pk).update(kind="professional")
    person.user.is_active = False
    person.user.save()
    assert comes_back(Http(), "doctor").status_code == 403


def test_A71_the_answer_belongs_to_the_browser_that_asked(world):
    def without(query, name):
        return urlencode({k: v[0] for k, v in parse_qs(query).items() if k != name})

    for change in (lambda q: without(q, "state"), lambda q: without(q, "code"),
                   lambda q: without(q, "state") + "&state=x",
                   lambda q: q + "&iss=https://evil.example", lambda q: without(q, "code") + "&code=x"):  # fmt: skip
        browser = Http()
        assert comes_back(browser, "doctor", change).status_code == 403 and not signed_in(browser)
    answer = httpx.post(begins(Http()), data={"sub": "doctor"})
    there = urlsplit(answer.headers["Location"])
    assert Http().get(f"{there.path}?{there.query}").status_code == 403  # the victim's browser did not ask
    browser = Http()
    comes_back(browser, "doctor")
    browser.logout()
    assert browser.get(f"{there.path}?{there.query}").status_code == 403


def test_the_second_factor_is_not_spared_by_asking_alone(world):
    """Who has begun to sign in there and never did is as before."""
    browser = Http()
    browser.force_login(Person.objects.get(user__username="doctor").user, "django.contrib.auth.backends.ModelBackend")
    begins(browser)
    assert browser.get("/care/").headers["Location"] == "/account/security/"


def test_without_a_provider(world, settings):
    settings.FHIRSERVER_OIDC_ISSUER = ""
    assert Http().get("/account/external/").status_code == 404
    assert b"external" not in Http().get("/account/login/").content
    settings.FHIRSERVER_OIDC_ISSUER = "http://127.0.0.1:1"
    assert Http().get("/account/external/").status_code == 403
    assert b"/account/external/" in Http().get("/account/login/").content


# a provider that lies


class Liar:
    """Signs what a test wants."""

    def __init__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                tree = {
                    "/.well-known/openid-configuration": outer.discovery(),
                    "/jwks": {"keys": [KEY.as_dict(private=False)]},
                    "/userinfo": outer.info,
                }.get(self.path)
                self.answer(tree)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer({"access_token": "a", "token_type": "Bearer", "id_token": outer.token})

            def answer(self, tree):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(tree).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.info, self.token, self.more = claims(sub="1"), "", {}
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def discovery(self):
        at = {f"{n}_endpoint": f"{self.issuer}/{n}" for n in ("authorization", "token", "userinfo")}
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **at} | self.more

    def signs(self, nonce, key=KEY, alg="RS256", **changed):
        now = int(time.time())
        said = {"iss": self.issuer, "sub": "1", "aud": "fhirserver", "exp": now + 60, "iat": now, "nonce": nonce,
                "acr": "eidas1"} | changed  # fmt: skip
        said = {name: value for name, value in said.items() if value is not None}
        self.token = jwt.encode({"alg": alg, "kid": "1"}, said, key, algorithms=[alg])


@pytest.fixture
def liar(world, settings):
    found = Liar()
    settings.FHIRSERVER_OIDC_ISSUER = found.issuer
    ExternalIdentity.objects.update(system=found.issuer)
    yield found
    found.server.shutdown()


def visits(liar, **changed):
    browser = Http()
    asked = parse_qs(urlsplit(begins(browser)).query)
    liar.signs(changed.pop("nonce", asked["nonce"][0]), **changed)
    answer = browser.get("/account/external/callback?" + urlencode({"code": "c", "state": asked["state"][0]}))
    assert signed_in(browser) == (answer.status_code == 302)
    return answer.status_code


def test_A63_what_a_provider_cannot_say(liar):
    assert visits(liar) == 302
    assert visits(liar, aud=["fhirserver"]) == 302
    now = int(time.time())
    for changed in ({"iss": "https://evil.example"}, {"aud": "other"}, {"aud": ["fhirserver", "other"]},
                    {"azp": "other"},
                    {"nonce": "other"}, {"nonce": None}, {"exp": now - 90}, {"exp": None}, {"iat": now + 90},
                    {"acr": "eidas0"}, {"acr": None}, {"sub": None}, {"sub": "2"},
                    {"key": RSAKey.generate_key(2048, {"kid": "1"})}, {"alg": "RS384"}):  # fmt: skip
        assert visits(liar, **changed) == 403, changed
    liar.info = claims(sub="2")
    assert visits(liar) == 403  # userinfo of somebody else
    liar.info = claims(sub="1", SubjectNameID=None)
    assert visits(liar) == 403
    liar.info = claims(sub="1")
    liar.more = {"issuer": "https://evil.example"}
    assert Http().get("/account/external/").status_code == 403
