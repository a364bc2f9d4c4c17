"""Reasons to see: a file each, registered as ceiling, permit or denial.

A source is (actor, code, type, alias, pk) -> (SQL predicate over the row, sentence), or None when it says nothing.
"""

from importlib import import_module
from pkgutil import iter_modules

CEILINGS, PERMITS, DENIALS = [], [], []


def ceiling(function):
    """The row must satisfy it, whatever permits."""
    CEILINGS.append(function)
    return function


def permits(function):
    """One reason to allow; any of them is enough."""
    PERMITS.append(function)
    return function


def denies(function):
    """One reason to refuse; any of them is enough."""
    DENIALS.append(function)
    return function


def load():
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
