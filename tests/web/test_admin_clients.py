"""Applications in the administration: registered, rotated, revoked, tried; who reaches records alone waits for two."""

import json

import pytest
from joserfc.jwk import ECKey

from accessctl.models import AuditRecord, Client, Token
from accessctl.smart.tables import Launch
from tests.api import Api

from .world import Clinic, signed_in, staffed

APP = {
    "client_id": "chart", "title": "Chart", "scopes": "launch openid fhirUser patient/*.rs",
    "redirects": "https://chart.example/back\nhttp://127.0.0.1/back", "launch_url": "https://chart.example/launch?x=1",
}  # fmt: skip


@pytest.fixture
def clinic(browser):
    return staffed(Clinic())


def key(kid):
    return ECKey.generate_key("P-384", {"kid": kid, "alg": "ES384", "use": "sig"}).as_dict(private=False)


def audited(what):
    return AuditRecord.objects.filter(interaction=what, client="web")


def test_an_application_is_registered_changed_and_launched(clinic):
    runner = signed_in("runner")
    answer = runner.submit("/admin/clients/new/", APP)
    client = Client.objects.get(name="chart")
    assert answer.headers["Location"] == f"/admin/clients/{client.pk}/" and client.active and not client.confidential
    assert client.redirects == ["https://chart.example/back", "http://127.0.0.1/back"]
    assert "already" in runner.submit("/admin/clients/new/", APP).content.decode()
    url = f"/admin/clients/{client.pk}/"
    assert "https://chart.example/back" in runner.get(f"{url}edit/").content.decode()
    runner.submit(f"{url}edit/", APP | {"client_id": "other", "jwks": json.dumps({"keys": [key("a"), key("b")]})})
    client.refresh_from_db()
    assert client.name == "chart" and client.confidential and client.active
    assert not Client.objects.filter(name="other").exists()
    page = runner.get(url).content.decode()
    assert ">a<" in page and ">b<" in page
    page = runner.submit(f"{url}launch").content.decode()
    launch = Launch.objects.get()
    assert launch.user.username == "runner" and launch.patient is None
    assert "https://chart.example/launch?x=1&amp;iss=http%3A%2F%2Ftestserver%2Ffhir&amp;launch=" in page
    assert audited("$register-client").count() == audited("$change-client").count() == 1
    assert audited("$launch-client").exists()


WRONG = [
    ("redirects", "http://chart.example/", "neither https"), ("redirects", "javascript:alert(1)", "neither https"),
    ("launch_url", "javascript:alert(1)", "neither https"), ("launch_url", "https://a@b.example/", "not a full"),
    ("jwks", "{", "not JSON"), ("jwks", '{"keys": [{"kty": "oct", "k": "x", "kid": "1"}]}', "public keys"),
    ("jwks", "[" * 100_000, "not JSON"), ("scopes", "patient/observation.rs", "observation"), ("scopes", "", "scopes"),
    ("client_id", "a b", "client_id"), ("client_id", "", "client_id"), ("behalf", "nobody", "no login"),
    ("behalf", "doctor", "backend service"), ("scopes", "system/*.rs", "backend services"),
]  # fmt: skip


def test_what_is_wrong_with_a_registration_is_said(clinic):
    before, runner = Client.objects.count(), signed_in("runner")
    for field, value, said in WRONG:
        answer = runner.submit("/admin/clients/new/", APP | {field: value})
        assert answer.status_code == 200 and said in answer.content.decode(), (field, value)
    assert Client.objects.count() == before and not audited("$register-client").exists()


@pytest.mark.parametrize("more", [{"scopes": "system/*.rs"}, {"scopes": "user/*.rs", "behalf": "doctor"}])
def test_what_reaches_records_alone_is_switched_on_by_data_protection(clinic, more):
    runner, officer = signed_in("runner"), signed_in("officer")
    service = {"client_id": "service", "jwks": json.dumps({"keys": [key("a")]})} | more
    assert "switched off until" in runner.submit("/admin/clients/new/", service, follow=True).content.decode()
    client = Client.objects.get(name="service")
    url = f"/admin/clients/{client.pk}/"
    assert not client.active and runner.submit(f"{url}switch").status_code == 403
    assert officer.get(f"{url}edit/").status_code == officer.submit(f"{url}launch").status_code == 403
    officer.submit(f"{url}switch")
    client.refresh_from_db()
    assert client.active
    runner.submit(f"{url}edit/", service | {"jwks": json.dumps({"keys": [key("mine")]})})
    client.refresh_from_db()
    assert not client.active, "another key is another party: data protection looks again"
    officer.submit(f"{url}switch")
    runner.submit(f"{url}switch")
    client.refresh_from_db()
    assert not client.active and audited("$switch-client").count() == 3


def test_all_tokens_of_an_application_are_revoked_at_once(clinic):
    client = Client.objects.get(name="app")
    other = Api(name="another")
    assert clinic.patient.get(f"Patient/{clinic.a}").status_code == 200
    signed_in("runner").submit(f"/admin/clients/{client.pk}/revoke")
    assert clinic.patient.get(f"Patient/{clinic.a}").status_code == 401
    assert not Token.objects.filter(client=client, revoked=None).exists()
    assert other.get(f"Patient/{clinic.a}").status_code == 200
    assert audited("$revoke-client").get().query.startswith("client=app")
