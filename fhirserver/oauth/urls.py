"""Addresses of the authorisation server; a view is imported when it is first asked for, as most processes never are."""

from importlib import import_module

from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def later(module, name, exempt=True):
    """A view that is imported at its first request; `exempt`: it does nothing in the name of a cookie's owner."""

    def view(request, **named):
        return getattr(import_module(f"fhirserver.oauth.{module}"), name)(request, **named)

    return csrf_exempt(view) if exempt else view


urlpatterns = [
    path("fhir/.well-known/smart-configuration", later("discovery", "smart_configuration")),
    path(".well-known/smart-configuration", later("discovery", "smart_configuration")),
    path(".well-known/openid-configuration", later("discovery", "openid_configuration")),
    path("oauth/jwks", later("discovery", "jwks")),
    path("oauth/token", later("tokens", "token")),
    path("oauth/introspect", later("tokens", "introspect")),
    path("oauth/revoke", later("tokens", "revoke")),
    path("oauth/launch", later("launch", "launch")),
]
