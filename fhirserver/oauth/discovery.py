"""What the authorisation server can do, for anybody. (SMART App Launch: conformance; OpenID Connect Discovery)"""

from ..requests import base
from . import signing
from .addresses import endpoints, issuer
from .answers import endpoint

CAPABILITIES = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
]
SCOPES = [
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "patient/*.rs",
    "user/*.cruds",
    "user/*.rs",
    "system/*.cruds",
    "system/*.rs",
]
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
ALGORITHMS = ["RS384", "ES384"]


@endpoint(["GET"], anybody=True)
def smart_configuration(request):
    """/.well-known/smart-configuration. (S1-S7)"""
    at = endpoints(base(request))
    return 200, {
        "issuer": issuer(request),
        "jwks_uri": at["jwks"],
        "authorization_endpoint": at["authorize"],
        "token_endpoint": at["token"],
        "introspection_endpoint": at["introspect"],
        "revocation_endpoint": at["revoke"],
        "management_endpoint": f"{issuer(request)}/account/applications/",
        "grant_types_supported": GRANTS,
        "response_types_supported": ["code"],
        "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "capabilities": CAPABILITIES,
    }


@endpoint(["GET"], anybody=True)
def openid_configuration(request):
    """/.well-known/openid-configuration of the issuer."""
    at = endpoints(base(request))
    return 200, {
        "issuer": issuer(request),
        "authorization_endpoint": at["authorize"],
        "token_endpoint": at["token"],
        "jwks_uri": at["jwks"],
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
    }


@endpoint(["GET"], anybody=True)
def jwks(request):
    """The public keys of id_tokens."""
    return 200, {"keys": signing.public_keys()}
