"""What one type demands beyond its definition: a file per type, functions registered by `@before_write(type)`."""

from importlib import import_module
from pkgutil import iter_modules

BEFORE_WRITE = {}


def before_write(type):
    """Register (resource) -> iterable of Issue for this type; an error issue refuses the write."""

    def register(function):
        BEFORE_WRITE.setdefault(type, []).append(function)
        return function

    return register


def issues(resource, type):
    """What the type's own rules say of the resource."""
    return [issue for rule in BEFORE_WRITE.get(type, ()) for issue in rule(resource)]


def load():
    """Import every rules module, so that its functions are registered."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
