"""A piece of SQL and its parameters, put together without quoting by hand."""

from typing import NamedTuple


class SQL(NamedTuple):
    """Text with %s places and the values for them, in order."""

    text: str
    params: tuple = ()

    def __and__(self, other):
        return SQL(f"({self.text}) AND ({other.text})", self.params + other.params)

    def __or__(self, other):
        return SQL(f"({self.text}) OR ({other.text})", self.params + other.params)

    def __invert__(self):
        return SQL(f"NOT ({self.text})", self.params)


TRUE = SQL("TRUE")
FALSE = SQL("FALSE")


def all_of(parts):
    """Conjunction; TRUE when there is none."""
    parts = [p for p in parts if p != TRUE]
    if FALSE in parts:
        return FALSE
    if not parts:
        return TRUE
    return SQL(" AND ".join(f"({p.text})" for p in parts), sum((p.params for p in parts), ()))


def any_of(parts):
    """Disjunction; FALSE when there is none."""
    parts = [p for p in parts if p != FALSE]
    if TRUE in parts:
        return TRUE
    if not parts:
        return FALSE
    return SQL(" OR ".join(f"({p.text})" for p in parts), sum((p.params for p in parts), ()))
