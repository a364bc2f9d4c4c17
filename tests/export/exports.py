"""A backend that exports, for tests: kick-off, the worker's slices, manifest, lines."""

import gzip
import json

from records.indexing import jobs
from tests.api import Api

ASYNC = {"prefer": "respond-async"}


def below(url):
    """A URL of the server as the tests' client asks for it."""
    return url.removeprefix("http://testserver/fhir/")


def kicked(api, url="$export", body=None, **headers):
    """The status URL of an export that is asked for."""
    answer = api.request("GET" if body is None else "POST", url, body, **{**ASYNC, **headers})
    assert answer.status_code == 202, answer.content
    return below(answer.headers["Content-Location"])


def worked():
    """The worker's slices until nothing is left; how many there were."""
    count = 0
    while jobs.advance():
        count += 1
    assert not jobs.unfinished()
    return count


def manifest(api, status):
    answer = api.get(status)
    assert answer.status_code == 200, (answer.status_code, answer.headers, answer.content)
    assert answer.headers["Content-Type"] == "application/json"
    return json.loads(answer.content)


def exported(api, url="$export", body=None, **headers):
    """The manifest of an export, done."""
    status = kicked(api, url, body, **headers)
    worked()
    return manifest(api, status)


def content(answer):
    """What was sent, unpacked."""
    assert answer.status_code == 200, answer.content
    data = b"".join(answer.streaming_content)
    assert int(answer.headers["Content-Length"]) == len(data)
    return gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data


def lines(api, item, **headers):
    """The resources of a file of a manifest."""
    data = content(api.get(below(item["url"]), **headers))
    found = data.split(b"\n")
    assert found.pop() == b"" and len(found) == item["count"], "whole lines, as many as were promised"
    return [json.loads(line) for line in found]


def resources(api, told, list="output", **headers):
    """All resources of a list of the manifest."""
    return [line for item in told[list] for line in lines(api, item, **headers)]


def named(found):
    """type/id/version of resources, each once."""
    every = [(r["resourceType"], r["id"], r["meta"]["versionId"]) for r in found]
    assert len(set(every)) == len(every)
    return set(every)


def parameters(*given):
    """A Parameters resource of (name, value)."""
    kinds = {"patient": lambda v: {"valueReference": {"reference": v}}, "_since": lambda v: {"valueInstant": v}}
    return {"resourceType": "Parameters",
            "parameter": [{"name": n, **kinds.get(n, lambda v: {"valueString": v})(v)} for n, v in given]}  # fmt: skip


def robot(scope="system/*.rs", name="robot", **more):
    return Api(scope, name=name, **more)
