"""A simple expression as plain functions over the JSON tree; types come from the R4 structures.

At compile time an expression is a set of routes: the JSON keys to walk (choice elements already spelt out:
valueQuantity), the tests on the way, and the data type at the end. At run time only dict lookups remain.
"""

from dataclasses import dataclass, replace

from records.definitions.structures import structure

from .references import type_of
from .syntax import Binary, Call, Item, Literal, Member, NotSimple, This, Typed, parse
from .values import Value

KEY, INDEX, TEST = "key", "index", "test"
make = tuple.__new__


class InvalidExpression(ValueError):
    """The expression names an element or type that R4 does not have."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way through the tree: where it goes and what stands at its end."""

    steps: tuple  # (KEY, json key) | (INDEX, json key, n) | (TEST, function of the item -> bool)
    type: str  # structure name, or "Resource" when only the data can say
    targets: tuple = ()  # of a Reference
    binding: tuple | None = None  # (strength, value set)
    many: bool = False  # may yield several items

    @property
    def root(self):
        """The top-level JSON key it starts from; None when it is the whole resource."""
        return self.steps[0][1] if self.steps and self.steps[0][0] != TEST else None


def routes(expression, type):
    """Routes of an expression on a type, or a function item -> True, False, None; NotSimple if it has neither."""
    return _value(parse(expression), (Route((), type),), type)


def compile(expression, type):
    """Function resource -> [Value] of an expression on a type; NotSimple when it needs the general engine."""
    found = routes(expression, type)
    if callable(found):

        def run(resource):
            truth = found(resource)
            return [] if truth is None else [Value(truth, "boolean")]

        run.roots = None
        return run
    walk = walker(found, _as_value)

    def run(resource):
        values = []
        walk(resource, values)
        return values

    run.roots = roots(found)
    return run


def roots(routes):
    """The top-level JSON keys that routes start from, or None when any may matter."""
    found = {route.root for route in routes}
    return None if None in found else frozenset(found)


def _as_value(route):
    type = route.type
    if type == "Resource":
        return lambda item, found: found.append(Value(item, item["resourceType"]))
    return lambda item, found: found.append(make(Value, (item, type)))


# compile time: trees to routes, or to a function item -> True, False or None (empty)


def _value(tree, start, root):
    """Routes or a truth function; `root` is the type whose name may open a path, None inside where()."""
    match tree:
        case This():
            return start
        case Member(None, name) if root is not None and name[:1].isupper():
            if _is_a(root, name):
                return start
            if structure(name) is None:
                raise InvalidExpression(f"{name} is not a type of R4")
            return ()  # the part of a shared parameter that is for another type
        case Member(of, name):
            return _member(_routes(of, start, root), name)
        case Item(of, index):
            routes = _routes(of, start, root)
            if any(len(r.steps) != 1 for r in routes):
                raise NotSimple("an index counts over the whole collection")
            return tuple(replace(r, steps=((INDEX, r.steps[0][1], index),)) for r in routes)
        case Typed(of, "as", name) | Call(of, "as" | "ofType", (name,)):
            return _of_type(_routes(of, start, root), name)
        case Typed(Call(None, "resolve", ()), "is", name):
            return _resolves_to(start, name)
        case Call(of, "where", (criterion,)):
            routes = _routes(of, start, root)
            return tuple(_where(r, criterion) for r in routes)
        case Call(of, "extension", (Literal(str() as url),)):
            routes = _member(_routes(of, start, root), "extension")
            return tuple(replace(r, steps=(*r.steps, (TEST, lambda item: item.get("url") == url))) for r in routes)
        case Call(of, "exists", ()):
            find = _finder(_routes(of, start, root))
            return lambda item: bool(find(item))
        case Call(of, "exists", (criterion,)):
            find = _finder(tuple(_where(r, criterion) for r in _routes(of, start, root)))
            return lambda item: bool(find(item))
        case Call(of, "empty", ()):
            find = _finder(_routes(of, start, root))
            return lambda item: not find(item)
        case Call(of, "not", ()):
            test = _truth(of, start, root)
            return lambda item: None if (t := test(item)) is None else not t
        case Binary("|", left, right):
            left, right = _routes(left, start, root), _routes(right, start, root)
            return tuple(dict.fromkeys(left + right))  # a union has no duplicates
        case Binary("and" | "or" as op, left, right):
            return _logic(op, _truth(left, start, root), _truth(right, start, root))
        case Binary("=" | "!=" as op, left, Literal(value)):
            return _equals(op, _finder(_routes(left, start, root)), value)
    raise NotSimple(str(tree))


def _routes(tree, start, root):
    found = start if tree is None else _value(tree, start, root)
    if callable(found):
        raise NotSimple("a truth value has no members")
    return found


def _truth(tree, start, root):
    found = _value(tree, start, root)
    if callable(found):
        return found
    find = _finder(found)

    def test(item):  # singleton evaluation of collections
        values = find(item)
        return values[0] if len(values) == 1 and isinstance(values[0], bool) else (True if len(values) == 1 else None)

    return test


def _member(routes, name):
    found = [extended for route in routes for extended in _extend(route, name)]
    if routes and not found:
        raise InvalidExpression(f"{', '.join(sorted({r.type for r in routes}))} has no element {name}")
    return tuple(found)


def _extend(route, name):
    described = structure(route.type)
    if described is None or (route.steps and route.type in ("Resource", "DomainResource")):
        raise NotSimple(f"the type of {route.type} is known from the data only")
    if described.kind == "primitive-type":
        if name == "value":
            yield route
        elif name in ("extension", "id") and route.steps and route.steps[-1][0] == KEY:
            steps = (*route.steps[:-1], (KEY, "_" + route.steps[-1][1]), (KEY, name))
            yield Route(steps, "Extension" if name == "extension" else "string", many=True)
        return
    for element in described.elements.values():
        if element.key == name or element.choice == name:
            many = route.many or element.many
            yield Route((*route.steps, (KEY, element.key)), element.type, element.targets, element.binding, many)


def _of_type(routes, name):
    if structure(name) is None:
        name = name[:1].lower() + name[1:]  # value.as(DateTime) of R4's code-value-date
    if structure(name) is None:
        raise InvalidExpression(f"{name} is not a type of R4")
    return tuple(r for r in routes if _is_a(r.type, name))


def _is_a(type, ancestor):
    while type:
        if type == ancestor:
            return True
        described = structure(type)
        type = described.base if described else None
        if type and "/" in type:
            type = type.rsplit("/", 1)[1]
    return False


def _where(route, criterion):
    test = _truth(criterion, (Route((), route.type, route.targets),), None)
    match criterion:
        case Typed(Call(None, "resolve", ()), "is", name):
            route = replace(route, targets=(name,))
    return replace(route, steps=(*route.steps, (TEST, lambda item: test(item) is True)))


def _resolves_to(start, name):
    """`resolve() is T`: decided by the reference itself; what it points at need not be here."""
    targets = {t for r in start for t in r.targets}
    only = targets == {name}

    def test(reference):
        type = type_of(reference)
        return only if type is None else type == name

    return test


def _logic(op, left, right):
    decided = op == "or"  # the value that decides alone

    def test(item):
        a, b = left(item), right(item)
        if a is decided or b is decided:
            return decided
        return None if a is None or b is None else not decided

    return test


def _equals(op, find, literal):
    wanted = op == "="

    def test(item):
        values = find(item)
        if not values:
            return None
        same = len(values) == 1 and values[0] == literal and isinstance(values[0], bool) == isinstance(literal, bool)
        return same is wanted

    return test


# run time


def _finder(routes):
    walk = walker(routes, lambda route: lambda item, found: found.append(item))

    def find(item):
        found = []
        walk(item, found)
        return found

    return find


def walker(routes, emit):
    """Function (resource, found) that calls emit(route)(item, found) for each item at the end of a route."""
    tree = {}
    for route in routes:  # routes that start alike share their steps: {step: subtree}, the end under None
        at = tree
        for step in route.steps:
            at = at.setdefault(step, {})
        at[None] = route
    return _walker(tree, emit)


def _walker(tree, emit):
    walkers = [emit(end) if step is None else _step(step, _walker(end, emit)) for step, end in tree.items()]
    if len(walkers) == 1:
        return walkers[0]

    def all(item, found):
        for walk in walkers:
            walk(item, found)

    return all


def _step(step, then):
    if step[0] == TEST:
        test = step[1]

        def check(item, found):
            if test(item):
                then(item, found)

        return check
    key = step[1]
    if step[0] == INDEX:
        index = step[2]

        def pick(item, found):
            items = item.get(key)
            items = items if isinstance(items, list) else [] if items is None else [items]
            if index < len(items):
                then(items[index], found)

        return pick

    def walk(item, found):
        below = item.get(key)
        if below is None:
            return
        if type(below) is list:
            for one in below:
                if one is not None:
                    then(one, found)
        else:
            then(below, found)

    return walk
