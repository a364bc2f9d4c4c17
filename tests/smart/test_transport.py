"""TLS 1.2 at least, on every exchange. (SMART S10)"""

import contextlib
import datetime
import ipaddress
import socket
import ssl
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhirserver import requests
from fhirserver.embedded.supervisor import Server, StartFailed
from tests.test_up import Up

from .apps import App, Browser
from .clients import Backend, post
from .test_app import world  # noqa: F401

PUBLIC = {"x_forwarded_host": "fhir.example.org"}


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A server that speaks TLS itself, with a certificate of its own."""
    folder = tmp_path_factory.mktemp("tls")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem, format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, format, serialization.NoEncryption()))
    server = Up(folder / "data", "--empty", FHIRSERVER_TLS_CERT=str(folder / "cert.pem"),
                FHIRSERVER_TLS_KEY=str(folder / "key.pem"))  # fmt: skip
    server.certificate = folder / "cert.pem"
    yield server.wait_until_ready()
    server.stop()


def asks(server, version=None):
    """The first bytes of the answer to a request for the configuration; None: without TLS."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        if version is not None:
            context = ssl.create_default_context(cafile=server.certificate)
            context.set_ciphers("ALL:@SECLEVEL=0")  # the client would take anything
            context.minimum_version = context.maximum_version = version
            sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
        sock.sendall(
            b"GET /fhir/.well-known/smart-configuration HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        with sock.makefile("rb") as answer:
            return answer.read()


@pytest.mark.xdist_group("up")
def test_S10_the_least_is_tls_1_2(certified):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        answer = asks(certified, version)
        assert answer.startswith(b"HTTP/1.1 200") and b'"token_endpoint": "https://127.0.0.1' in answer


@pytest.mark.xdist_group("up")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_S10_nothing_less_is_answered(certified):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):  # of the server, which refuses
            asks(certified, version)
    with contextlib.suppress(ConnectionError):
        assert b"HTTP" not in asks(certified)


def refuses(tmp_path, host):
    """Whether `up` would not serve other machines so."""
    options = SimpleNamespace(host=host, data=tmp_path / "data", empty=True, port=0, workers=1)
    try:
        Server(options)._refuse()
    except StartFailed as error:
        assert "unencrypted" in str(error)
        return True
    return False


def test_S10_no_other_machine_is_served_in_clear(tmp_path, monkeypatch):
    for name in ("FHIRSERVER_TLS_CERT", "FHIRSERVER_TLS_KEY", "FHIRSERVER_BASE_URL", "FHIRSERVER_TRUSTED_PROXIES"):
        monkeypatch.delenv(name, raising=False)
    assert refuses(tmp_path, "0.0.0.0") and not refuses(tmp_path, "127.0.0.1")
    monkeypatch.setenv("FHIRSERVER_BASE_URL", "http://fhir.example.org/fhir")
    assert refuses(tmp_path, "::")
    monkeypatch.setenv("FHIRSERVER_BASE_URL", "https://fhir.example.org/fhir")
    assert not refuses(tmp_path, "::")


@pytest.fixture
def proxied(settings):
    settings.FHIRSERVER_TRUSTED_PROXIES = ["127.0.0.0/8"]
    settings.ALLOWED_HOSTS = ["*"]
    requests.trusted.cache_clear()
    yield
    settings.FHIRSERVER_TRUSTED_PROXIES = []
    requests.trusted.cache_clear()


def test_S10_no_token_leaves_in_clear_behind_a_proxy(world, proxied):  # noqa: F811
    robot, app = Backend(), App()

    def token(**headers):
        return post("/oauth/token", robot.form(assertion=robot.assertion(aud="https://fhir.example.org/oauth/token")),
                    **PUBLIC, **headers)  # fmt: skip

    for headers in ({"x_forwarded_proto": "http"}, {}, {"forwarded": "host=fhir.example.org;proto=http"}):
        answer = token(**headers)
        assert (answer.status_code, answer.tree["error"]) == (400, "invalid_request"), headers
    assert token(x_forwarded_proto="https").status_code == 200

    def page(proto):
        given = {"HTTP_X_FORWARDED_HOST": "fhir.example.org", "HTTP_X_FORWARDED_PROTO": proto}
        asked = app.request(aud="https://fhir.example.org/fhir")
        return Browser("alice").http.get("/oauth/authorize?" + urlencode(asked), **given)

    assert page("https").status_code == 200
    answer = page("http")
    assert answer.status_code == 400 and "Location" not in answer.headers
