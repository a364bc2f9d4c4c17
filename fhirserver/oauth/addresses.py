"""Where the authorisation server is, as this client reaches it: beside /fhir."""

from ..requests import base

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"


def site(fhir):
    """The issuer: the FHIR base URL without its last part."""
    return fhir.removesuffix("/fhir")


def issuer(request):
    return site(base(request))


def endpoints(fhir):
    """name -> URL of each endpoint, for a FHIR base URL."""
    here = site(fhir)
    names = ("authorize", "token", "introspect", "revoke")
    return {name: f"{here}/oauth/{name}" for name in names} | {"jwks": f"{here}/oauth/jwks"}


def oauth_uris(fhir):
    """The extension of CapabilityStatement.rest.security. (SMART App Launch 1, still read by clients)"""
    at = endpoints(fhir)
    return {
        "url": OAUTH_URIS,
        "extension": [{"url": name, "valueUri": at[name]} for name in ("token", "authorize", "introspect", "revoke")],
    }
