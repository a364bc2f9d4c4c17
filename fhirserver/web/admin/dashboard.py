"""The state of the server on one screen."""

from accessctl.audit.seal import head_age
from records.database import execute
from records.indexing.index import state

from .staff import shown, staff


@staff()
def dashboard(request):
    waiting, failed, lag = state()
    rows = execute(
        "SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'resource'::regclass),"
        " pg_database_size(current_database()), (SELECT count(*) FROM review WHERE reviewed IS NULL),"
        " (SELECT count(*) FROM doubt WHERE answered IS NULL),"
        " (SELECT count(*) FROM job WHERE state IN ('waiting', 'running')),"
        " (SELECT max(number) FROM audit_seal), (SELECT max(size) FROM audit_seal),"
        " (SELECT count(*) FROM notice WHERE delivered IS NULL)"
    )
    names = ("resources", "bytes", "reviews", "doubts", "jobs", "seal", "sealed", "notices")
    numbers = dict(zip(names, rows[0], strict=True)) | {"waiting": waiting, "failed": failed, "lag": round(lag, 1)}
    return shown(request, "dashboard", "", **numbers, unsealed=round(head_age(), 1), requests=requests())


def requests():
    """[(interaction, answers, of these errors of the server, mean milliseconds)] since the start, all processes."""
    import os

    from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            row = found.setdefault(sample.labels.get("interaction"), [0, 0, 0.0])
            if sample.name == "fhir_requests_total":
                row[0] += int(sample.value)
                row[1] += int(sample.value) if sample.labels["status"].startswith("5") else 0
            elif sample.name == "fhir_request_seconds_sum":
                row[2] += sample.value
    return [
        (name, n, bad, round(1000 * s / n, 1)) for name, (n, bad, s) in sorted(found.items(), key=str) if name and n
    ]
