"""Is it alive, is it ready, how is it doing: for supervisors and Prometheus. Says nothing of any record."""

import ipaddress
import os

from django.http import HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from records import errors
from records.database import deadline, retried
from records.indexing.index import backlog

from .metrics import look

PATIENCE = 3  # seconds; a database that takes longer serves nobody
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_VIA")


def health(request):
    """The process answers."""
    return JsonResponse({"status": "live"})


def ready(request):
    """The database answers and is migrated as far as this code needs."""
    try:
        with deadline(PATIENCE):
            waiting = retried(backlog)
    except errors.FHIRError:
        return JsonResponse({"status": "not ready", "reason": "the database does not answer"}, status=503,
                            headers={"Retry-After": "2"})  # fmt: skip
    return JsonResponse({"status": "ready", "pending": waiting})


def metrics(request):
    """Prometheus text; to loopback only, and not to what a proxy on this machine passes on."""
    here = ipaddress.ip_address(request.META.get("REMOTE_ADDR", "0.0.0.0")).is_loopback
    if not here or any(name in request.META for name in FORWARDED):
        return HttpResponse(status=404)
    look()
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def unknown(request):
    """Nothing is here; says so in JSON, as machines ask."""
    return JsonResponse({"error": "not found", "fhir": "/fhir"}, status=404)
