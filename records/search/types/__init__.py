"""The search types, one file each: index table, rows from an element, match, modifiers. (search.html#ptypes)"""

from . import composite, date, quantity, reference, string, token, uri  # noqa: F401  each registers itself
from .base import TYPES, Any, Match, Not, Rows

__all__ = ["TYPES", "Any", "Match", "Not", "Rows"]
