"""What a client is told of the person and the launch beside its token. (SMART App Launch S25, S26)"""

import time

from django.utils.crypto import salted_hmac

from accessctl.people import Person

from . import signing
from .addresses import site

ID_TOKEN = 3600  # seconds


def told(authorization, scopes, grant, here):
    """Further members of the token response."""
    found = dict(authorization.context)
    if authorization.patient:
        found["patient"] = authorization.patient
    if "openid" in scopes and grant == "authorization_code":
        found["id_token"] = id_token(authorization, scopes, here)
    return found


def id_token(authorization, scopes, here):
    """Who logged in, signed for the client."""
    now = int(time.time())
    claims = {
        "iss": site(here), "sub": subject(authorization.user), "aud": authorization.client.name, "iat": now,
        "exp": now + ID_TOKEN,
    }  # fmt: skip
    if authorization.nonce:
        claims["nonce"] = authorization.nonce
    if authorization.authenticated:
        claims["auth_time"] = int(authorization.authenticated.timestamp())
    if "fhirUser" in scopes and (reference := fhir_user(authorization.user)):
        claims["fhirUser"] = f"{here}/{reference}"
    return signing.signed(claims)


def subject(user):
    """The same for the same person for ever, and no login."""
    return salted_hmac("oauth.subject", str(user.pk), algorithm="sha256").hexdigest()[:40]


def fhir_user(user):
    """Type/id of the resource that the person is, as administrators confirmed it; None when there is none."""
    person = Person.objects.filter(user=user).first()
    if person is None:
        return None
    if person.practitioner:
        return f"Practitioner/{person.practitioner}"
    return f"Patient/{person.patient}" if person.patient else None
