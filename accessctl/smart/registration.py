"""What a client must be: full redirect addresses, https but on loopback, public keys only. (SMART App Launch S11)"""

from urllib.parse import urlsplit

from ..people import Person
from ..purposes import InvalidPurpose, purpose, stated
from ..scopes import CONTEXT, InvalidScope, parse
from .tables import Client

LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
MOST_KEYS = 20
SECRET = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")  # members that only a private or symmetric key has


class InvalidClient(ValueError):
    """It cannot be registered so; the sentence says why."""


def register(name, *, title="", scopes="", redirects=(), launch_url=None, jwks=None, jwks_uri=None, introspects=False,
             behalf=None, purposes=()):  # fmt: skip
    """Register a client under its client_id, or register it anew; what it was granted before stays."""
    if not name or not name.isprintable() or " " in name or len(name) > 200:
        raise InvalidClient("a client_id is up to 200 printable characters without spaces")
    try:
        parse(scopes)
    except InvalidScope as error:
        raise InvalidClient(str(error)) from error
    if not scopes.split():
        raise InvalidClient("it needs the scopes that it may be granted at most")
    for address in (*redirects, *([launch_url] if launch_url else ())):
        check_address(address)
    if jwks is not None and jwks_uri is not None:
        raise InvalidClient("keys are given either inline or by address")
    if jwks is not None:
        check_keys(jwks)
    if jwks_uri is not None:
        check_address(jwks_uri)
    if not redirects and jwks is None and jwks_uri is None:
        raise InvalidClient("it needs redirect addresses, or keys to authenticate with as a backend service")
    if any(word not in CONTEXT and word.startswith("system/") for word in scopes.split()) and redirects:
        raise InvalidClient("system/ scopes are for backend services, which have no redirect addresses")
    if behalf is not None and redirects:
        raise InvalidClient("a client on behalf of one person is a backend service, which has no redirect addresses")
    if behalf is not None and not Person.objects.filter(user=behalf).exists():
        raise InvalidClient("there is no person behind the login on whose behalf it is")
    try:
        purposes = sorted({stated(each, (purpose(each),)) for each in purposes})
    except InvalidPurpose as error:
        raise InvalidClient(str(error)) from error
    client, _ = Client.objects.update_or_create(
        name=name,
        defaults={
            "title": title or name, "scopes": " ".join(scopes.split()), "redirects": list(redirects),
            "launch_url": launch_url, "jwks": jwks, "jwks_uri": jwks_uri, "introspects": introspects, "behalf": behalf,
            "purposes": purposes,
        },
    )  # fmt: skip
    return client


def check_address(address):
    """https, or http on this machine; absolute, without fragment, user or wildcard."""
    try:
        parts = urlsplit(address)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InvalidClient(f"{address!r} is no address: {error}") from error
    host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    if not secure:
        raise InvalidClient(f"{address!r} is neither https nor http on loopback")
    odd = "*" in address or "\\" in address or "@" in parts.netloc or "#" in address or ".." in parts.path
    if odd or not parts.hostname or not port_is_valid or not address.isascii() or any(c.isspace() for c in address):
        raise InvalidClient(f"{address!r} is not a full address without wildcard, user or fragment")


def check_keys(jwks):
    """A set of public keys with which RS384 or ES384 is signed."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS or not all(isinstance(k, dict) for k in keys):
        raise InvalidClient(f"a JWKS is an object with up to {MOST_KEYS} keys")
    for key in keys:
        if any(member in key for member in SECRET) or key.get("kty") not in ("RSA", "EC"):
            raise InvalidClient("a JWKS holds public keys of kty RSA or EC alone")
        if not isinstance(key.get("kid"), str) or not key["kid"]:
            raise InvalidClient("each key needs a kid")


def same_redirect(asked, registered):
    """Exactly a registered address; on loopback by IP any port will do. (RFC 8252 7.3, RFC 9700 2.1)"""
    if asked in registered:
        return True
    return any(loopback(asked) and loopback(asked) == loopback(each) for each in registered)


def loopback(address):
    """(host, path, query) of an http address on loopback; None of any other."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc[: -len(str(port)) - 1] if port is not None else parts.netloc
    if parts.scheme != "http" or host not in LOOPBACK or "#" in address or not address.startswith("http://"):
        return None
    return host, parts.path, parts.query
