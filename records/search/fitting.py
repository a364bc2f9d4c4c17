"""Can a stored SearchParameter of its kind hold what its expression yields? (search.html#table)"""

from records.errors import Issue
from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.resources.rules import before_write
from records.resources.rules.searchparameter import bases, official

from . import parameters
from .types import TYPES


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
        unknown = [url for url, _ in param.components if parameters.by_url(type, url) is None]
        return f"{unknown[0]} is no search parameter of {type}" if unknown else None
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
