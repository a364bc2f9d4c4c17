"""Where in a Bundle an error is: expressions of a resource, seen from the Bundle that holds it."""

from dataclasses import replace


def within(expression, place):
    """ "Patient.name[0]" inside "Bundle.entry[3].resource"."""
    return f"{place}.{expression.partition('.')[2]}".rstrip(".") if expression else place


def located(error, place):
    """The error with its issues placed inside the Bundle; `place` is "" for what is in none."""
    if place:
        entry = place.removesuffix(".resource")
        error._issues = tuple(replace(i, expression=inside(i.expression, entry)) for i in error.issues)
    return error


def inside(expression, entry):
    """An expression that begins at the Bundle stays as it is."""
    if not expression:
        return entry
    return expression if expression.startswith("Bundle.entry[") else within(expression, f"{entry}.resource")
