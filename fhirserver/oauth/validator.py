"""Our rules for oauthlib's grants: who the client is, what a code or a refresh token stands for, what is granted.

oauthlib asks, in the order of RFC 6749; each answer here is a look into the tables of accessctl.smart.
"""

import logging
from importlib import import_module

from django.conf import settings
from oauthlib.oauth2 import (
    AuthorizationCodeGrant,
    BearerToken,
    ClientCredentialsGrant,
    RefreshTokenGrant,
    RequestValidator,
    RevocationEndpoint,
    TokenEndpoint,
)
from oauthlib.oauth2.rfc6749.errors import InvalidRequestError
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import code_challenge_method_s256

from accessctl.purposes import InvalidPurpose, purpose, stated
from accessctl.scopes import InvalidScope, granted
from accessctl.smart import families
from accessctl.smart.tables import Client

from . import assertions
from .context import told

log = logging.getLogger("fhirserver.oauth")
ASSERTION = ("client_assertion", "client_assertion_type")


class CodeGrant(AuthorizationCodeGrant):
    """The authorization code grant with PKCE S256 and nothing else. (S4; attack A59)"""

    _code_challenge_methods = {"S256": code_challenge_method_s256}


class Validator(RequestValidator):
    """What oauthlib asks."""

    def __init__(self, form, audience, base):
        self.form, self.audience, self.base = form, audience, base
        self.named = None  # what assertions.ahead said

    # who the client is

    def client_authentication_required(self, request, *args, **kwargs):
        """Clients with keys prove themselves, always."""
        if any(name in self.form for name in ASSERTION):
            return True
        client = self.known(request.client_id)
        return client is not None and client.confidential

    def authenticate_client(self, request, *args, **kwargs):
        try:
            request.client = assertions.proven(self.form, self.audience, self.named)
        except assertions.Wrong as error:
            log.info("a client did not prove itself: %s", error)
            return False
        request.client_id = request.client.client_id
        return True

    def authenticate_client_id(self, client_id, request, *args, **kwargs):
        client = self.known(client_id)
        if client is None or client.confidential or not client.redirects:
            return False
        request.client = client
        return True

    def known(self, client_id):
        return Client.objects.filter(name=client_id, active=True).first() if client_id else None

    def validate_grant_type(self, client_id, grant_type, client, request, *args, **kwargs):
        if grant_type == "client_credentials":
            return client.confidential and not client.redirects
        return grant_type in ("authorization_code", "refresh_token") and bool(client.redirects)

    # codes

    def validate_code(self, client_id, code, client, request, *args, **kwargs):
        found = families.exchange(code, client, request.redirect_uri)
        return found is not None and self.stands_for(found, request)

    def stands_for(self, authorization, request):
        request.authorization = authorization
        request.user, request.scopes = authorization.user, authorization.scopes.split()
        self.remains(authorization.purpose)
        return not self.over(authorization)

    def over(self, authorization):
        """Has the session ended that an online access hangs on? Then the family ends too. (S20)"""
        if authorization.session is None:
            return False
        store = import_module(settings.SESSION_ENGINE).SessionStore(authorization.session)
        if store.get("_auth_user_id") == str(authorization.user_id):
            return False
        families.revoke(authorization)
        return True

    def is_pkce_required(self, client_id, request):
        return True

    def get_code_challenge(self, code, request):
        return request.authorization.challenge

    def get_code_challenge_method(self, code, request):
        return "S256"

    def confirm_redirect_uri(self, client_id, code, redirect_uri, client, request, *args, **kwargs):
        return redirect_uri == request.authorization.redirect

    def get_default_redirect_uri(self, client_id, request, *args, **kwargs):
        return None

    def invalidate_authorization_code(self, client_id, code, request, *args, **kwargs):
        """`save_token` has done it, in the same transaction."""

    # refresh tokens

    def validate_refresh_token(self, refresh_token, client, request, *args, **kwargs):
        found = families.rotate(refresh_token, client)
        return found is not None and self.stands_for(found, request)

    def get_original_scopes(self, refresh_token, request, *args, **kwargs):
        return request.authorization.scopes.split()

    def is_within_original_scope(self, request_scopes, refresh_token, request, *args, **kwargs):
        return within(request_scopes, request.authorization.scopes)

    def rotate_refresh_token(self, request):
        return True

    # purposes of use

    def remains(self, granted):
        """What the person saw is what counts: a purpose may be said again, and no other."""
        if (text := self.form.get("purpose_of_use")) and self.understood(purpose, text) != granted:
            raise InvalidRequestError("purpose_of_use is another than the one that was authorised")

    def states(self, client):
        """The purpose that a backend service states, if any."""
        text = self.form.get("purpose_of_use")
        return self.understood(stated, text, client.purposes) if text else None

    def understood(self, read, *given):
        try:
            return read(*given)
        except InvalidPurpose as error:
            raise InvalidRequestError(str(error)) from error

    # scopes and tokens

    def get_default_scopes(self, client_id, request, *args, **kwargs):
        return []

    def validate_scopes(self, client_id, scopes, client, request, *args, **kwargs):
        """A backend service asks for what it was registered for, word by word; else it learns so at once. (S27)"""
        request.purpose = self.states(client)
        return bool(scopes) and within(scopes, client.scopes)

    def save_token(self, token, request, *args, **kwargs):
        """Store what is about to be told."""
        authorization = getattr(request, "authorization", None)
        purpose = authorization.purpose if authorization else request.purpose
        families.access_token(token["access_token"], request.client, token["scope"], authorization, purpose)
        if purpose:
            token["purpose_of_use"] = purpose
        if authorization is None:
            return
        if request.grant_type == "authorization_code":
            families.exchanged(authorization)
        else:
            families.spend(request.refresh_token)
        if {"offline_access", "online_access"} & set(authorization.scopes.split()):
            families.refresh_token(token["refresh_token"], authorization)
        else:
            token.pop("refresh_token", None)
        token.update(told(authorization, token["scope"].split(), request.grant_type, self.base))

    def revoke_token(self, token, token_type_hint, request, *args, **kwargs):
        families.revoke_token(token, request.client)


def within(words, bound):
    """Is every word understood, and all of it within the bound?"""
    try:
        return granted(" ".join(words), bound) == list(dict.fromkeys(words))
    except InvalidScope:
        return False


def token_endpoint(validator):
    """oauthlib's endpoint with the three grants that there are."""
    bearer = BearerToken(
        validator,
        token_generator=lambda request: families.new_secret(),
        expires_in=lambda request: int(
            (families.BACKEND if request.grant_type == "client_credentials" else families.PERSONAL).total_seconds()
        ),
    )
    grants = {
        "authorization_code": CodeGrant(validator),
        "refresh_token": RefreshTokenGrant(validator),
        "client_credentials": ClientCredentialsGrant(validator),
    }
    return TokenEndpoint("authorization_code", bearer, grants)


def revocation_endpoint(validator):
    return RevocationEndpoint(validator)
