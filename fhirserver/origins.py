"""Origins of registered browser applications: pages of theirs may read answers. (SMART App Launch S9)

Tokens are never sent by a browser on its own, so that this opens nothing to a page without one.
"""

import time
from urllib.parse import urlsplit

import psycopg
from django.conf import settings

from records import errors
from records.database import execute, in_transaction

KEPT = 10.0  # seconds that the list is believed
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_seen = (0.0, frozenset())


def registered(origin):
    """Is it one of the settings, or of the redirect address of an active client? On loopback any port is."""
    if origin in settings.FHIRSERVER_CORS_ORIGINS or "*" in settings.FHIRSERVER_CORS_ORIGINS:
        return True
    return any(each in known() for each in forms(origin))


def forms(origin):
    """The origin, and without its port when it is on loopback."""
    yield origin
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.rpartition(":")
    if scheme == "http" and colon and port.isdigit() and host in LOOPBACK:
        yield f"http://{host}"


def known():
    """Origins of the redirect addresses, asked for every few seconds at most."""
    global _seen
    at, found = _seen
    if time.monotonic() - at < KEPT and at:
        return found
    if in_transaction():
        return found
    try:
        rows = execute("SELECT DISTINCT unnest(redirects) FROM client WHERE active")
    except (psycopg.Error, errors.FHIRError):
        return found  # the request itself says what is wrong with the database; a page may fail to read that
    found = frozenset(each for (address,) in rows for each in forms(origin_of(address)))
    _seen = time.monotonic(), found
    return found


def forget():
    """The next question asks the database."""
    global _seen
    _seen = (0.0, frozenset())


def origin_of(address):
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
