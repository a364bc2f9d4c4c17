"""Public keys of a client by its registered address, fetched so that the address can harm nobody. (S11, S29; A67)

https, and http on loopback; the name is resolved once and the connection goes to that very address, which must be a
public one; no redirect is followed; little is read, for a short time; failures are remembered for a moment too.
"""

import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

LARGEST = 64 * 1024  # bytes of a JWKS
PATIENCE = 3.0  # seconds for all of a fetch
KEPT = 300.0  # seconds, when the answer does not say less
FAILED = 10.0  # seconds until an address that failed is tried again
AGE = re.compile(r"\bmax-age=(\d{1,9})\b", re.I)
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_kept = {}  # address -> (until, JWKS or None)
_guard = threading.Lock()


class Unreachable(Exception):
    """The keys cannot be had."""


def fetched(address, fresh=False):
    """The JWKS at an address; `fresh`: not from what is kept, unless it has just been fetched."""
    with _guard:
        until, known, since = _kept.get(address, (0, None, 0))
    now = time.monotonic()
    if now < until and not (fresh and now - since > FAILED):
        if known is None:
            raise Unreachable(address)
        return known
    try:
        status, headers, data = get(address)
        found = json.loads(data) if status == 200 else None
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list):
            raise Unreachable(f"{address} answers {status} without a JWKS")
    except (OSError, ValueError, RecursionError, http.client.HTTPException, Unreachable) as error:
        keep(address, FAILED, None)
        raise Unreachable(str(error)) from error
    keep(address, lifetime(headers.get("Cache-Control", "")), found)
    return found


def keep(address, seconds, found):
    now = time.monotonic()
    with _guard:
        if len(_kept) > 1000:
            _kept.clear()
        _kept[address] = now + seconds, found, now


def lifetime(control):
    """How long an answer may be kept, in seconds."""
    if re.search(r"\bno-(?:store|cache)\b", control, re.I):
        return 0.0
    told = AGE.search(control)
    return min(KEPT, float(told[1])) if told else KEPT


def get(address):
    """(status, headers, body) of a GET, within the bounds."""
    ends = time.monotonic() + PATIENCE
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.netloc.removesuffix(f":{parts.port}") in LOOPBACK
    if not local and parts.scheme != "https":
        raise Unreachable(f"{address} is not https")
    port = parts.port or (80 if local else 443)
    where = resolved(parts.hostname, port, local)
    connection = http.client.HTTPConnection(parts.hostname, port)
    connection.sock = socket.create_connection(where, timeout=remaining(ends))
    try:
        if not local:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
        sock = connection.sock
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json", "Connection": "close"})
        sock.settimeout(remaining(ends))
        answer = connection.getresponse()
        data = b""
        while piece := answer.read1(16 * 1024):
            data += piece
            if len(data) > LARGEST:
                raise Unreachable(f"{address} sends more than {LARGEST} bytes")
            sock.settimeout(remaining(ends))
        return answer.status, answer.headers, data
    finally:
        connection.close()


def resolved(host, port, local):
    """(address, port) to connect to: every address of the name is public, or, for `local`, of this machine."""
    found = [info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address, _ in found:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not (ip.is_loopback if local else ip.is_global and not ip.is_multicast):
            raise Unreachable(f"{host} is not an address that keys are fetched from")
    if not found:
        raise Unreachable(f"{host} has no address")
    return found[0]


def remaining(ends):
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the keys were too slow")
    return left
