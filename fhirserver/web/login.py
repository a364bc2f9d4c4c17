"""Logins: password, then TOTP or a passkey, by allauth; django-axes counts the failures.

Nobody signs up here: accounts are made by administrators or a directory. Staff and professionals need a second factor
and reach nothing else before they have one; the demo logins are excepted, and exist in no production.
"""

import base64
from functools import cache

from allauth.account import views as account
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import include, path, reverse
from django.utils.translation import gettext as _
from django.views.generic import RedirectView

SECOND_FACTOR = ("staff", "professional")  # kinds of people
EXTERNAL = "external"  # in the session of who signed in by an identity provider, which asked for both factors
DEMO = "demo"  # the group that `manage.py demo` makes

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="mfa_index"), name="account"),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),  # closed; allauth's templates name it
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/", account.password_change, name="account_change_password"),
    path("security/", include("allauth.mfa.urls")),
]


class Accounts(DefaultAccountAdapter):
    """Of django-allauth: who may have an account, and where a login leads."""

    def is_open_for_signup(self, request):
        return False

    def get_login_redirect_url(self, request):
        return reverse("home")


class SecondFactor(DefaultMFAAdapter):
    """Of django-allauth: the secrets of second factors are in the database under a key that is not."""

    def encrypt(self, text):
        return cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text):
        return cipher().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator):
        """The last one stays where one must be."""
        user = authenticator.user
        others = user.authenticator_set.exclude(pk=authenticator.pk).exclude(type="recovery_codes")
        return others.exists() or not must_have(user)


@cache
def cipher():
    key = HKDF(SHA256(), 32, None, b"second factors").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def kind(user):
    """patient | professional | staff; None of a user without a Person."""
    from accessctl.people import Person

    if not hasattr(user, "_kind"):
        found = Person.objects.filter(user_id=user.pk).values_list("kind", "patient").first()
        user._kind, user._patient = found or (None, None)
    return user._kind


def has_record(user):
    """Has a patient a record of one's own, or does this login act for others alone?"""
    return kind(user) == "patient" and user._patient is not None


def must_have(user):
    """Must this user have a second factor?"""
    if not (user.is_staff or user.is_superuser or kind(user) in SECOND_FACTOR):
        return False
    demo = settings.FHIRSERVER_ENVIRONMENT != "production" and user.groups.filter(name=DEMO).exists()
    return not demo


def second_factor(get_response):
    """Middleware: who must have a second factor and has none is led to where one is made."""

    def middleware(request):
        user, path = request.user, request.path_info
        free = path.startswith(("/account/", "/static/")) or path == "/preferences"
        if not user.is_authenticated or free or not must_have(user) or EXTERNAL in request.session:
            return get_response(request)
        from allauth.mfa.utils import is_mfa_enabled

        if is_mfa_enabled(user):
            return get_response(request)
        messages.warning(request, _("Your account needs a second factor before you can go on. Add one here."))
        return HttpResponseRedirect(reverse("mfa_index"))

    return middleware
