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
    needs: str | None  # the interaction that its right is judged by; None: no record is shown or changed
    before: Callable | None  # (interaction) -> interaction: what it needs done before its transaction opens


OPERATIONS: list[Operation] = []
WITHOUT_ROWS: set[str] = set()  # types that are not kept as resources: of the operations on all types few fit them


ADMINISTER = "administer"  # needs: not a right on records but on the server as a whole


def operation(name, level, on=None, needs="read", affects_state=False, snapshot=False, before=None):
    """Register (interaction, access) -> Outcome as $name at a level, on one type, several (tuple) or all."""

    def register(handler):
        types = (on,) if isinstance(on, str) else on
        OPERATIONS.append(Operation(name, level, types, handler, affects_state, snapshot, needs, before))
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
