"""A small HTTP client that says what it knows: an answer, or that nobody knows what became of the request."""

import contextlib
import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from uuid import uuid4

IDLE = 15  # seconds after which a connection is not used again


class Unknown(Exception):
    """The connection ended before an answer came: the server may have done it or not."""


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    @property
    def tree(self):
        return json.loads(self.body) if self.body else None

    @property
    def id(self):
        return self.tree["id"]

    @property
    def version(self):
        return int(self.headers["etag"].split('"')[1])


class Client:
    """One connection, used by one thread."""

    def __init__(self, port, token, timeout=30):
        self.port, self.token, self.timeout = port, token, timeout
        self.connection, self.used = None, 0.0

    def ask(self, method, path, body=None, keep=True, **headers):
        """The Answer; Unknown when there is none."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/fhir+json")
        if not keep:
            given["Connection"] = "close"
        if time.monotonic() - self.used > IDLE:  # the server may be closing it just now
            self.close()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.request(method, f"/fhir{path}", data, given)
            response = self.connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unknown(f"{method} {path}: {error!r}") from error
        if not keep or response.will_close:
            self.close()
        self.used = time.monotonic()
        return answer

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def put(self, path, body, **headers):
        return self.ask("PUT", path, body, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)


class Crowd:
    """Clients that each have a thread and start together."""

    def __init__(self, server, size):
        self.clients = [server.client() for _ in range(size)]

    def all_at_once(self, request):
        """`request(client, n)` of every client at the same moment; what each returned, an Exception included."""
        barrier = threading.Barrier(len(self.clients))
        found = [None] * len(self.clients)

        def one(n):
            barrier.wait()
            try:
                found[n] = request(self.clients[n], n)
            except Exception as error:
                found[n] = error

        threads = [threading.Thread(target=one, args=(n,)) for n in range(len(self.clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in found:
            if isinstance(each, Exception):
                raise each
        return found

    def close(self):
        for client in self.clients:
            client.close()


@contextlib.contextmanager
def crowd(server, size):
    clients = Crowd(server, size)
    yield clients
    clients.close()


def in_thread(work):
    """Run it in a thread; `.result()` is what it returned or raised."""
    from concurrent.futures import Future

    future = Future()

    def run():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


# -- resources that say who wrote them ---------------------------------------------------------------------------------

SYSTEM = "urn:test:marker"


def marker():
    return uuid4().hex


def marked(type, mark, **elements):
    """A resource of the type with the marker as identifier."""
    always = {
        "Observation": {"status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}},
        "Basic": {"code": {"coding": [{"system": "http://example.org/kinds", "code": "note"}]}},
    }
    return {"resourceType": type, "identifier": [{"system": SYSTEM, "value": mark}], **always.get(type, {}), **elements}


def entry(method, url, resource=None, full_url=None, **request):
    found = {"request": {"method": method, "url": url, **request}}
    if full_url:
        found["fullUrl"] = full_url
    if resource is not None:
        found["resource"] = resource
    return found


def bundle(*entries, type="transaction"):
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def visit(mark, type="Observation"):
    """A transaction of a patient and two resources about it."""
    patient = f"urn:uuid:{uuid4()}"
    about = {"subject": {"reference": patient}}
    return bundle(
        entry("POST", "Patient", marked("Patient", mark), patient),
        entry("POST", type, marked(type, mark, **about)),
        entry("POST", type, marked(type, mark, **about)),
    )
