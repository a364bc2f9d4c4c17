"""The first page, the choice of language and theme, and pages for what went wrong."""

import logging
import uuid

from django.conf import settings
from django.contrib.auth.models import Group
from django.http import HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .login import DEMO, has_record, kind

log = logging.getLogger("fhirserver.web")
THEMES = ("light", "dark", "auto")
A_YEAR = 365 * 24 * 3600


def home(request):
    """Leads each to the own space."""
    return render(request, "home.html", {"demo": demo_logins()})


def demo_logins():
    """Are the demo people here? Then the page says how to become one of them."""
    return settings.FHIRSERVER_ENVIRONMENT != "production" and Group.objects.filter(name=DEMO).exists()


@require_POST
def preferences(request):
    """Language and theme, kept in cookies that hold nothing else."""
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = HttpResponseRedirect(back)
    kept = {"max_age": A_YEAR, "samesite": "Lax", "secure": True, "httponly": True}
    if (language := request.POST.get("language")) in dict(settings.LANGUAGES):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, **kept)
    if (theme := request.POST.get("theme")) in THEMES:
        response.set_cookie("theme", theme, **kept)
    return response


def context(request):
    """What the layout needs of every request."""
    theme = request.COOKIES.get("theme")
    return {
        "theme": theme if theme in THEMES else "auto",
        "languages": settings.LANGUAGES,
        "spaces": spaces(request),
    }


def spaces(request):
    """The spaces of this login: their address, name, what is done there, and whether the page is one of them."""
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    role, staff = (kind(user), user.is_staff) if known else (None, False)
    found = []
    if role == "patient" and has_record(user):
        found.append(("/me/", _("My health record"), _("Read your record, decide who else may, and see who did.")))
    elif role == "patient":
        about = _("Read the record of whom you act for, decide who else may, and see who did.")
        found.append(("/me/", _("Health records"), about))
    if role == "professional":
        found.append(("/care/", _("My patients"), _("Find a patient, read the summary, follow results over time.")))
    if role == "staff" or staff:
        found.append(("/admin/", _("Administration"), _("People, access, audit, jobs and the state of the server.")))
    if role == "staff" or staff or not known:  # others are led there by the foot of each page
        about = _("Connect an application: guide, console, catalogue of errors.")
        found.append(("/developers/", _("Developers"), about))
    return [{"url": u, "name": n, "about": a, "here": request.path_info.startswith(u)} for u, n, a in found]


def wants_page(request):
    """A browser names text/html; what does not gets JSON."""
    return "text/html" in request.META.get("HTTP_ACCEPT", "")


def told(request, status, title, text, **more):
    if not wants_page(request):
        return JsonResponse({"error": title.lower(), "fhir": "/fhir", **more}, status=status)
    return render(request, "error.html", {"title": title, "text": text, "status": status, **more}, status=status)


def bad(request, exception):
    return told(request, 400, _("Bad request"), _("The server did not understand what the browser sent."))


def refused(request, exception=None, reason=""):
    return told(request, 403, _("Not allowed"), _("This page is not open to you, or it was open for too long."))


def unknown(request, exception):
    return told(request, 404, _("Not found"), _("There is nothing here, or nothing that you may see."))


def locked_out(request, response, credentials):
    """Alike for logins that exist and those that do not."""
    return told(request, 429, _("Too many attempts"), _("Signing in is locked for a while. Please come back later."))


def failed(request):
    """What nobody expected says its log id only."""
    number = str(uuid.uuid4())
    log.error("a page failed", exc_info=True, extra={"request_id": number})
    return told(request, 500, _("Something went wrong"), _("It was recorded and will be looked at."), number=number)
