"""A sample a minute of how the server does: taken by the worker, drawn by the dashboard, gone after a day.

The web processes count for Prometheus in files that they map (PROMETHEUS_MULTIPROC_DIR). The worker reads these files:
a request pays nothing for the samples, and nobody keeps them in memory.
"""

import json
import os
import socket
import struct
from typing import NamedTuple

from records.database import execute
from records.indexing.index import state

KEPT = "1 day"
ALIGNED, NUMBER, VALUES = 8, struct.Struct("i"), struct.Struct("dd")  # of prometheus_client's mmap_dict
INSERT = (
    "INSERT INTO sample (at, node, requests, errors, seconds, slow, waiting, lag)"
    " VALUES (date_trunc('minute', now()), %s, %s::int4, %s::int4, %s::float8, %s::float8, %s, %s)"
    " ON CONFLICT DO NOTHING"
)
PURGE = f"DELETE FROM sample WHERE at < now() - interval '{KEPT}'"


class Counted(NamedTuple):
    """What the processes of this node have counted since they started."""

    requests: int
    errors: int
    seconds: float
    within: dict  # seconds -> answers that took no longer, and longer than the bound before

    def since(self, before):
        """What came to it; None when the counters began anew."""
        if before is None or self.requests < before.requests:
            return None
        within = {bound: n - before.within.get(bound, 0) for bound, n in self.within.items()}
        return Counted(
            self.requests - before.requests, self.errors - before.errors, self.seconds - before.seconds, within
        )

    def slow(self):
        """Seconds within which 95 of 100 answers were given: the bound of their bucket; None without answers."""
        reached, bounds = 0, sorted(self.within)
        for bound in bounds:
            reached += self.within[bound]
            if reached and reached >= 0.95 * sum(self.within.values()):
                return bound if bound != float("inf") else bounds[-2]
        return None


def counted(folder):
    """The counters of this node, or None where nobody counts."""
    if not folder or not os.path.isdir(folder):
        return None
    requests = errors = 0
    seconds, within = 0.0, {}
    for name in sorted(os.listdir(folder)):
        if not name.startswith(("counter_", "histogram_")):
            continue
        for key, value in entries(os.path.join(folder, name)):
            _family, sample, labels, _help = json.loads(key)
            if sample == "fhir_requests_total":
                requests += int(value)
                errors += int(value) if labels["status"].startswith("5") else 0
            elif sample == "fhir_request_seconds_sum":
                seconds += value
            elif sample == "fhir_request_seconds_bucket":
                bound = float(labels["le"])
                within[bound] = within.get(bound, 0) + int(value)
    return Counted(requests, errors, seconds, within)


def entries(path):
    """(key, value) of one of the files: a length, the key filled up with spaces, the value and its time."""
    with open(path, "rb") as file:
        data = file.read()
    used, at = (NUMBER.unpack_from(data)[0], ALIGNED) if len(data) >= ALIGNED else (0, 0)
    while at < used:
        (length,) = NUMBER.unpack_from(data, at)
        at += NUMBER.size
        key = data[at : at + length]
        at += length + ALIGNED - (length + NUMBER.size) % ALIGNED
        yield key, VALUES.unpack_from(data, at)[0]
        at += VALUES.size


class Sampler:
    """Remembers what was counted when it last looked."""

    def __init__(self, folder):
        self.folder, self.before = folder, counted(folder)

    def take(self):
        """Write the sample of this minute, and drop those of yesterday."""
        now = counted(self.folder)
        came = now.since(self.before) if now is not None else None
        self.before = now
        waiting, _failed, lag = state()
        told = (came.requests, came.errors, came.seconds, came.slow()) if came is not None else (None,) * 4
        execute(INSERT, (socket.gethostname(), *told, waiting, float(lag)))
        execute(PURGE)
