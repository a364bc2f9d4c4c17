"""The class of data of a resource, kept on its row for authorisation matrices: the store asks, accessctl answers."""

RULES = []


def classes(function):
    """Register (resource, type) -> number of a class, or None when the type says all there is to say."""
    RULES.append(function)
    return function


def category(resource, type):
    """The first answer."""
    return next((number for rule in RULES if (number := rule(resource, type)) is not None), None)
