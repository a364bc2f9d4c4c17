"""Every page by the URL table itself, so that none can be forgotten."""

import re
from functools import cache
from typing import NamedTuple

from django.urls import URLPattern, get_resolver

from accessctl.models import AuditRecord, Client
from accessctl.rights import ConsentRule
from records.resources.models import Resource

PART = re.compile(r"<(?:\w+:)?(\w+)>")


class Route(NamedTuple):
    path: str  # as urls.py writes it: admin/people/<int:id>/
    kinds: tuple | None  # of people; None: not a page of a space
    roles: tuple | None  # of staff; (): any of them

    @property
    def space(self):
        return self.path.partition("/")[0]


@cache
def routes():
    return tuple(walked(get_resolver("fhirserver.web.urls")))


def walked(resolver, before=""):
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLPattern):
            yield Route(path, getattr(each.callback, "kinds", None), getattr(each.callback, "roles", None))
        else:
            yield from walked(each, path)


def spaces():
    """The pages of the spaces; those of the own login are everybody's."""
    return [route for route in routes() if route.kinds and route.space != "account"]


def address(route, clinic, **other):
    """A route with what is there: Alice's record, her letter, her consent, an access, her doctor's login."""
    rule = ConsentRule.objects.first()
    event = AuditRecord.objects.filter(patient=clinic.key).order_by("-seq").values_list("seq", flat=True).first()
    known = {
        "id": clinic.a, "type": "DocumentReference", "rid": clinic.document, "number": "0", "event": str(event or 1),
        "name": "close-record",
    }  # fmt: skip
    if "apps/" in route.path:
        known["number"] = str(Client.objects.get(name="app").pk)
    if "withdraw" in route.path:
        known["rid"] = Resource.objects.get(pk=rule.consent).id if rule else "none"
    if route.space == "admin":
        known |= {"id": str(clinic.doctor_user), "type": "Practitioner", "rid": clinic.practitioner}
    if "clients" in route.path:
        known["id"] = str(Client.objects.get(name="app").pk)
    if "rights" in route.path:
        known |= {"id": clinic.a, "kind": "representative"}
    return "/" + PART.sub(lambda part: str((known | other)[part[1]]), route.path)
