"""Applications on a record: those that can be opened from here, and their EHR launch. (SMART App Launch 2.2)"""

from urllib.parse import urlsplit

from django.db import transaction
from django.http import Http404, HttpResponseRedirect
from django.views.decorators.http import require_POST

from accessctl.models import Client
from records.interactions.interaction import Touched
from records.keys import identity

from .ask import space
from .care import shown
from .headers import content

MOST = 100
NEAR = ("127.0.0.1", "localhost", "::1")


def launchable():
    """Active applications with a launch address that people sign in to."""
    found = Client.objects.filter(active=True, launch_url__isnull=False).exclude(redirects=[])
    return list(found.order_by("title", "name")[:MOST])


@space("professional")
def gallery(request, id):
    """Opened in another window; the form may lead to their origins, and to no other."""
    apps = launchable()
    places = [urlsplit(app.launch_url) for app in apps]
    rows = [
        {"number": app.pk, "title": app.title or app.name, "host": at.netloc, "near": at.hostname in NEAR}
        for app, at in zip(apps, places, strict=True)
    ]
    response = shown(request, "apps", id, tab="apps", rows=rows)
    response["Content-Security-Policy"] = content(origin(app.launch_url) for app in apps)
    return response


def origin(address):
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@require_POST
@space("professional")
def open_app(request, id, number):
    """A handle for this record and this person, with which the application asks for its token."""
    from ..oauth.launch import opened
    from .record import patient_of

    patient_of(request.asking, id)
    app = next((each for each in launchable() if each.pk == number), None)
    if app is None:
        raise Http404
    with transaction.atomic():
        url = opened(app, request.user, request.asking.base, id)
        request.asking.note("launch-app", [Touched("Patient", id, None, identity("Patient", id))], now=True,
                            client=app.name)  # fmt: skip
    return HttpResponseRedirect(url)
