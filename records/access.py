"""What a handler receives instead of rights: an Access decides in SQL which rows exist for the one who asks."""

from typing import Protocol

from .sql import SQL, TRUE


class Access(Protocol):
    """The rows an actor may reach. Handlers never ask why; accessctl gives the real one."""

    author: int | None  # who writes, kept on the row (actor key)
    organization: int | None

    def check(self, code: str, type: str | None) -> None:
        """Raise Forbidden when a whole interaction or type is refused, whatever the row."""

    def resources(self, code: str, type: str, alias: str = "r") -> SQL:
        """Predicate over a row of `resource` (named alias) of this type: may the actor do `code` with it?"""


class Everything:
    """All rows: for the index worker, system commands and tests."""

    author = None
    organization = None
    principal = "system"

    def check(self, code, type):
        return None

    def resources(self, code, type, alias="r"):
        return TRUE
