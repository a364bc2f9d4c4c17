"""The endpoints that clients call: token, introspection, revocation. (RFC 6749, 7662, 7009)"""

import json
from urllib.parse import urlencode

from django.db import transaction

from accessctl.purposes import concept
from accessctl.smart import families

from ..overload import allowance
from ..requests import base
from . import assertions
from .addresses import endpoints, site
from .answers import Refused, endpoint, form
from .context import fhir_user, subject
from .validator import Validator, revocation_endpoint, token_endpoint


@endpoint(["POST"])
def token(request):
    """A code, a refresh token or an assertion against tokens."""
    given, validator = asked(request, "token")
    if "grant_type" not in given:
        raise Refused("invalid_request", "grant_type is missing.")
    if given["grant_type"] not in ("authorization_code", "refresh_token", "client_credentials"):
        raise Refused("unsupported_grant_type", "Only authorization_code, refresh_token and client_credentials.")
    name_owner(given)
    if "client_assertion" in given:
        validator.named = assertions.ahead(given)  # keys are fetched while no transaction waits for them
    with transaction.atomic():  # also when it is refused: a code or token that came twice has ended its family
        _, body, status = token_endpoint(validator).create_token_response(
            validator.audience, "POST", urlencode(given), {}
        )
    return status, json.loads(body)


def name_owner(given):
    """RFC 6749 6 lets a public client leave out its name, and npm's fhirclient does: the token says whose it is."""
    if given["grant_type"] != "refresh_token" or {"client_id", "client_assertion"} & set(given):
        return
    if owner := families.owner(given.get("refresh_token", "")):
        given["client_id"] = owner.client_id


@endpoint(["POST"])
def revoke(request):
    """A token is over, with its family when it is a refresh token; of an unknown one nothing is said."""
    given, validator = asked(request, "revoke")
    _, body, status = revocation_endpoint(validator).create_revocation_response(
        validator.audience, "POST", urlencode(given), {}
    )
    return status, json.loads(body) if body else None


def asked(request, name):
    """(form, Validator); a client with keys proves itself to the endpoint that it calls."""
    given = form(request)
    here = base(request)
    return given, Validator(given, endpoints(here)[name], here)


@endpoint(["POST"])
def introspect(request):
    """What a token means now, to a client that shows one of its own or proves itself; else that it is not active."""
    given = form(request)
    client = asking(request, given)
    allowance.take(client.name, 1)
    if "token" not in given:
        raise Refused("invalid_request", "token is missing.")
    return 200, meaning(given["token"], client, base(request)) or {"active": False}


def asking(request, given):
    """The client that asks."""
    kind, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() == "bearer" and (found := families.valid_token(text.strip())):
        return found.client
    if "client_assertion" in given:
        try:
            return assertions.proven(given, endpoints(base(request))["introspect"])
        except assertions.Wrong:
            pass
    raise Refused("invalid_client", "Send a valid access token, or an assertion for this endpoint.", 401,
                  {"WWW-Authenticate": 'Bearer realm="oauth"'})  # fmt: skip


def meaning(text, client, here):
    """The claims of an active token; None when it is not active, or not this client's to ask about."""
    if found := families.valid_token(text):
        owner, user, authorization, scopes = found.client, found.user, found.authorization, found.scopes
        purpose = found.purpose
        patient, kind = found.patient, {"token_type": "Bearer"}
    elif found := families.valid_refresh(text):
        authorization = found.authorization
        owner, user, scopes, patient = authorization.client, authorization.user, authorization.scopes, None
        purpose = authorization.purpose
        kind = {"token_type": "refresh_token"}
    else:
        return None
    if owner.pk != client.pk and not client.introspects:
        return None
    told = {
        "active": True, "scope": scopes, "client_id": owner.name, "iss": site(here),
        "iat": int(found.issued.timestamp()), "exp": int(found.expires.timestamp()), **kind,
    }  # fmt: skip
    if patient:
        told["patient"] = patient
    if purpose:
        told["extensions"] = {"ihe_iua": {"purpose_of_use": [concept(purpose)]}}
    if authorization:
        told |= authorization.context
    if user:
        told |= {"sub": subject(user), "username": user.get_username()}
        if reference := fhir_user(user):
            told["fhirUser"] = f"{here}/{reference}"
    return told
