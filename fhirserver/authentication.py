"""Bearer tokens for the FHIR endpoint. (RFC 6750; only the Authorization header counts, never query, cookie or body)"""

from rest_framework.authentication import BaseAuthentication

from accessctl.actor import Caller, InvalidToken
from records import errors
from records.database import retried

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fhir", error="invalid_token"'}


class BearerToken(BaseAuthentication):
    """request.auth is the Caller, or None when no token was sent; a token that is not valid is refused."""

    def authenticate(self, request):
        header = request.META.get("HTTP_AUTHORIZATION")
        if not header:
            return None
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise errors.LoginRequired(headers=CHALLENGE)
        try:
            caller = retried(lambda: Caller(token.strip()))
        except InvalidToken:
            raise errors.LoginRequired(headers=CHALLENGE) from None
        return caller.actor, caller
