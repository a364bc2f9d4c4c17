"""The state of the server on one screen."""

from django.utils.translation import gettext, gettext_lazy

from accessctl.audit.seal import head_age
from records.database import execute
from records.indexing.index import state

from .staff import shown, staff

POINTS = 60  # of a plot, at most
PLOTS = (
    ("requests", gettext_lazy("Requests a minute"), "",
     (("requests", gettext_lazy("requests")), ("errors", gettext_lazy("errors of the server")))),
    ("latency", gettext_lazy("Time to answer"), "ms",
     (("mean", gettext_lazy("mean")), ("slow", gettext_lazy("95 of 100 within")))),
    ("waiting", gettext_lazy("Writes that wait for the index"), "", (("waiting", gettext_lazy("writes")),)),
    ("lag", gettext_lazy("Index behind"), "s", (("lag", gettext_lazy("seconds")),)),
)  # fmt: skip
SAMPLES = """
    SELECT at, round(sum(requests)::numeric / count(DISTINCT minute), 1)::float8,
      round(sum(errors)::numeric / count(DISTINCT minute), 1)::float8,
      round((1000 * sum(seconds) / nullif(sum(requests), 0))::numeric, 1)::float8,
      round((1000 * max(slow))::numeric, 1)::float8, max(waiting), round(max(lag)::numeric, 1)::float8
    FROM (SELECT date_bin(make_interval(mins => %s), at, 'epoch') AS at, at AS minute, requests, errors, seconds, slow,
      waiting, lag FROM sample WHERE at > now() - make_interval(hours => %s)) s
    GROUP BY 1 ORDER BY 1"""


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
    hours = int(given) if (given := request.GET.get("hours")) in ("3", "24") else 3
    return shown(
        request, "dashboard", "", **numbers, unsealed=round(head_age(), 1), requests=requests(), hours=hours,
        **plots(hours),
    )  # fmt: skip


def plots(hours):
    """The samples of the last hours, all nodes together: rows for a table, newest first, and what is drawn."""
    rows = execute(SAMPLES, (60 * hours // POINTS, hours))
    names = ("at", "requests", "errors", "mean", "slow", "waiting", "lag")
    rows = [dict(zip(names, row, strict=True)) for row in rows]
    times = [each["at"].isoformat() for each in rows]
    drawn = [
        {"id": f"plot-{id}", "title": title, "series": {
            "times": times, "axis": gettext("Time"), "unit": str(unit), "clock": True, "low": [], "high": [],
            "lines": [{"label": str(label), "values": [each[name] for each in rows]} for name, label in lines],
        }}
        for id, title, unit, lines in PLOTS
    ]  # fmt: skip
    return {"samples": rows[::-1], "plots": drawn if len(rows) > 1 else []}


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
