"""A FHIR client for tests: the whole endpoint, in process, against the real database."""

import json

from django.test import Client

from accessctl import actor
from records.indexing.index import index_pending

ALL = "system/*.cruds"


class Api:
    """Requests as one client; bodies are trees or bytes, answers have `.tree`."""

    def __init__(self, scope=ALL, name="test", token=None, **context):
        self.token = actor.issue(name, scope, **context) if token is None else token
        self.http = Client()

    def request(self, method, path, body=None, type="application/fhir+json", **headers):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"HTTP_" + k.upper().replace("-", "_"): v for k, v in headers.items()}
        if self.token:
            given.setdefault("HTTP_AUTHORIZATION", f"Bearer {self.token}")
        content = {"content_type": type} if body is not None else {}
        answer = self.http.generic(method, f"/fhir/{path}", data, **content, **given)
        kind = answer.headers.get("Content-Type", "")
        packed = "Content-Encoding" in answer.headers
        answer.tree = json.loads(answer.content) if "fhir+json" in kind and answer.content and not packed else None
        return answer

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.request("POST", path, body, **headers)

    def put(self, path, body, **headers):
        return self.request("PUT", path, body, **headers)

    def patch(self, path, body, **headers):
        return self.request("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.request("DELETE", path, **headers)


def indexed():
    """Everything written so far is searchable."""
    while index_pending(500):
        pass
