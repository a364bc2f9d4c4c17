"""The search types, one file each: index table, rows from an element, match, modifiers. (search.html#ptypes)"""

from . import composite, date, quantity, reference, special, string, text, token, uri  # noqa: F401  they register
from .base import TYPES, Any, Match, Not, Rows

__all__ = ["TYPES", "Any", "Match", "Not", "Rows"]
