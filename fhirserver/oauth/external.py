"""Sign in with an identity provider: OpenID Connect, with the claims of Pro Santé Connect.

Code flow with PKCE, state and nonce. The provider says who somebody is (SubjectNameID, the national identifier), with
which profession and for which organisations, and how well that was proven (acr). Only an identifier that was linked to
a login here (`manage.py link_identity`) signs in: nobody is made by signing in, and no resource makes anybody somebody.
"""

import base64
import hashlib
import http.client
import json
import logging
import secrets
import time
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from accessctl import external as providers

from ..web.login import EXTERNAL
from . import fetch, jwks

log = logging.getLogger("fhirserver.oauth")
PENDING = "external_request"  # of the session: what is remembered until the browser comes back
ALGORITHMS = ["RS256", "ES256"]
LEEWAY = 30  # seconds by which two clocks may differ
PATIENCE = 600  # seconds to come back in


class Wrong(Exception):
    """The answer of the provider cannot be believed, or is of nobody here; the sentence says why, to the log alone."""


@require_GET
def begin(request):
    """To the provider."""
    if not settings.FHIRSERVER_OIDC_ISSUER:
        return told(request, _("No identity provider is set up here."), 404)
    next = request.GET.get("next", "")
    kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    request.session[PENDING] = kept | {"next": next, "at": int(time.time())}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(kept["verifier"].encode()).digest()).decode().rstrip("=")
    try:
        there = provider()["authorization_endpoint"]
    except Wrong as error:
        return failed(request, error)
    asked = {
        "response_type": "code", "client_id": settings.FHIRSERVER_OIDC_CLIENT_ID, "redirect_uri": callback(request),
        "scope": settings.FHIRSERVER_OIDC_SCOPE, "state": kept["state"], "nonce": kept["nonce"],
        "code_challenge": challenge, "code_challenge_method": "S256", "acr_values": settings.FHIRSERVER_OIDC_ACR,
    }  # fmt: skip
    return HttpResponseRedirect(there + ("&" if "?" in there else "?") + urlencode(asked))


@require_GET
def end(request):
    """Back from the provider: signed in, or told that it did not work."""
    kept = request.session.pop(PENDING, None)
    try:
        claims = believed(request, kept)
        user = providers.signed_in(settings.FHIRSERVER_OIDC_ISSUER, claims)
    except (Wrong, providers.Unknown) as error:
        return failed(request, error)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session[EXTERNAL] = {"acr": claims["acr"], "subject": claims["sub"]}
    next = kept["next"]
    safe = url_has_allowed_host_and_scheme(next, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(next if safe else reverse("home"))


def believed(request, kept):
    """The claims, after every check. (OpenID Connect Core 3.1.3.7)"""
    given = request.GET
    if kept is None or "state" not in kept or time.time() - kept["at"] > PATIENCE:
        raise Wrong("nobody was sent to the provider, or too long ago")
    if not secrets.compare_digest(given.get("state", "").encode(), kept["state"].encode()):
        raise Wrong("state is another one")
    known = provider()
    if given.get("iss", known["issuer"]) != known["issuer"]:
        raise Wrong("iss of the answer is another one")
    if "code" not in given:
        raise Wrong(f"no code: {given.get('error', '')[:100]!r}")
    tokens = exchanged(known, given["code"], callback(request), kept["verifier"])
    claims = checked(tokens.get("id_token"), known, kept["nonce"])
    info = asked(known["userinfo_endpoint"], headers={"Authorization": f"Bearer {tokens.get('access_token')}"})
    if info.get("sub") != claims["sub"]:
        raise Wrong("userinfo is of somebody else")
    return {**info, **claims}


def exchanged(known, code, redirect, verifier):
    """The tokens for a code; we prove who we are with the secret of our registration."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    both = (settings.FHIRSERVER_OIDC_CLIENT_ID, settings.FHIRSERVER_OIDC_CLIENT_SECRET)
    proof = ":".join(quote(each, safe="") for each in both)  # RFC 6749 2.3.1
    headers = {
        "Authorization": "Basic " + base64.b64encode(proof.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return asked(known["token_endpoint"], urlencode(form).encode(), headers)


def checked(token, known, nonce):
    """The claims of an id_token that is for us, of now, of this request, and as well proven as is demanded."""
    if not isinstance(token, str):
        raise Wrong("no id_token")
    try:
        found = verified(token, known["jwks_uri"])
    except (JoseError, ValueError, KeyError, TypeError, fetch.Unreachable) as error:
        raise Wrong(f"id_token: {error}") from error
    audience = found.get("aud") if isinstance(found.get("aud"), list) else [found.get("aud")]
    now, ours = time.time(), settings.FHIRSERVER_OIDC_CLIENT_ID
    if found.get("iss") != known["issuer"] or ours not in audience or found.get("azp", ours) != ours:
        raise Wrong("iss or aud is another one")
    if len(audience) > 1 and "azp" not in found:
        raise Wrong("several audiences and no azp")
    if not isinstance(found.get("exp"), int | float) or found["exp"] < now - LEEWAY:
        raise Wrong("it is over")
    if not isinstance(found.get("iat"), int | float) or found["iat"] > now + LEEWAY:
        raise Wrong("it is of the future")
    if found.get("nonce") != nonce:
        raise Wrong("nonce is another one")
    if found.get("acr") not in settings.FHIRSERVER_OIDC_ACR.split():
        raise Wrong(f"acr {found.get('acr')!r} is not enough")
    if not isinstance(found.get("sub"), str) or not found["sub"]:
        raise Wrong("no sub")
    return found


def verified(token, address):
    """The claims under a signature of the provider; its keys are fetched anew once when none fits."""
    try:
        keys = KeySet.import_key_set(jwks.fetched(address, anywhere=True))
        return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
    except (JoseError, ValueError):
        keys = KeySet.import_key_set(jwks.fetched(address, fresh=True, anywhere=True))
        return jwt.decode(token, keys, algorithms=ALGORITHMS).claims


def provider():
    """What the provider says of itself; its issuer is the one that is configured, letter by letter."""
    known = asked(settings.FHIRSERVER_OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration")
    wanted = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    if known.get("issuer") != settings.FHIRSERVER_OIDC_ISSUER or not all(isinstance(known.get(n), str) for n in wanted):
        raise Wrong("its discovery document is of another issuer, or lacks an endpoint")
    return known


def asked(address, body=None, headers=()):
    """A JSON object of the provider."""
    try:
        status, _, data = fetch.call(address, body, headers, anywhere=True)
        found = json.loads(data) if status == 200 else None
    except (OSError, ValueError, RecursionError, http.client.HTTPException, fetch.Unreachable) as error:
        raise Wrong(f"{address}: {error}") from error
    if not isinstance(found, dict):
        raise Wrong(f"{address} answers {status}")
    return found


def callback(request):
    return request.build_absolute_uri(reverse("external_end"))


def failed(request, error):
    """Alike whatever the reason, which the log has."""
    log.warning("a sign-in by the identity provider failed: %s", error)
    return told(request, _("Signing in did not work. Try again, or ask an administrator."), 403)


def told(request, text, status):
    return render(request, "error.html", {"title": _("Sign in"), "text": text, "status": status}, status=status)
