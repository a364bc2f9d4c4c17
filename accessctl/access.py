"""The decision, as one SQL predicate: all ceilings AND (union of permits) AND NOT (union of denials)."""

from records import errors
from records.interactions.parse import SERVED
from records.operations import ADMINISTER, find
from records.sql import FALSE, SQL, TRUE

from . import granular, sources
from .scopes import LETTERS
from .sources.scopes import covered
from .wall import asked_by

EVERYTHING = frozenset("cruds")
INSIDE = {("_contained", "true"), ("_contained", "both")}  # a search of what is in resources of any type


class ActorAccess:
    """The Access of one actor; evaluated anew by every statement, nothing about a permit is remembered."""

    def __init__(self, actor):
        self.actor = actor
        self.principal = actor.principal
        self.author = actor.author
        self.asked_by = asked_by(actor)
        self.organization = None
        self.provenance = None  # X-Provenance of what is being written
        self.beside = {}  # Touched -> None: what was told or written beside what was asked, each once
        self._predicates = {}

    def resources(self, code, type, alias="r", pk="pk"):
        asked = (code, type, alias, pk)
        if asked not in self._predicates:
            self._predicates[asked] = sources.formula(self.actor, *asked)
        return self._predicates[asked]

    def known(self, type):
        """Of a person what may be read, whatever the scopes of the token, or what the person made; of a program all."""
        if self.actor.person is None:
            return TRUE
        mine = SQL("coalesce(r.author = %s, FALSE)", (self.author,))
        return mine | sources.formula(self.actor, "read", type, "r", "pk", without=(sources.scopes.scopes,))

    def patients(self, code, type):
        return sources.records(self.actor, code, type)

    def note(self, *touched):
        self.beside.update(dict.fromkeys(touched))

    def by_index(self, type):
        return not {type, "*"}.isdisjoint(granular.types(self.actor))

    def check(self, interaction):
        """Forbidden when no scope covers the interaction with any row; a Bundle is checked entry by entry."""
        if interaction.code in ("capabilities", "batch", "transaction"):
            return
        granular.caught_up(self.actor)
        code = interaction.code
        if code == "operation":
            code = find(interaction.operation, interaction.level, interaction.type).needs
            if code is None:
                return
            if code == ADMINISTER:
                return self.check_administrator(interaction)
        inside = code == "search-type" and not INSIDE.isdisjoint(interaction.parameters)  # in what, only the rows tell
        types = (interaction.type,) if interaction.type and not inside else SERVED
        if code == "history-system" and not any(s.level == "system" and s.type == "*" for s in self.actor.scopes):
            raise errors.Forbidden("The history of the whole system needs a system/*.s scope.")
        if not any(self.resources(code, type) != FALSE for type in types):
            raise errors.Forbidden(
                f"The scopes of this token do not cover {interaction.code} of {interaction.type or 'any type'}"
                f" (needs the letter {LETTERS.get(code, code)!r})."
            )

    def check_administrator(self, interaction):
        """The server as a whole is for system clients that may do everything; no scope makes a patient or carer one."""
        everything = any(s.level == "system" and s.type == "*" and s.letters == EVERYTHING for s in self.actor.scopes)
        if not everything or (self.actor.person is not None and self.actor.person.kind != "staff"):
            raise errors.Forbidden(f"${interaction.operation} needs the scope system/*.cruds.")

    def may_name_ids(self, type):
        """Update as create is for system clients; a person's PUT to what is not there is not-found."""
        if self.actor.person is not None:
            return False
        return "system" in covered(self.actor, "update", type) and "system" in covered(self.actor, "create", type)


def access_for(actor):
    return ActorAccess(actor)
