"""What the authorisation server can do, for anybody. (SMART App Launch: conformance; OpenID Connect Discovery)"""

from ..requests import base
from . import signing
from .addresses import endpoints, issuer
from .answers import endpoint

CAPABILITIES = [
    "client-confidential-asymmetric",
    "permission-v1",
    "permission-v2",
]
SCOPES = [
    "system/*.cruds",
    "system/*.rs",
]
ALGORITHMS = ["RS384", "ES384"]


@endpoint(["GET"], anybody=True)
def smart_configuration(request):
    """/.well-known/smart-configuration. (S1-S7)"""
    at = endpoints(base(request))
    return 200, {
        "token_endpoint": at["token"],
        "introspection_endpoint": at["introspect"],
        "revocation_endpoint": at["revoke"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": SCOPES,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "capabilities": CAPABILITIES,
    }


@endpoint(["GET"], anybody=True)
def openid_configuration(request):
    """/.well-known/openid-configuration of the issuer."""
    at = endpoints(base(request))
    return 200, {
        "issuer": issuer(request),
        "token_endpoint": at["token"],
        "jwks_uri": at["jwks"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
    }


@endpoint(["GET"], anybody=True)
def jwks(request):
    """The public keys of id_tokens."""
    return 200, {"keys": signing.public_keys()}
