"""Applications and backend services: who they are, what they may at most."""

from django.contrib import messages
from django.http import Http404, HttpResponseRedirect
from django.utils.translation import gettext as _

from records.database import atomic, execute

from .staff import noted, shown, staff


@staff("operations")
def clients(request):
    """Applications: who they are, what they may at most; switched off and on."""
    if request.method == "POST":
        with atomic():
            rows = execute(
                "UPDATE client SET active = NOT active WHERE id = %s RETURNING name, active",
                (int(request.POST["id"]) if request.POST.get("id", "").isdigit() else 0,),
            )
            if not rows:
                raise Http404
            noted(request, "switch-client", client=rows[0][0], active=rows[0][1])
        messages.success(request, _("Done."))
        return HttpResponseRedirect("/admin/clients/")
    rows = execute(
        "SELECT c.id, c.name, c.title, c.active, c.scopes, c.jwks IS NOT NULL OR c.jwks_uri IS NOT NULL, c.redirects,"
        " c.created, (SELECT count(*) FROM token_access t WHERE t.client_id = c.id AND t.expires > now()"
        " AND t.revoked IS NULL) FROM client c ORDER BY c.name LIMIT 500"
    )
    names = ("id", "name", "title", "active", "scopes", "confidential", "redirects", "created", "tokens")
    return shown(request, "clients", "clients/", rows=[dict(zip(names, row, strict=True)) for row in rows])
