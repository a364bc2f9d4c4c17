"""A resource to its index rows. (search.html, searchparameter.html#expression)

The search parameters of a type are compiled once into walkers whose ends write rows: no intermediate values. A
parameter is looked at only when the resource has one of the top-level elements it starts from.
"""

from functools import lru_cache

from records import fhirpath
from records.fhirpath import plain
from records.fhirpath.syntax import NotSimple
from records.search import parameters
from records.search.types import TYPES, Rows


class CannotIndex(Exception):
    """An index row cannot be made: which parameter, which resource, why."""


def extract(resource, type, rows=None):
    """All index rows of a resource, perhaps with Rows begun that know what it contains."""
    return _run(_plan(type, parameters.version()), resource, type, rows)


def partial(resource, type, keys, rows=None):
    """The rows of some parameters only, by their keys."""
    return _run([entry for entry in _plan(type, parameters.version()) if entry[2].key in keys], resource, type, rows)


def identity(resource, type):
    """The rows by which conditional interactions find it: identifiers and canonical URLs."""
    return _run(_identity_plan(type, parameters.version()), resource, type)


def is_identity(param):
    return param.code == "identifier" if param.kind == "token" else param.kind == "uri" and param.code == "url"


def _run(plan, resource, type, rows=None):
    rows = Rows(resource) if rows is None else rows
    present = resource.keys()
    for roots, walk, param in plan:
        if roots is None or not roots.isdisjoint(present):
            try:
                walk(resource, rows)
            except Exception as fault:
                raise CannotIndex(f"{type}/{resource.get('id')}: {param.code}: {fault!r}") from fault
    return rows


@lru_cache(512)
def _plan(type, version):
    found = parameters.to_index(type).values()
    return tuple(_entry(p) for p in found if p.indexed and p.family in TYPES)


@lru_cache(512)
def _identity_plan(type, version):
    return tuple(_entry(p) for p in parameters.parameters(type).values() if p.indexed and is_identity(p))


def _entry(param):
    """(top-level elements it starts from, walker, parameter)."""
    kind = TYPES[param.family]
    if hasattr(kind, "plan"):
        return (*kind.plan(param), param)
    try:
        found = plain.routes(param.expression, param.type)
    except NotSimple:
        return None, _general(param, kind), param
    if callable(found):
        emit = kind.emitter(param, plain.Route((), "boolean"))
        return None, _truth(found, emit), param
    found = tuple(r for r in found if kind.emitter(param, r))
    return plain.roots(found), plain.walker(found, lambda route: kind.emitter(param, route)), param


def _truth(test, emit):
    def walk(resource, rows):
        truth = test(resource)
        if truth is not None:
            emit(truth, rows)

    return walk


def _general(param, kind):
    """For an expression that needs the engine: the data type of each item is known when it is there."""
    values = fhirpath.compile(param.expression, param.type)
    emitters = {}

    def walk(resource, rows):
        for value, type in values(resource):
            if type not in emitters:
                emitters[type] = kind.emitter(param, plain.Route((), type))
            if emitters[type]:
                emitters[type](value, rows)

    return walk
