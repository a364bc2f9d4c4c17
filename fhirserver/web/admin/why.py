"""Who sees what, and why: by the SQL that searches use, now or at a past date."""

from datetime import datetime

from django.utils.translation import gettext as _

from accessctl.explain import actor_of, moment
from accessctl.explain import explain as why
from records import errors
from records.database import as_system, execute
from records.interactions.interaction import Touched
from records.keys import identity
from records.resources.references import local

from .. import readable
from .reasons import told
from .staff import noted, shown, staff


@staff("data-protection")
def who_sees(request):
    """Every reason for and against, by the SQL that searches use, now or at a past date."""
    given = {k: request.GET.get(k, "").strip() for k in ("login", "reference", "at")}
    said, whole, wrong = None, None, ""
    clock, given["at"] = clocked(given["at"])
    if given["login"] and given["reference"]:
        named = local(given["reference"])
        try:
            at = moment(given["at"]) if given["at"] else None
            actor = actor_of(given["login"], "user/*.cruds", None, at) if named else None
            found = why(actor, *named, at=at) if actor and actor.person else None
        except errors.FHIRError as error:
            found, wrong = None, str(error)
        if found:
            said, whole = found
            with as_system():
                key = execute("SELECT patient FROM resource WHERE identity = %s", (identity(*named),))[0][0]
            noted(request, "explain-access", [Touched(*named, None, key)], actor=given["login"], at=given["at"])
        else:
            wrong = wrong or _("There is, or was, no such person or resource.")
    rows = [told(each) for each in said or ()]
    return shown(request, "why", "why/", given=given, clock=clock, said=rows, whole=whole, wrong=wrong)


def clocked(text):
    """(a time by the clock of the pages, as forms show it; the same with its offset): what a form sends has none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return "", text  # for the explanation to refuse
    if len(text) <= len("2026-11-23"):  # a day is its end
        return "", text
    at = at.replace(tzinfo=readable.zone()) if at.tzinfo is None else at
    return f"{readable.local(at):%Y-%m-%dT%H:%M}", at.isoformat()
