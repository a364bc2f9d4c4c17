"""An EHR opens an application on a record: it gets a handle, which the application brings back. (SMART: EHR launch)"""

import json
from urllib.parse import urlencode

from accessctl.actor import Caller, InvalidToken
from accessctl.smart import families, launches
from accessctl.smart.tables import Client
from records.database import retried
from records.interactions.interaction import Interaction

from ..requests import base
from . import people
from .answers import Refused, endpoint, form

MOST_CONTEXT = 20  # entries of fhirContext


@endpoint(["POST"])
def launch(request):
    """For the person of the access token sent: client_id, patient, and perhaps encounter, intent, fhirContext."""
    given, here = form(request), base(request)
    kind, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = families.valid_token(text.strip()) if kind.lower() == "bearer" else None
    if token is None or token.user is None:
        raise Refused("invalid_token", "Send an access token of a person.", 401)
    client = Client.objects.filter(name=given.get("client_id", ""), active=True).exclude(launch_url=None).first()
    if client is None:
        raise Refused("invalid_request", "client_id is not an application that can be launched.")
    try:
        actor = retried(lambda: Caller(text.strip())).actor
    except InvalidToken:
        raise Refused("invalid_token", "Send an access token of a person.", 401) from None
    patient = given.get("patient")
    if patient and people.found(actor, Interaction("read", "instance", "Patient", patient, base=here)) is None:
        raise Refused("invalid_request", "patient is not one that this token may read.")
    handle = launches.opened(client, token.user, patient, context(given, actor, here))
    url = address(client, here, handle)
    return 200, {"launch": handle, "url": url, "expires_in": int(launches.LIFETIME.total_seconds())}


def opened(client, user, here, patient=None):
    """The address by which a page opens an application in this person's name; whose record it is, the page has seen."""
    handle = launches.opened(client, user, patient, {"need_patient_banner": True} if patient else {})
    return address(client, here, handle)


def address(client, here, handle):
    joined = "&" if "?" in client.launch_url else "?"
    return client.launch_url + joined + urlencode({"iss": here, "launch": handle})


def context(given, actor, here):
    """What the token response will tell beside the patient. (S25)"""
    told = {"need_patient_banner": given.get("need_patient_banner", "true") == "true"}
    told |= {name: given[name] for name in ("intent", "tenant") if name in given}  # words between EHR and application
    if encounter := given.get("encounter"):
        found = people.found(actor, Interaction("read", "instance", "Encounter", encounter, base=here))
        subject = (found or {}).get("subject", {}).get("reference")
        if found is None or (given.get("patient") and subject != f"Patient/{given['patient']}"):
            raise Refused("invalid_request", "encounter is not one of this patient that this token may read.")
        told["encounter"] = encounter
    if "fhirContext" in given:
        told["fhirContext"] = entries(given["fhirContext"])
    return told


def entries(text):
    """fhirContext: each entry has a reference, a canonical or an identifier."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_request", f"fhirContext is not JSON: {error}") from error
    good = isinstance(found, list) and len(found) <= MOST_CONTEXT and all(isinstance(each, dict) for each in found)
    if not good or not all({"reference", "canonical", "identifier"} & set(each) for each in found):
        raise Refused("invalid_request", "fhirContext is a list of objects with reference, canonical or identifier.")
    return found
