"""Applications and backend services: registered, given other keys, switched off and on, taken their tokens, tried.

Operations registers. A client that reaches records without a person before it (system/ scopes, or on behalf of
somebody) is switched on by data protection: else who runs the server could read every record by registering a key.
"""

import json

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accessctl.models import Client
from accessctl.scopes import CONTEXT
from accessctl.smart.registration import InvalidClient, register
from records.database import atomic, execute

from .staff import noted, shown, staff

MOST = 500
TEXTS = ("client_id", "title", "scopes", "launch_url", "jwks_uri", "jwks", "behalf")
OFFICERS = "data-protection"


def alone(client):
    """Does it reach records without a person before it?"""
    words = client.scopes.split()
    return client.behalf_id is not None or any(w.startswith("system/") and w not in CONTEXT for w in words)


def chosen(id):
    client = Client.objects.filter(pk=id).select_related("behalf").first()
    if client is None:
        raise Http404
    return client


@staff("operations", "data-protection")
def clients(request):
    """All of them, with how many tokens they hold."""
    rows = execute(
        "SELECT c.id, c.name, c.title, c.active, c.scopes, c.jwks IS NOT NULL OR c.jwks_uri IS NOT NULL,"
        " (SELECT count(*) FROM token_access t WHERE t.client_id = c.id AND t.expires > now()"
        " AND t.revoked IS NULL) FROM client c ORDER BY c.name LIMIT %s",
        (MOST,),
    )
    names = ("id", "name", "title", "active", "scopes", "confidential", "tokens")
    return shown(request, "clients", "clients/", rows=[dict(zip(names, row, strict=True)) for row in rows],
                 registers="operations" in request.roles)  # fmt: skip


@staff("operations")
def new(request):
    """Register one; a client_id that is taken is not registered anew here."""
    given, wrong = read(request), ""
    if request.method == "POST":
        try:
            with transaction.atomic():
                if Client.objects.filter(name=given["client_id"]).exists():
                    raise InvalidClient(_("There is an application of this client_id already."))
                client = kept(given)
                noted(request, "register-client", now=True, client=client.name, scopes=client.scopes)
            told(request, client, _("Registered."))
            return HttpResponseRedirect(f"/admin/clients/{client.pk}/")
        except InvalidClient as error:
            wrong = _(str(error))
    return shown(request, "client_form", "clients/", given=given, wrong=wrong)


@staff("operations")
def edit(request, id):
    """Other keys, addresses or scopes under the same client_id; what it was granted before stays, or is revoked."""
    client = chosen(id)
    given, wrong = read(request) if request.method == "POST" else as_given(client), ""
    if request.method == "POST":
        given["client_id"] = client.name
        try:
            with transaction.atomic():
                changed = kept(given)
                noted(request, "change-client", now=True, client=client.name, scopes=changed.scopes)
            told(request, changed, _("Changed."))
            return HttpResponseRedirect(f"/admin/clients/{id}/")
        except InvalidClient as error:
            wrong = _(str(error))
    return shown(request, "client_form", "clients/", given=given, wrong=wrong, client=client)


def read(request):
    given = {name: request.POST.get(name, "").strip() for name in TEXTS}
    given["redirects"] = request.POST.get("redirects", "").split()
    given["purposes"] = request.POST.get("purposes", "").split()
    return given | {"introspects": request.POST.get("introspects") == "yes"}


def as_given(client):
    jwks = json.dumps(client.jwks, indent=1) if client.jwks else ""
    return {
        "client_id": client.name, "title": client.title, "scopes": client.scopes, "redirects": client.redirects,
        "launch_url": client.launch_url or "", "jwks_uri": client.jwks_uri or "", "jwks": jwks,
        "introspects": client.introspects, "purposes": client.purposes,
        "behalf": client.behalf.username if client.behalf else "",
    }  # fmt: skip


def kept(given):
    """Register it as the form says; InvalidClient says what is wrong with it."""
    behalf = None
    if given["behalf"]:
        behalf = get_user_model().objects.filter(username=given["behalf"]).first()
        if behalf is None:
            raise InvalidClient(_("There is no login of this name."))
    client = register(
        given["client_id"], title=given["title"], scopes=given["scopes"], redirects=given["redirects"],
        launch_url=given["launch_url"] or None, jwks=keys(given["jwks"]), jwks_uri=given["jwks_uri"] or None,
        introspects=given["introspects"], behalf=behalf, purposes=given["purposes"],
    )  # fmt: skip
    if alone(client):
        client.active = False
        client.save(update_fields=["active"])
    return client


def keys(text):
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidClient(f"the JWKS is not JSON: {error}") from error


def told(request, client, done):
    if client.active:
        messages.success(request, done)
    else:
        messages.warning(request, _("Registered, and switched off until data protection switches it on: it reaches"
                                    " records without a person."))  # fmt: skip


@staff("operations", "data-protection")
def client(request, id):
    """One application, and what can be done about it."""
    found = chosen(id)
    tokens = execute(
        "SELECT u.username, count(*), max(t.expires) FROM token_access t LEFT JOIN auth_user u ON u.id = t.user_id"
        " WHERE t.client_id = %s AND t.expires > now() AND t.revoked IS NULL GROUP BY 1 ORDER BY 1 LIMIT 100",
        (id,),
    )
    return shown(
        request, "client", "clients/", client=found, tokens=tokens, alone=alone(found),
        keys=[(k.get("kid", ""), k.get("kty", "")) for k in (found.jwks or {}).get("keys", ())],
        registers="operations" in request.roles, switches=may_switch(request, found),
    )  # fmt: skip


def may_switch(request, client):
    """Off: both roles. On: operations, but for what reaches records alone."""
    return client.active or (OFFICERS if alone(client) else "operations") in request.roles


@require_POST
@staff("operations", "data-protection")
def switch(request, id):
    """Off counts at once, for its tokens too."""
    client = chosen(id)
    if not may_switch(request, client):
        raise PermissionDenied
    with atomic():
        execute("UPDATE client SET active = NOT active WHERE id = %s", (id,))
        noted(request, "switch-client", client=client.name, active=not client.active)
    messages.success(request, _("Done."))
    return HttpResponseRedirect(f"/admin/clients/{id}/")


@require_POST
@staff("operations", "data-protection")
def revoke(request, id):
    """End all its tokens, and what people let it do."""
    client = chosen(id)
    with atomic():
        gone = execute("UPDATE token_access SET revoked = now() WHERE client_id = %s AND revoked IS NULL RETURNING id",
                       (id,))  # fmt: skip
        execute("UPDATE app_authorization SET revoked = now() WHERE client_id = %s AND revoked IS NULL", (id,))
        noted(request, "revoke-client", client=client.name, tokens=len(gone))
    said = ngettext("%(n)s token is revoked.", "%(n)s tokens are revoked.", len(gone))
    messages.success(request, said % {"n": len(gone)})
    return HttpResponseRedirect(f"/admin/clients/{id}/")


@require_POST
@staff("operations")
def launch(request, id):
    """An EHR launch without a patient, in the own name: does the application come back with its code?"""
    from ...oauth.launch import opened

    client = chosen(id)
    if not client.active or not client.launch_url:
        raise Http404
    with transaction.atomic():
        url = opened(client, request.user, request.asking.base)
        noted(request, "launch-client", now=True, client=client.name)
    return shown(request, "client_launch", "clients/", client=client, url=url)
