"""Can a stored SearchParameter of its kind hold what its expression yields? (search.html#table)"""

from records.errors import Issue
from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.resources.rules import before_write
from records.resources.rules.searchparameter import bases, official

from . import parameters
from .types import TYPES, composite


@before_write("SearchParameter")
def fits(resource):
    """An active one whose every item would be passed over is refused."""
    if resource.get("status") != "active" or resource.get("type") not in TYPES:
        return
    for type in bases(resource):
        if official(type, resource.get("code")) is None and (said := _misfit(resource, type)):
            yield Issue("error", "business-rule", f"This active SearchParameter cannot be used on {type}: {said}.",
                        "SearchParameter.type")  # fmt: skip
            return


def _misfit(resource, type):
    """What is wrong, or None; whether the expression compiles at all is another rule's."""
    param = parameters.read(resource, type)
    if param.kind == "composite":
        return _uncomposed(param)
    try:
        routes = plain.routes(param.expression or "", type)
    except (NotSimple, plain.InvalidExpression):
        return None  # the data type is known when an item is there; or the other rule says why it is none
    kind = TYPES[param.kind]
    routes = [plain.Route((), "boolean")] if callable(routes) else routes
    if any(kind.emitter(param, route) for route in routes):
        return None
    yields = ", ".join(sorted({route.type for route in routes})) or "nothing there"
    return f"its expression yields {yields}, which a {param.kind} cannot hold"


def _uncomposed(param):
    """What is wrong with the parts of a composite, or None: one that cannot be evaluated would stop its whole type."""
    for url, _ in param.components:
        part = parameters.by_url(param.type, url)
        if part is None or part.kind not in composite.PARTS or part.url == param.url:
            return f"{url} is no search parameter of {param.type} that can be part of a composite"
    kinds = [parameters.by_url(param.type, url).kind for url, _ in param.components]
    if sum(kind in composite.ORDERED for kind in kinds) > 2 or kinds.count("string") > 1:
        return "of its parts two may be dates, numbers or quantities, and one a string"
    try:
        groups = plain.routes(param.expression or "", param.type)
    except plain.InvalidExpression:
        return None  # the other rule says so
    except NotSimple:
        groups = None
    if groups is None or callable(groups):
        return "the expression of a composite is a path to what its parts are in"
    for url, expression in param.components:
        for group in groups:
            try:
                part = composite.Component(param, url, expression)
                part.walker(param.type if part.of_resource else group.type)
            except (plain.InvalidExpression, NotSimple) as fault:
                return f"{expression!r} is no path in {param.expression}: {fault}"
    return None
