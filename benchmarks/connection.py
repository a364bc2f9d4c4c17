"""A blocking keep-alive HTTP/1.1 connection that costs the machine little, as it shares it with the server.

A general HTTP client spends 300 to 1,000 us of CPU on a request, as much as the server under test. This one sends
bytes encoded beforehand and reads only status, length and body: about 40 us.
"""

import select
import socket
import ssl
import time
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

CHUNK = 1 << 18
IDLE = 0.5  # seconds after which a kept connection is looked at before use: servers close idle ones


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test."""

    name: str
    base: str
    token: str | None = None
    pid: int | None = None  # root of its process tree, when it runs on this machine

    @property
    def path(self):
        return urlsplit(self.base).path.rstrip("/")

    def encode(self, method, path, body=None, headers=()):
        """The bytes of one request; `path` is relative to the base, "" is the base itself."""
        url = self.path + ("/" + path if path and not path.startswith("?") else path)
        lines = [
            f"{method} {url or '/'} HTTP/1.1",
            f"Host: {urlsplit(self.base).netloc}",
            "Accept: application/fhir+json",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes

    def header(self, name):
        """Value of a header, or None."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.encode().lower():
                return value.strip().decode("latin-1")
        return None


class Broken(ConnectionError):
    """The server closed or garbled the connection in the middle of an answer."""


class Connection:
    """One socket to the target, opened on first use and again after a failure."""

    def __init__(self, target, timeout=120):
        parts = urlsplit(target.base)
        self.host, self.tls = parts.hostname, parts.scheme == "https"
        self.port = parts.port or (443 if self.tls else 80)
        self.timeout = timeout
        self.socket = None
        self.used = 0.0

    def open(self):
        self.socket = socket.create_connection((self.host, self.port), self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=self.host)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def ask(self, raw):
        """Send the bytes of a request, return its Answer; never sends twice."""
        if self.socket and time.monotonic() - self.used > IDLE and select.select([self.socket], [], [], 0)[0]:
            self.close()  # readable before we asked: the server has closed it
        if not self.socket:
            self.open()
        try:
            self.socket.sendall(raw)
            answer, keep = self.receive()
        except OSError:
            self.close()
            raise
        self.used = time.monotonic()
        if not keep:
            self.close()
        return answer

    def receive(self):
        data = self.more(b"")
        while (end := data.find(b"\r\n\r\n")) < 0:
            data = self.more(data)
        head, body = data[:end], data[end + 4 :]
        status, small = int(head[9:12]), head.lower()
        keep = b"\r\nconnection: close" not in small and head.startswith(b"HTTP/1.1")
        at = small.find(b"\r\ncontent-length:")
        if status in (204, 304):
            return Answer(status, head, b""), keep
        if at >= 0:
            length = int(small[at + 17 : at + 40].split(b"\r\n", 1)[0])
            return Answer(status, head, self.exactly(body, length)), keep
        if b"\r\ntransfer-encoding: chunked" in small:
            return Answer(status, head, self.chunked(body)), keep
        return Answer(status, head, self.rest(body)), False

    def more(self, data):
        part = self.socket.recv(CHUNK)
        if not part:
            raise Broken("closed by the server before the answer was complete")
        return data + part if data else part

    def exactly(self, body, length):
        if len(body) >= length:
            return body
        parts, missing = [body], length - len(body)
        while missing:
            part = self.socket.recv(min(missing, CHUNK))
            if not part:
                raise Broken(f"closed by the server {missing} bytes before the end of the answer")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def chunked(self, data):
        """Body in chunks. (RFC 9112 section 7.1)"""
        body = []
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data = self.more(data)
            size = int(data[:end].split(b";", 1)[0], 16)
            data = data[end + 2 :]
            if not size:
                while b"\r\n" not in data:
                    data = self.more(data)
                return b"".join(body)
            while len(data) < size + 2:
                data = self.more(data)
            body.append(data[:size])
            data = data[size + 2 :]

    def rest(self, body):
        parts = [body]
        while part := self.socket.recv(CHUNK):
            parts.append(part)
        return b"".join(parts)
