"""Pages ask the server what a client would ask: the same interactions, rights, engine and audit, without HTTP between.

`asking.get("Observation?patient=1&_sort=-date")` is a tree. The records of all that a page asked have one request id,
and are committed before the page leaves.
"""

import uuid
from functools import wraps

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _

from accessctl.actor import InvalidToken, Stale
from accessctl.audit import record, settle
from records import errors
from records.database import deadline, drop_ahead
from records.interactions.interaction import Interaction, Outcome
from records.interactions.parse import Request, parse

from .. import endpoint, formats
from ..overload import allowance
from ..requests import base
from . import addresses, home  # noqa: F401  (the paths of pages need them)
from .visitor import Visitor


class Asking:
    """What one page request asks."""

    def __init__(self, request):
        self.visitor = Visitor(request.user)
        allowance.take(self.visitor.actor.principal)
        self.person = self.visitor.person
        self.base = base(request)
        self.request_id = uuid.uuid4()
        self.recorded = []

    def get(self, url):
        return self.send("GET", url)

    def send(self, method, url, body=None, **headers):
        """The tree of the answer; a FHIRError when it is refused."""
        path, _, query = url.partition("?")
        try:
            interaction = parse(Request(method, path, query, headers, body, self.base))
            self.visitor.ask()
            outcome = endpoint.execute(interaction, self.visitor, self.request_id)
        except errors.FHIRError as error:
            self.recorded += error.recorded
            raise
        self.recorded += outcome.recorded
        return formats.plain(outcome.body) if outcome.body is not None else None

    def search(self, url, most=1):
        """The resources that match, of at most so many pages."""
        found = []
        for _page in range(most):
            bundle = self.get(url)
            found += [e["resource"] for e in bundle.get("entry") or () if e["search"]["mode"] == "match"]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
            if url is None:
                break
            url = url.removeprefix(self.base).lstrip("/")
        return found

    def note(self, what, touched=(), now=False, **said):
        """An audit record of what a page did or looked up past the interactions, committed with it.

        `now`: kept before this returns. What Django's models write is in a transaction of another connection, which
        commits after that: if the record cannot be kept, nothing is done.
        """
        interaction = Interaction("operation", "system", operation=what, method="POST",
                                  parameters=tuple((k, str(v)) for k, v in said.items() if v))  # fmt: skip
        outcome = Outcome(200, touched=list(touched))
        record(self.visitor.actor, interaction, outcome, self.request_id)
        self.recorded += outcome.recorded
        if now:
            self.settle()

    def settle(self):
        promised, self.recorded = self.recorded, []
        settle(promised)


def space(*kinds):
    """Decorator: a page for these kinds of people; `request.asking` is theirs."""

    def decorate(view):
        @wraps(view)
        def page(request, *args, **named):
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            try:
                with deadline(settings.FHIRSERVER_DEADLINE_MS / 1000):
                    asking = request.asking = Asking(request)
                    if asking.person.kind not in kinds:
                        raise PermissionDenied
                    try:
                        response = view(request, *args, **named)
                    finally:
                        asking.settle()  # refusals too, before they are told
                return response
            except (errors.NotFound, errors.Gone) as error:
                raise Http404 from error
            except errors.Forbidden as error:
                raise PermissionDenied from error
            except (InvalidToken, Stale) as error:
                raise PermissionDenied from error
            except errors.Busy:
                text = _("The server has too much to do just now. Please try again in a moment.")
                return home.told(request, 503, _("Busy"), text)
            except errors.TooManyRequests as error:
                return home.told(request, error.status, _("Too many requests"), _("Please wait a moment."))
            except errors.FHIRError as error:
                return home.told(request, error.status, _("This cannot be done"), str(error))
            finally:
                drop_ahead()

        page.kinds = kinds
        return page

    return decorate
