"""The session as a caller: the Actor that a token of the same user would be, asked of the database for each request."""

from django.core.exceptions import PermissionDenied

from accessctl.actor import PERSON, Actor, InvalidToken, Stale, person_of
from accessctl.scopes import parsed
from accessctl.standing import COLUMNS
from records.database import Ahead, execute

CLIENT = "web"  # as the audit names it
SCOPES = "user/*.cruds"  # a ceiling without effect: the person decides
WHO = (
    f"SELECT u.username, {PERSON}, {COLUMNS}"
    " FROM auth_user u JOIN person p ON p.user_id = u.id WHERE u.id = %s AND u.is_active"
)


class Visitor:
    """A caller, as `endpoint.execute` takes it. A user without a Person is none: rights are judged by the person."""

    counted = False  # a page is one request of this person, whatever it asks: web/ask.py

    def __init__(self, user):
        self._user = user.pk
        self.renew()

    def renew(self):
        """Who the user is now."""
        self._ahead = None
        self._rows = execute(WHO, (self._user,))
        if not self._rows:
            raise PermissionDenied
        login, *person = self._rows[0]
        self.person = person_of(person)
        self.actor = Actor(CLIENT, login, parsed(SCOPES), None, None, self.person)

    def ask(self):
        """Who the user is is to be looked at again, with the next statement: before what that request changes of it."""
        if self._ahead is None:
            self._ahead = Ahead(WHO, (self._user,))

    def confirm(self):
        """Raise InvalidToken when the user may not come in any more, Stale when the person has changed."""
        if self._ahead is None:
            return
        rows, self._ahead = self._ahead.rows(), None
        if rows != self._rows:
            raise Stale if rows else InvalidToken
