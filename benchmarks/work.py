"""The work: generators of jobs. A job is sent, its answer comes back into the generator, the next job follows."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

LOCATION = re.compile(rb'"location"\s*:\s*"(?:[^"]*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^"]*)?"')


LABELS = ("patient page", "patient and code", "code page", "problems of patient", "name", "identifier")


class Job(NamedTuple):
    label: str
    raw: bytes
    expect: tuple = (200,)
    resources: int = 0  # resources written when it succeeds
    harvest: Callable | None = None  # answer -> [(type, id)]
    piece: object = None  # what of the work it is; successes are counted by it


@dataclass(frozen=True, slots=True)
class Known:
    """What the server holds and the work may ask for."""

    patients: tuple[str, ...]  # ids
    resources: tuple[tuple[str, str], ...]  # (type, id)
    names: tuple[str, ...]
    identifiers: tuple[str, ...]  # "system|value" of patients
    codes: tuple[str, ...]  # "system|code" of Observations


def created(answer):
    """(type, id) of each entry that a transaction made."""
    return [(kind.decode(), id.decode()) for kind, id in LOCATION.findall(answer.body)]


def load(templates, repeat, take):
    """Transactions, each copy with fresh ids; `take` hands out the turns to all clients."""

    def jobs(target, client, random):
        while (turn := take()) < len(templates) * repeat:
            template = templates[turn % len(templates)]
            raw = target.encode("POST", "", template.fresh(), [("Prefer", "return=minimal")])
            yield Job("transaction", raw, (200,), template.entries, created, turn % len(templates))

    return jobs


def read(known, expect=(200,)):
    """Read by id, every resource as likely as any other."""

    def jobs(target, client, random):
        while True:
            yield Job("read", target.encode("GET", "/".join(random.choice(known.resources))), expect)

    return jobs


def searches(known):
    """label -> the query of one search, given a source of chance."""
    return {
        "patient page": lambda r: f"Observation?patient={r.choice(known.patients)}&_sort=-date&_count=50",
        "patient and code": lambda r: (
            f"Observation?patient={r.choice(known.patients)}&code={quote(r.choice(known.codes))}&_sort=-date&_count=50"
        ),
        "code page": lambda r: f"Observation?code={quote(r.choice(known.codes))}&_sort=-date&_count=50",
        "problems of patient": lambda r: f"Condition?patient={r.choice(known.patients)}",
        "name": lambda r: f"Patient?name={quote(r.choice(known.names))}&_count=20",
        "identifier": lambda r: f"Patient?identifier={quote(r.choice(known.identifiers))}",
    }


def search(known, label):
    """One kind of search page, over and over."""
    query = searches(known)[label]

    def jobs(target, client, random):
        while True:
            yield Job(label, target.encode("GET", query(random)))

    return jobs


def weight(patient, value):
    """A body weight, as a scale sends it. (vital-signs profile)"""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "Vital Signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2024-05-01T08:00:00+02:00",
        "valueQuantity": {"value": value, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def crud(known):
    """Equal shares of create, read, update, search by patient and delete, on Observations."""

    def jobs(target, client, random):
        while True:
            patient = random.choice(known.patients)
            body = weight(patient, random.randrange(40, 120))
            answer = yield Job("create", target.encode("POST", "Observation", encoded(body)), (201,))
            place = re.search(rb"Observation/([A-Za-z0-9.-]{1,64})", (answer.header("location") or "").encode())
            if not place:
                continue
            id = place.group(1).decode()
            yield Job("read", target.encode("GET", f"Observation/{id}"))
            body |= {"id": id, "valueQuantity": body["valueQuantity"] | {"value": random.randrange(40, 120)}}
            yield Job("update", target.encode("PUT", f"Observation/{id}", encoded(body)))
            query = f"Observation?patient={patient}&code=http%3A%2F%2Floinc.org%7C29463-7&_count=20"
            yield Job("search", target.encode("GET", query))
            yield Job("delete", target.encode("DELETE", f"Observation/{id}"), (200, 204))

    return jobs


def encoded(tree):
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
