"""Operations ($name): one file each, registered by `@operation`. (operations.html)"""

from collections.abc import Callable
from typing import NamedTuple


class Operation(NamedTuple):
    """A registered operation at one level."""

    name: str
    level: str  # instance | type | system | version
    types: tuple | None  # types it is defined on; None: every type
    handler: Callable
    affects_state: bool  # then GET is refused
    snapshot: bool
    needs: str | None  # the interaction that its right is judged by; None: it judges itself, or shows no record
    before: Callable | None  # (interaction) -> interaction: what it needs done before its transaction opens
    by_get: bool  # GET may ask for it
    on_delete: str | None  # the operation that DELETE of its URL is
    alone: bool  # never an entry of a Bundle


OPERATIONS: list[Operation] = []
WITHOUT_ROWS: set[str] = set()  # types that are not kept as resources: of the operations on all types few fit them


ADMINISTER = "administer"  # needs: not a right on records but on the server as a whole


def operation(name, level, on=None, needs="read", affects_state=False, snapshot=False, before=None, by_get=None,
              on_delete=None, alone=False):  # fmt: skip
    """Register (interaction, access) -> Outcome as $name at a level, on one type, several (tuple) or all."""

    def register(handler):
        types = (on,) if isinstance(on, str) else on
        get = not affects_state if by_get is None else by_get
        OPERATIONS.append(
            Operation(name, level, types, handler, affects_state, snapshot, needs, before, get, on_delete, alone)
        )
        return handler

    return register


def find(name, level, type):
    """The operation of that name at that level on that type, or None."""
    for each in OPERATIONS:
        if each.name == name and each.level == level and (type is None or fits(each, type)):
            return each
    return None


def fits(operation, type):
    """Is the operation defined on the type?"""
    if operation.types is None:
        return type not in WITHOUT_ROWS or operation.needs is None
    return type in operation.types


def names(level, type):
    """Names that could have been meant, for an error."""
    return sorted({o.name for o in OPERATIONS if o.level == level and fits(o, type)})
