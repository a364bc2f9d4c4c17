"""Where one is told of accesses: the e-mail address of a login, changed by who has just said the password again."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from accessctl.notices import send_to
from accessctl.people import records_of
from records.database import atomic

from .ask import space

LONGEST = 254  # characters


def checked(text):
    """The address, or "" for none; ValidationError of what is none."""
    if len(text) > LONGEST:
        raise ValidationError(_("This is too long for an e-mail address."))
    if text:
        validate_email(text)
    return text


@reauthentication_required
@space("patient", "professional", "staff")
def address(request):
    """Shown, and changed; the patient reads in the history of the record that it was."""
    given, wrong = request.user.email, ""
    if request.method == "POST":
        given = request.POST.get("address", "").strip()
        try:
            user, to = request.user, checked(given)
            with atomic():
                send_to(user.pk, to)
                request.asking.note("set-address", records_of(user.pk), login=user.get_username())
            messages.success(request, _("Done."))
            return HttpResponseRedirect("/account/address/")
        except ValidationError as error:
            wrong = " ".join(error.messages)
    return render(request, "account/address.html", {"given": given, "wrong": wrong})
