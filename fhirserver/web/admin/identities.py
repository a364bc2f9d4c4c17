"""Who is behind a login: made, described, a member of organisations. What makes somebody the person of a record shows
in the history of that record."""

import secrets

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accessctl.people import KINDS, Person
from accessctl.pieces import dated
from records import errors
from records.database import as_system, atomic, execute
from records.definitions.structures import type_number
from records.interactions.interaction import Touched
from records.keys import identity
from records.resources.references import local

from ..address import checked
from .staff import day, noted, number, shown, staff

TEXTS = ("login", "first", "last", "address", "kind", "profession", "practitioner", "patient")
PARTIES = ("Organization", "PractitionerRole", "CareTeam", "Group")


class Wrong(ValueError):
    """What the form says cannot be so; the sentence says why."""


def new_password():
    return secrets.token_urlsafe(12)


def professions():
    """Those that the matrix in force knows."""
    return [p for (p,) in execute(f"SELECT DISTINCT m.profession FROM matrix m WHERE {dated('m')} ORDER BY 1")]


@staff("identity")
def new(request):
    """A login with a password that is shown once, and the person behind it."""
    given, wrong = {name: request.POST.get(name, "").strip() for name in TEXTS}, ""
    if request.method == "POST":
        try:
            user, password = made(request, given)
            told = _("The login is made. Its password, shown this once: %(password)s") % {"password": password}
            messages.success(request, told)
            return HttpResponseRedirect(f"/admin/people/{user.pk}/")
        except Wrong as error:
            wrong = str(error)
    kinds = [kind for kind, _name in KINDS]
    return shown(request, "new_login", "people/", given=given, wrong=wrong, kinds=kinds, professions=professions())


def made(request, given):
    """The login and the person, with the audit record, all or nothing."""
    try:
        UnicodeUsernameValidator()(given["login"])
    except ValidationError as error:
        raise Wrong(" ".join(error.messages)) from error
    if not 0 < len(given["login"]) <= 150:
        raise Wrong(_("A login has up to 150 letters, digits and @.+-_"))
    try:
        address = checked(given["address"])
    except ValidationError as error:
        raise Wrong(" ".join(error.messages)) from error
    user, password = get_user_model()(username=given["login"]), new_password()
    user.first_name, user.last_name, user.email = given["first"][:150], given["last"][:150], address
    user.set_password(password)
    with transaction.atomic():
        if get_user_model().objects.filter(username=given["login"]).exists():
            raise Wrong(_("There is a login of this name already."))
        user.save(force_insert=True)
        described(Person(user=user, kind=given["kind"]), given)
        noted(request, "make-login", about(given["patient"]), now=True, login=given["login"], kind=given["kind"])
    return user, password


def described(person, given):
    """Check what the form says about a person against the directory and the records, and keep it."""
    if person.kind not in dict(KINDS):
        raise Wrong(_("Say what kind of person it is."))
    practitioner, patient = (given[k] or None for k in ("practitioner", "patient"))
    if person.kind == "professional" and given["profession"] not in professions():
        raise Wrong(_("A professional has a profession of the matrix."))
    if (patient and person.kind != "patient") or (practitioner and person.kind != "professional"):
        raise Wrong(_("A login is one capacity: a doctor's own record is under another login."))
    for type, id in (("Practitioner", practitioner), ("Patient", patient)):
        if id and not exists(type, id):
            raise Wrong(_("There is no %(reference)s.") % {"reference": f"{type}/{id}"})
    person.profession = given["profession"] if person.kind == "professional" else None
    person.practitioner, person.patient = practitioner, patient
    try:
        person.save()
    except IntegrityError as error:
        raise Wrong(_("Another login is this person already.")) from error


@as_system()
def exists(type, id):
    """Is there a resource? Identity knows who is who, and reads no record for it."""
    return bool(execute("SELECT FROM resource WHERE identity = %s AND type = %s AND NOT deleted",
                        (identity(type, id), type_number(type))))  # fmt: skip


def about(patient):
    return [Touched("Patient", patient, None, identity("Patient", patient))] if patient else []


@require_POST
@staff("identity")
def describe(request, id):
    """Another profession, Practitioner or Patient behind a login; never one's own."""
    person = Person.objects.select_related("user").filter(user_id=id).first()
    if person is None or id == request.user.pk or person.user.is_superuser:
        raise PermissionDenied
    given = {name: request.POST.get(name, "").strip() for name in TEXTS}
    before = person.patient
    try:
        with transaction.atomic():
            described(person, given)
            noted(request, "describe-person", [*about(before), *about(person.patient)], now=True,
                  login=person.user.username, profession=person.profession,
                  practitioner=person.practitioner)  # fmt: skip
        messages.success(request, _("Done."))
    except Wrong as error:
        messages.error(request, str(error))
    return HttpResponseRedirect(f"/admin/people/{id}/")


@require_POST
@staff("identity")
def membership(request, id):
    """A person acts for an organisation from now on, or no more."""
    person = Person.objects.select_related("user").filter(user_id=id).first()
    if person is None or id == request.user.pk:
        raise PermissionDenied
    party, ended = request.POST.get("party", "").strip(), request.POST.get("end", "")
    with atomic():
        if ended:
            rows = execute(
                f"UPDATE membership ms SET until = now() WHERE ms.id = %s AND ms.person_id = %s AND {dated('ms')}"
                " RETURNING party",
                (number(ended), id),
            )
            party = rows[0][0] if rows else ""
        else:
            named = local(party)
            if not named or named[0] not in PARTIES or not named[1] or not exists(*named):
                raise errors.InvalidValue("party", party, "expected Organization/[id] of the directory")
            execute("INSERT INTO membership (person_id, party, party_key, until) VALUES (%s, %s, %s, %s::timestamptz)",
                    (id, party, identity(*named), day(request.POST.get("until", ""))))  # fmt: skip
        noted(request, "end-membership" if ended else "give-membership", login=person.user.username, party=party)
    messages.success(request, _("Done."))
    return HttpResponseRedirect(f"/admin/people/{id}/")
