"""Logins: found, their roles and second factors; who is behind one says identities."""

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponseRedirect
from django.utils.translation import gettext as _

from accessctl.notices import send_to
from accessctl.people import Membership, Person, records_of
from accessctl.pieces import dated
from accessctl.rights import StaffRole
from records.database import atomic, execute

from ..address import checked
from .identities import new_password, professions
from .staff import NAMES, OFFICER, day, noted, shown, staff

PAGE = 50


@staff("identity", "support")
def people(request):
    """Logins and the people behind them."""
    query = request.GET.get("q", "").strip()
    found = get_user_model().objects.select_related("person").order_by("username")
    if query:
        from django.db.models import Q

        found = found.filter(
            Q(username__icontains=query) | Q(last_name__icontains=query) | Q(first_name__icontains=query)
        )
    return shown(request, "people", "people/", rows=found[:PAGE], q=query, identity="identity" in request.roles)


@staff("identity", "support")
def login(request, id):
    """One login: its person, roles and factors; what identity, or support, may change."""
    from allauth.mfa.models import Authenticator

    user = chosen(id)
    if request.method == "POST":
        try:
            messages.success(request, changed(request, user, request.POST.get("do", "")))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(f"/admin/people/{id}/")
    person = Person.objects.filter(user=user).first()
    dates = StaffRole.objects.filter(person_id=id).order_by("-since")[:20]
    factors = Authenticator.objects.filter(user=user)
    return shown(
        request, "login", "people/", login=user, person=person, dates=dates, factors=factors,
        choices=NAMES, officer=user.user_permissions.filter(codename__in=OFFICER).exists(),
        identity="identity" in request.roles, professions=professions(),
        memberships=Membership.objects.filter(person_id=id).order_by("-since")[:50],
    )  # fmt: skip


def chosen(id):
    user = get_user_model().objects.filter(pk=id).first()
    if user is None:
        raise Http404
    return user


def changed(request, user, what):
    """Do it, in one transaction with its audit record; what to tell."""
    with atomic():
        match what:
            case "reset-factors":
                above(request, user)
                execute("DELETE FROM mfa_authenticator WHERE user_id = %s", (user.pk,))
                said = _("The second factors are gone; a new one is asked for at the next sign-in.")
            case "reset-password":
                above(request, user)
                password = new_password()
                user.set_password(password)
                execute("UPDATE auth_user SET password = %s WHERE id = %s", (user.password, user.pk))
                said = _("The new password, shown this once: %(password)s") % {"password": password}
            case "address":
                above(request, user)
                send_to(user.pk, checked(request.POST.get("address", "").strip()))
                said = _("Done.")
            case "switch" if "identity" in request.roles and user != request.user:
                execute("UPDATE auth_user SET is_active = NOT is_active WHERE id = %s", (user.pk,))
                said = _("Done.")
            case "role" if "identity" in request.roles and user != request.user:
                said = given_role(user, request.POST.get("role", ""), request.POST.get("until", ""))
            case _:
                raise PermissionDenied
        noted(request, what, records_of(user.pk), login=user.get_username(), role=request.POST.get("role"),
              until=request.POST.get("until"))  # fmt: skip
    return said


def above(request, user):
    """Support helps people, not those who run the server; nobody but a superuser gets at one."""
    if user.is_superuser and not request.user.is_superuser:
        raise PermissionDenied
    if "identity" in request.roles:
        return
    rows = execute(f"SELECT FROM staff_role sr WHERE sr.person_id = %s AND {dated('sr')}", (user.pk,))
    person = execute("SELECT kind FROM person WHERE user_id = %s", (user.pk,))
    if rows or user.is_superuser or user.is_staff or (person and person[0][0] == "staff") or user == request.user:
        raise PermissionDenied


def given_role(user, role, until):
    """A role from now on, until a day where one is said; taken back by the end of today where it was there."""
    rows = execute("SELECT kind FROM person WHERE user_id = %s", (user.pk,))
    if not rows or rows[0][0] != "staff":
        raise ValidationError(_("Roles are for staff."))
    if role == "data-protection":
        its = "SELECT id FROM auth_permission WHERE codename = ANY(%s)"
        given = (user.pk, list(OFFICER))
        table = "auth_user_user_permissions"
        if not execute(f"DELETE FROM {table} WHERE user_id = %s AND permission_id IN ({its}) RETURNING id", given):
            execute(f"INSERT INTO {table} (user_id, permission_id) SELECT %s, p.id FROM ({its}) p", given)
        return _("Done.")
    if role not in dict(StaffRole.ROLES):
        raise ValidationError(_("There is no such role."))
    if role == "support" and not until:
        raise ValidationError(_("Support has an end: say until when."))
    ended = execute(f"UPDATE staff_role sr SET until = now() WHERE sr.person_id = %s AND sr.role = %s AND {dated('sr')}"
                    " RETURNING id", (user.pk, role))  # fmt: skip
    if not ended:
        execute("INSERT INTO staff_role (person_id, role, until) VALUES (%s, %s, %s::timestamptz)",
                (user.pk, role, day(until)))  # fmt: skip
    return _("Done.")
