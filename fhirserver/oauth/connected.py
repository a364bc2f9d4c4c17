"""The applications that a person has connected, and how to take that back; it counts at their next request. (S32)"""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accessctl.scopes import CONTEXT
from accessctl.smart import families

from .words import described, purpose_of


@login_required
def applications(request):
    """Those that can still ask for something."""
    found = [
        {
            "pk": each.pk,
            "title": each.client.title or each.client.name,
            "since": each.created,
            "lasts": "offline_access" in each.scopes.split(),
            "purpose": purpose_of(each.purpose),
            "may": [described(word) for word in each.scopes.split() if word not in CONTEXT],
        }
        for each in families.living(request.user)
    ]
    return render(request, "oauth/applications.html", {"found": found})


@login_required
@require_POST
def disconnect(request, pk):
    """Of the own ones alone; another's is not there."""
    family = next((each for each in families.living(request.user) if each.pk == pk), None)
    if family is None:
        raise Http404
    families.revoke(family)
    return HttpResponseRedirect(reverse("oauth_applications"))
