"""The authorization endpoint: an application asks, the person says what it may, a code goes back. (RFC 6749 4.1, PKCE)

What is wrong with the client or its redirect address is told to the person, here; anything else to the application, at
its registered address. Between the page and the answer the request travels signed: what was shown is what is granted.
"""

import re
from dataclasses import asdict, dataclass, replace
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accessctl.purposes import InvalidPurpose, stated
from accessctl.scopes import CONTEXT, InvalidScope, granted
from accessctl.smart import families, launches
from accessctl.smart.registration import same_redirect
from accessctl.smart.tables import Client

from ..requests import base, in_clear
from ..web.headers import content
from . import people
from .addresses import site
from .context import fhir_user
from .words import described, purpose_of

SALT = "oauth.consent"
PATIENCE = 900  # seconds that a consent page may stay open
CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}\Z")  # SHA-256 in base64url (RFC 7636 4.2)
LONGEST = 4000  # characters of state, nonce, scope
ONCE = ("client_id", "redirect_uri", "response_type", "scope", "state", "aud", "code_challenge", "launch", "nonce",
        "code_challenge_method", "response_mode", "prompt", "purpose_of_use")  # fmt: skip


class Unsafe(Exception):
    """The request may come from nobody we know: there is no address to answer to."""


class Refused(Exception):
    """An error that the application is told by redirect."""

    def __init__(self, error, description, asked):
        super().__init__(error)
        self.error, self.description, self.asked = error, description, asked


@dataclass(frozen=True)
class Asked:
    """A request that a known client sent, to be answered at a registered address."""

    client: str
    redirect: str
    state: str
    scope: str = ""
    challenge: str = ""
    nonce: str = ""
    launch: str = ""
    purpose: str = ""


def authorize(request):
    """GET or form POST of an application, which grants nothing by itself. (S10, S12)"""
    if in_clear(request):
        return unsafe(request, _("The connection is not encrypted."))
    if request.method == "POST":
        if request.META.get("QUERY_STRING"):
            return unsafe(request, _("The request has parameters in two places."))
        return HttpResponseRedirect(f"{request.path}?{request.POST.urlencode()}")
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
    try:
        asked, client = read(request)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return page(request, asked, client)
    except Unsafe as error:
        return unsafe(request, str(error))
    except Refused as error:
        return back(request, error.asked, error=error.error, error_description=error.description)


def read(request):
    """(Asked, Client) of a request that is right in every part. (S13, S14; attacks A57-A59)"""
    for name, values in request.GET.lists():
        if name in ONCE and len(values) > 1:
            raise Unsafe(_("The request says something twice."))
    given = {name: value for name, value in request.GET.items() if value}
    if any("\0" in value or len(value) > LONGEST for value in given.values()):
        raise Unsafe(_("The request is too long."))
    client = Client.objects.filter(name=given.get("client_id", ""), active=True).first()
    if client is None or not client.redirects:
        raise Unsafe(_("The application is not registered here."))
    if not same_redirect(given.get("redirect_uri", ""), client.redirects):
        raise Unsafe(_("The address to return to is not one that is registered for this application."))
    asked = Asked(
        client.name, given["redirect_uri"], given.get("state", ""), given.get("scope", ""),
        given.get("code_challenge", ""), given.get("nonce", ""), given.get("launch", ""),
    )  # fmt: skip
    check(asked, given, base(request))
    return replace(asked, purpose=purpose(given.get("purpose_of_use"), asked, client)), client


def check(asked, given, here):
    """What the application is told of when it is wrong."""
    if "response_type" not in given:
        raise Refused("invalid_request", "response_type is missing", asked)
    if given["response_type"] != "code":
        raise Refused("unsupported_response_type", "response_type must be code", asked)
    if given.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "response_mode must be query", asked)
    if not asked.state:
        raise Refused("invalid_request", "state is missing", asked)
    if given.get("code_challenge_method") != "S256" or not CHALLENGE.match(asked.challenge):
        raise Refused("invalid_request", "PKCE with code_challenge_method S256 is required", asked)
    if given.get("aud", "").rstrip("/") != here:
        raise Refused("invalid_request", f"aud must be {here}", asked)
    if "request" in given or "request_uri" in given:
        raise Refused("request_not_supported", "request objects are not taken", asked)


def purpose(text, asked, client):
    """The code of the purpose of use that the application states; "" when it states none."""
    try:
        return stated(text, client.purposes) if text else ""
    except InvalidPurpose as error:
        raise Refused("invalid_request", str(error), asked) from error


def page(request, asked, client):
    """The consent page: what is asked, for which record, yes or no."""
    if not families.is_somebody(request.user):
        raise Refused("access_denied", "this login is that of nobody whose rights are known here", asked)
    launch = launches.waiting(asked.launch, client, request.user) if asked.launch else None
    if asked.launch and launch is None:
        raise Refused("invalid_request", "launch is not one that was opened for this application and person", asked)
    words = offered(asked, client, request.user, launch)
    if not words:
        raise Refused("invalid_scope", "none of these scopes can be granted to this application", asked)
    chooses = launch is None or not launch.patient
    chooses = chooses and any(word == "launch/patient" or word.startswith("patient/") for word in words)
    reader = people.person(request.user, client, asked.purpose)
    choice = people.choice(reader, base(request), request.GET.get("name", "")) if chooses else None
    if chooses and not choice.rows and not choice.searched:
        raise Refused("access_denied", "there is no record that this person may open", asked)
    state = signing.dumps({"asked": asdict(asked), "words": words, "user": request.user.pk}, salt=SALT, compress=True)
    fixed = [word for word in words if word in CONTEXT and not word.endswith("_access")]
    response = render(request, "oauth/consent.html", {
        "client": client, "host": urlsplit(asked.redirect).netloc, "state": state, "choice": choice,
        "scopes": [(word, described(word)) for word in words if word not in fixed],
        "facts": [described(word) for word in fixed if described(word)],
        "patient": launch and launch.patient and people.one(reader, base(request), launch.patient),
        "purpose": purpose_of(asked.purpose),
        "kept": [(name, value) for name, value in request.GET.items() if name != "name"],
    })  # fmt: skip
    return framed(response, asked)


def offered(asked, client, user, launch):
    """The words that this person can grant this application, as far as they were asked."""
    try:
        words = granted(asked.scope, client.scopes)
    except InvalidScope as error:
        raise Refused("invalid_scope", str(error).encode("ascii", "replace").decode(), asked) from error
    without = {"launch"} if launch is None else set()
    if "openid" not in words or fhir_user(user) is None:
        without.add("fhirUser")
    if "offline_access" in words:
        without.add("online_access")
    return [word for word in words if word not in without and not word.startswith("system/")]


@require_POST
def decide(request):
    """What the person said. The page's form carries a CSRF token and the signed request. (attack A68)"""
    try:
        shown = signing.loads(request.POST.get("state", ""), salt=SALT, max_age=PATIENCE)
    except signing.BadSignature:
        return unsafe(request, _("The page was open for too long. Please start again from the application."))
    asked = Asked(**shown["asked"])
    client = Client.objects.filter(name=asked.client, active=True).first()
    if client is None or not same_redirect(asked.redirect, client.redirects):
        return unsafe(request, _("The application is not registered here."))
    if not request.user.is_authenticated or request.user.pk != shown["user"]:
        return unsafe(request, _("Somebody else has signed in meanwhile. Please start again from the application."))
    try:
        if request.POST.get("decision") != "allow":
            raise Refused("access_denied", "the person said no", asked)
        return allow(request, asked, client, shown["words"])
    except Refused as error:
        return back(request, error.asked, error=error.error, error_description=error.description)


def allow(request, asked, client, words):
    """A code for what is still ticked; the rest was deselected. (S32)"""
    if not families.is_somebody(request.user):
        raise Refused("access_denied", "this login is that of nobody whose rights are known here", asked)
    ticked = set(request.POST.getlist("scope"))
    words = [word for word in words if word in ticked or (word in CONTEXT and not word.endswith("_access"))]
    if not any(word not in CONTEXT or word == "openid" for word in words):
        raise Refused("access_denied", "nothing was left to grant", asked)
    if not set(words) <= set(granted(" ".join(words), client.scopes)):
        raise Refused("invalid_scope", "the registration of the application has changed", asked)
    patient, context = None, {}
    if asked.launch:
        launch = launches.taken(asked.launch, client, request.user)
        if launch is None:
            raise Refused("invalid_request", "launch was used before, or is over", asked)
        patient, context = launch.patient, launch.context
    if patient is None and any(word == "launch/patient" or word.startswith("patient/") for word in words):
        patient, context = request.POST.get("patient", ""), {"need_patient_banner": True, **context}
    reader = people.person(request.user, client, purpose(asked.purpose, asked, client))
    if patient is not None and people.one(reader, base(request), patient) is None:
        raise Refused("access_denied", "the record is not one that this person may open", asked)
    code = families.authorized(
        client, request.user, scopes=" ".join(words), redirect=asked.redirect, challenge=asked.challenge,
        nonce=asked.nonce or None, patient=patient, context=context, purpose=asked.purpose or None,
        session=request.session.session_key if "online_access" in words else None,
    )  # fmt: skip
    return back(request, asked, code=code)


def back(request, asked, **said):
    """To the application, with its state and who we are. (S15; RFC 9207)"""
    said |= {"state": asked.state} if asked.state else {}
    said["iss"] = site(base(request))
    joined = "&" if urlsplit(asked.redirect).query else "?"
    response = HttpResponseRedirect(asked.redirect + joined + urlencode(said))
    response.status_code = 303
    return framed(response, asked)


def framed(response, asked):
    """The form of this page ends at the application's address, which the browser must allow."""
    to = urlsplit(asked.redirect)
    response["Content-Security-Policy"] = content([f"{to.scheme}://{to.netloc}"])
    return response


def unsafe(request, text):
    """A page, and no redirect."""
    told = {"title": _("This application cannot be connected"), "text": text, "status": 400}
    return render(request, "error.html", told, status=400)
