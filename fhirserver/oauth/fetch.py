"""HTTP out of this server, bounded: https (http on loopback alone), one resolution, no redirects, little, and soon.

The connection goes to the very address that was judged. An address that a client registered must be a public one;
one that an administrator set may also be in the own network. (attack A67)
"""

import http.client
import ipaddress
import socket
import ssl
import time
from urllib.parse import urlsplit

LARGEST = 64 * 1024  # bytes of an answer
PATIENCE = 3.0  # seconds for all of it
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


class Unreachable(Exception):
    """There is no answer that can be used."""


def call(address, body=None, headers=(), anywhere=False):
    """(status, headers, body) of a GET, or of a POST of a body; `anywhere`: also in the own network."""
    ends = time.monotonic() + PATIENCE
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.netloc.removesuffix(f":{parts.port}") in LOOPBACK
    if not local and parts.scheme != "https":
        raise Unreachable(f"{address} is not https")
    port = parts.port or (80 if local else 443)
    where = resolved(parts.hostname, port, local, anywhere)
    connection = http.client.HTTPConnection(parts.hostname, port)
    connection.sock = socket.create_connection(where, timeout=remaining(ends))
    try:
        if not local:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
        sock = connection.sock
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        asked = {"Accept": "application/json", "Connection": "close", **dict(headers)}
        connection.request("GET" if body is None else "POST", target, body, asked)
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


def resolved(host, port, local, anywhere):
    """(address, port) to connect to: every address of the name is public, or, for `local`, of this machine."""
    found = [info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address, _ in found:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not (ip.is_loopback if local else anywhere or (ip.is_global and not ip.is_multicast)):
            raise Unreachable(f"{host} is not a public address")
    if not found:
        raise Unreachable(f"{host} has no address")
    return found[0]


def remaining(ends):
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer was too slow")
    return left
