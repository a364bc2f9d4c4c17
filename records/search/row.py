"""A row of an answer, whether it matched or came along."""

from datetime import datetime
from typing import NamedTuple


class Row(NamedTuple):
    """A matching resource; `body` is what a read returns."""

    pk: int
    type: str
    id: str
    version: int
    updated: datetime
    body: bytes
    patient: int | None  # whose record it is, for the audit
    within: tuple[str, str] | None = None  # (type, id) of the container of a contained one
