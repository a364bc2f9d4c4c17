"""Pages as browsers ask for them: in process for answers, over HTTP for a real Chromium."""

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client

from accessctl.people import Person

PASSWORD = "correct horse battery"


def login(name, kind=None, **named):
    """A user with PASSWORD, and the person behind."""
    user = get_user_model().objects.create_user(name, password=PASSWORD)
    if kind:
        Person.objects.create(user=user, kind=kind, **named)
    return user


class Browser(Client):
    """Sends what a browser sends, CSRF tokens checked."""

    def __init__(self, **more):
        super().__init__(enforce_csrf_checks=True, headers={"accept": "text/html,*/*;q=0.8"}, **more)

    def submit(self, path, fields=(), page=None, **more):
        """POST of a form on a page, with that page's token."""
        if page or "csrf" not in self.cookies:
            self.get(page or "/")
        token = self.cookies["csrf"].value
        return self.post(path, {**dict(fields), "csrfmiddlewaretoken": token}, **more)

    def sign_in(self, name, password=PASSWORD, **more):
        fields = {"login": name, "password": password, **more}
        return self.submit("/account/login/", fields, page="/account/login/")


@pytest.fixture
def browser(database):
    cache.clear()  # allauth's account of failures
    return Browser()
