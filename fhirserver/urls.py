"""What machines ask; the pages are in web/urls.py. (web/dispatch.py tells them apart)"""

from django.urls import include, path, re_path

from .endpoint import Endpoint
from .health import health, metrics, ready, unknown

urlpatterns = [
    path("", include("fhirserver.oauth.urls")),
    re_path(r"(?s)^fhir(?:/|\Z)(?P<path>.*)\Z", Endpoint.as_view()),
    path("health", health),
    path("ready", ready),
    path("metrics", metrics),
    re_path(r"", unknown),
]
