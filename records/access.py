"""What a handler receives instead of rights: an Access decides in SQL which rows exist for the one who asks."""

from typing import Protocol

from .database.asking import SYSTEM
from .definitions.structures import type_number
from .sql import FALSE, SQL, TRUE, any_of


class Access(Protocol):
    """The rows an actor may reach. Handlers never ask why; accessctl gives the real one."""

    principal: str  # who asks, as one text: page links and idempotency keys are bound to it
    author: int | None  # kept on rows that the actor creates
    organization: int | None
    asked_by: tuple  # names the actor to the database, whose policies show no more: see database.asking

    def check(self, interaction) -> None:
        """Raise Forbidden when a whole interaction or type is refused, whatever the row."""

    def may_name_ids(self, type: str) -> bool:
        """May the actor choose the id of a new resource (update as create)?"""

    def resources(self, code: str, type: str, alias: str = "r", pk: str = "pk") -> SQL:
        """Predicate over a row of `resource` or `version` (alias; column of the resource's pk) for doing `code`.

        The type of the row is already known to be `type`.
        """

    def known(self, type: str) -> SQL:
        """Predicate over rows r of `resource` whose labels rise to what the actor makes of them."""

    def patients(self, code: str, type: str) -> SQL | None:
        """SELECT patient: in whose records alone, or among the actor's own rows of nobody, the rows of the type lie.

        None when they may be anywhere. It bounds where a search looks; what it finds there is judged by `resources`.
        """

    def note(self, *touched) -> None:
        """What else the interaction told of, or wrote, beside what was asked: Touched, for the record of it."""

    def by_index(self, type: str) -> bool:
        """Do index rows decide which rows of the type the actor may see? Of a write that waits they say nothing yet."""


class Everything:
    """All rows: for the index worker, system commands and tests."""

    principal = "system"
    author = None
    organization = None
    asked_by = SYSTEM

    def check(self, interaction):
        return None

    def may_name_ids(self, type):
        return True

    def resources(self, code, type, alias="r", pk="pk"):
        return TRUE

    def known(self, type):
        return TRUE

    def patients(self, code, type):
        return None

    def note(self, *touched):
        return None

    def by_index(self, type):
        return False


def over_types(access, code, types, alias="r", pk="pk"):
    """The access predicate for rows of any of these types, types with the same answer grouped."""
    groups = {}
    for type in types:
        predicate = access.resources(code, type, alias, pk)
        if predicate != FALSE:
            groups.setdefault(predicate, []).append(type_number(type))
    return any_of(
        SQL(f"{alias}.type = ANY(%s)", (numbers,)) & predicate if predicate != TRUE
        else SQL(f"{alias}.type = ANY(%s)", (numbers,))
        for predicate, numbers in groups.items()
    )  # fmt: skip
