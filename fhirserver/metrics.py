"""Counters and times for Prometheus; names and types only, never an id or a value of a record."""

import time
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from records import errors
from records.database import deadline, retried
from records.indexing.index import state

REQUESTS = Counter("fhir_requests_total", "FHIR requests", ("interaction", "status"))
SECONDS = Histogram(
    "fhir_request_seconds", "Time to answer", ("interaction",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip

PENDING = Gauge("fhir_index_pending", "Writes that wait for the index", multiprocess_mode="mostrecent")
FAILED = Gauge("fhir_index_failed", "Resources that could not be indexed", multiprocess_mode="mostrecent")
LAG = Gauge("fhir_index_lag_seconds", "Age of the oldest write that waits", multiprocess_mode="mostrecent")
UNSEALED = Gauge("fhir_audit_unsealed_seconds", "Age of the oldest audit record not sealed",
                 multiprocess_mode="mostrecent")  # fmt: skip
PATIENCE = 3  # seconds
UNKNOWN = (float("nan"),) * 4


class Measured:
    """What the request turns out to be, told while it runs."""

    interaction = "unknown"
    status = 500


@contextmanager
def request():
    """Count and time one request."""
    measured, started = Measured(), time.perf_counter()
    try:
        yield measured
    except Exception as error:
        measured.status = getattr(error, "status", 500)
        raise
    finally:
        REQUESTS.labels(measured.interaction, measured.status).inc()
        SECONDS.labels(measured.interaction).observe(time.perf_counter() - started)


def look():
    """Set what the database knows; nobody knows it while that does not answer."""
    from accessctl.audit.seal import head_age  # with its cryptography: only the process that is asked pays for it

    try:
        with deadline(PATIENCE):
            found = *retried(state), retried(head_age)
    except errors.FHIRError:
        found = UNKNOWN
    for gauge, value in zip((PENDING, FAILED, LAG, UNSEALED), found, strict=True):
        gauge.set(value)
