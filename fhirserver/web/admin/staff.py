"""Who opens which page of the administration: four roles, and what a page does in their name leaves its record."""

from functools import wraps

from django.core.exceptions import PermissionDenied
from django.shortcuts import render
from django.utils.translation import gettext_lazy

from accessctl.audit.readers import holds
from accessctl.pieces import dated
from records import errors
from records.database import execute

from ..ask import space
from ..readable import day_ends

OFFICER = ("view_auditrecord", "change_review")  # Django's permissions of data protection
NAMES = {
    "operations": gettext_lazy("operations"), "data-protection": gettext_lazy("data protection"),
    "identity": gettext_lazy("identity"), "support": gettext_lazy("support"),
}  # fmt: skip
TABS = (  # address, name, roles that open it; () all
    ("", gettext_lazy("Dashboard"), ()),
    ("resources/", gettext_lazy("Resources"), ()),
    ("audit/", gettext_lazy("Audit"), ("data-protection",)),
    ("why/", gettext_lazy("Who sees what"), ("data-protection",)),
    ("reviews/", gettext_lazy("Emergencies"), ("data-protection",)),
    ("doubts/", gettext_lazy("Doubts"), ("data-protection",)),
    ("people/", gettext_lazy("People"), ("identity", "support")),
    ("rights/", gettext_lazy("Rights"), ("data-protection", "identity")),
    ("matrix/", gettext_lazy("Matrix"), ("data-protection", "operations")),
    ("clients/", gettext_lazy("Applications"), ("operations", "data-protection")),
    ("parameters/", gettext_lazy("Search parameters"), ("operations",)),
    ("jobs/", gettext_lazy("Jobs"), ("operations",)),
    ("settings/", gettext_lazy("Settings"), ("operations",)),
)


def roles_of(user, person):
    """The roles that hold now."""
    rows = execute(f"SELECT sr.role FROM staff_role sr WHERE sr.person_id = %s AND {dated('sr')}", (user.pk,))
    found = {role for (role,) in rows}
    if user.is_superuser:
        found |= {"operations", "identity"}
    if holds(person, OFFICER[0]):
        found.add("data-protection")
    return found


def staff(*roles):
    """Decorator: a page for staff with one of these roles; () for all staff."""

    def decorate(view):
        @space("staff")
        @wraps(view)
        def page(request, *args, **named):
            request.roles = roles_of(request.user, request.asking.person)
            if not request.roles or (roles and not request.roles & set(roles)):
                raise PermissionDenied
            return view(request, *args, **named)

        page.roles = roles
        return page

    return decorate


def shown(request, template, here, **more):
    tabs = [
        (f"/admin/{url}", name, url == here) for url, name, needs in TABS if not needs or request.roles & set(needs)
    ]
    roles = [NAMES[r] for r in NAMES if r in request.roles]
    return render(request, f"admin/{template}.html", {"tabs": tabs, "roles": roles, **more})


def noted(request, what, touched=(), now=False, **said):
    """An audit record of what was done or looked up here; see Asking.note."""
    request.asking.note(what, touched, now, **said)


def number(text):
    """A number that a form names a row by; 0, which none has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def day(text):
    """When the day of a form is over, by the clock of the pages; None where none is given."""
    try:
        return day_ends(text) if text else None
    except ValueError as error:
        raise errors.InvalidValue("date", text, str(error)) from error
