"""The one middleware: machines go straight to their views, people through the classic chain, made when the first comes.

A request for /fhir pays a comparison. Sessions, CSRF, logins and languages are imported by the first page.
"""

from threading import Lock
from urllib.parse import urlsplit

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.urls import set_urlconf
from django.utils import translation
from django.utils.module_loading import import_string

from records import errors

from ..overload import gate
from ..requests import base, believed, from_proxy

PAGES = "fhirserver.web.urls"
MACHINES = (
    "/fhir", "/health", "/ready", "/metrics", "/.well-known/", "/oauth/token", "/oauth/introspect", "/oauth/revoke",
    "/oauth/jwks", "/oauth/launch",
)  # fmt: skip


class Dispatch:
    """Decides by the path who answers."""

    def __init__(self, get_response):
        self.machines = get_response
        self.pages, self.making = None, Lock()

    def __call__(self, request):
        if request.path_info.startswith(MACHINES):
            return self.machines(request)
        if self.pages is None:
            with self.making:
                self.pages = self.pages or Pages()
        return self.pages(request)


class Pages(BaseHandler):
    """The chain of settings.PAGE_MIDDLEWARE before the views of web/urls.py, as Django makes that of MIDDLEWARE."""

    def __init__(self):
        self._view_middleware, self._template_response_middleware, self._exception_middleware = [], [], []
        chain = convert_exception_to_response(self._get_response)
        for path in reversed(settings.PAGE_MIDDLEWARE):
            layer = import_string(path)(chain)
            if hasattr(layer, "process_view"):
                self._view_middleware.insert(0, layer.process_view)
            if hasattr(layer, "process_template_response"):
                self._template_response_middleware.append(layer.process_template_response)
            if hasattr(layer, "process_exception"):
                self._exception_middleware.append(layer.process_exception)
            chain = convert_exception_to_response(layer)
        self._middleware_chain = chain

    def __call__(self, request):
        request.urlconf = PAGES
        set_urlconf(PAGES)
        try:
            as_the_client_sees_it(request)
            with gate:  # pages wait in the same queue as /fhir, and are as few at once
                return self._middleware_chain(request)
        except errors.FHIRError as error:  # no place left, or a Host that is none
            return HttpResponse(str(error), status=error.status, content_type="text/plain", headers=error.headers)
        finally:
            set_urlconf(None)
            translation.deactivate()


def as_the_client_sees_it(request):
    """Behind a trusted proxy: scheme, host and address of the client, which CSRF and lockout judge by."""
    if not from_proxy(request):
        return
    meta = request.META
    seen = urlsplit(base(request))
    meta["wsgi.url_scheme"], meta["HTTP_HOST"] = seen.scheme, seen.netloc
    hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    while len(hops) > 1 and believed(hops[-1]):
        hops.pop()
    if hops:
        meta["REMOTE_ADDR"] = hops[-1]
