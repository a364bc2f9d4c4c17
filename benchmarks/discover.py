"""Learns what a server holds, by searching it, and waits until search knows what was loaded."""

import collections
import json
import time
from urllib.parse import quote

from .connection import Connection
from .work import Known

PATIENTS = 400
SAMPLED = ("Observation", "Encounter", "Condition", "Immunization", "MedicationStatement", "DiagnosticReport")
PER_TYPE = 500
CODES = 5


class Refused(RuntimeError):
    """The server did not answer a question that the benchmark depends on."""


class Asker:
    """Plain questions outside the measured time."""

    def __init__(self, target):
        self.target, self.connection = target, Connection(target)

    def get(self, path):
        answer = self.connection.ask(self.target.encode("GET", path))
        if answer.status != 200:
            raise Refused(f"{self.target.name}: GET {path} answered {answer.status}: {answer.body[:300]!r}")
        return json.loads(answer.body)

    def count(self, query):
        """Number of matches, by _summary=count. (search.html#summary)"""
        return self.get(query + ("&" if "?" in query else "?") + "_summary=count")["total"]

    def pages(self, query, limit):
        """Resources of a search, following its next links, at most `limit`."""
        found = []
        while query and len(found) < limit:
            bundle = self.get(query)
            found += [e["resource"] for e in bundle.get("entry", ()) if e.get("search", {}).get("mode") != "outcome"]
            links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
            query = self.relative(links.get("next"))
        return found[:limit]

    def relative(self, url):
        """A link of the server relative to the base we were given; the host in it may be another's."""
        if not url:
            return None
        path = url.partition("://")[2].partition("/")[2] if "://" in url else url.lstrip("/")
        base = self.target.path.lstrip("/")
        return path.removeprefix(base).lstrip("/")


def known(target, created=()):
    """What the work may ask for; `created` are (type, id) pairs that a load has just made."""
    asker = Asker(target)
    resources = list(created)
    people = asker.pages("Patient?_count=100", PATIENTS)
    if not people:
        raise Refused(f"{target.name} holds no Patient; run the load first")
    if not resources:
        resources = [("Patient", p["id"]) for p in people]
        for kind in SAMPLED:
            resources += [(kind, r["id"]) for r in asker.pages(f"{kind}?_count=100", PER_TYPE)]
    codes = collections.Counter()
    for observation in asker.pages("Observation?_count=100", PER_TYPE):
        for coding in observation["code"].get("coding", [])[:1]:
            codes[f"{coding.get('system', '')}|{coding['code']}"] += 1
    return Known(
        patients=tuple(p["id"] for p in people),
        resources=tuple(resources),
        names=tuple(sorted({n["family"] for p in people for n in p.get("name", ()) if n.get("family")})),
        identifiers=tuple(f"{i['system']}|{i['value']}" for p in people for i in p["identifier"][:1]),
        codes=tuple(code for code, _ in codes.most_common(12)),
    )


def expected(templates, copies):
    """query -> how many more a search must find when so many copies of each template were loaded."""
    more = collections.Counter()
    codes = collections.Counter()
    for n, template in enumerate(templates):
        for kind, number in template.types.items():
            more[kind] += number * copies[n]
        for code, number in template.codes.items():
            codes[f"Observation?code={quote(code)}"] += number * copies[n]
    return dict(more) | dict(codes)


def watched(templates):
    """The queries that a load is watched by: every type, and the commonest codes of Observation."""
    once = expected(templates, [1] * len(templates))
    codes = sorted((query for query in once if "?" in query), key=once.get, reverse=True)
    return [query for query in once if "?" not in query] + codes[:CODES]


def counts(target, queries):
    asker = Asker(target)
    return {query: asker.count(query) for query in queries}


def searchable_after(target, before, more, limit=60.0):
    """Seconds until every count has grown by what was loaded, and the counts that had not when time ran out."""
    asker, began = Asker(target), time.monotonic()
    missing = dict(more)
    while missing:
        for query in list(missing):
            if asker.count(query) >= before[query] + more[query]:
                del missing[query]
        elapsed = time.monotonic() - began
        if missing and elapsed > limit:
            break
        if missing:
            time.sleep(0.05)
    return round(time.monotonic() - began, 3), sorted(missing)
