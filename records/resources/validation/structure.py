"""Is the tree what the definitions say? Every problem, by element path. (json.html, xml.html, structuredefinition.html)

Each structure becomes one function (value, parent, depth) -> findings or None, made when its type is first seen; what
it needs of an element is looked up by JSON key, once. Cardinality, JSON types, choices, primitives with their siblings
`_x`, targets, required bindings and invariants are judged in one walk.
"""

from functools import cache

from records.definitions.structures import PRIMITIVES, Element, Structure, is_resource_type, structure

from .bindings import binding
from .findings import Finding, add, excerpt, kind, lift
from .invariants import element_rules, rules
from .narrative import xhtml
from .primitives import CHECKS, text
from .references import targets

DEEPEST = 100
STUMBLES = (TypeError, AttributeError, KeyError, ValueError, IndexError, ArithmeticError)
# Elements that carry a value and nothing else: they are XML attributes, or XHTML.
BARE = {"xhtml", "id"}


def check_resource(resource) -> list[Finding]:
    """Every problem of a resource that stands for itself."""
    return whole_resource(resource, None, 0) or []


# --- one element: array or single, then its type, then what the element adds


class Checks(dict):
    """JSON key -> checker of one structure; made at the first look-up."""

    def __init__(self, owner: Structure):
        self.owner = owner

    def __missing__(self, key):
        owner = self.owner
        element = owner.elements.get(key)
        if element:
            self[key] = made = element_check(element)
        elif key == "resourceType" and owner.kind == "resource":
            self[key] = made = no_finding
        elif key[:1] == "_" and (element := owner.elements.get(key[1:])) and extensible(element):
            self[key] = made = sibling(element)
        else:
            # Not kept: a hostile document may hold any number of unknown names.
            text = f"{owner.name} has no element {excerpt(key)}"
            return lambda value, parent, depth: [Finding("structure", text)]
        return made


def no_finding(value, parent, depth):
    return None


def extensible(element: Element) -> bool:
    """A primitive that may carry an id and extensions beside its value."""
    return element.type in PRIMITIVES and not element.is_attribute and element.type not in BARE


def element_check(element: Element):
    one = single(element)
    if not element.many:
        return one
    return array(one, element.key if element.type in PRIMITIVES else None, element.max)


def single(element: Element):
    """The checker of one value of an element."""
    if element.path == "Reference.reference":
        return literal_reference
    if element.type == "Resource":
        return contained_resource if element.key == "contained" else whole_resource
    one = type_check(element.type)
    bound, extra = binding(element), element_rules(element)
    if element.type == "Reference":
        one = both(one, targets(element.targets))
    if bound and element.type in PRIMITIVES:
        one = either(bound, one)
    elif bound:
        one = both(one, bound)
    return ruled(one, extra) if extra else one


def both(one, more):
    """Check the type, then what the element adds; the addition looks only at objects."""

    def check(value, parent, depth):
        found = one(value, parent, depth)
        if value.__class__ is not dict:
            return found
        try:
            others = more(value, parent, depth)
        except STUMBLES:
            # As in judge(): only over a malformed child, which has its own finding.
            if found is None:
                raise
            return found
        return [*(found or ()), *others] if others else found

    return check


def either(bound, one):
    """A code of the value set is well-formed; another one is judged by its form first."""

    def check(value, parent, depth):
        if value.__class__ is not str:
            return one(value, parent, depth)
        return bound(value, parent, depth) and (one(value, parent, depth) or bound(value, parent, depth))

    return check


def ruled(one, extra):
    def check(value, parent, depth):
        found = one(value, parent, depth)
        return judge(extra, value, found)

    return check


def literal_reference(value, parent, depth):
    """A fragment must name a resource that the same resource contains; that is seen where `contained` stands."""
    found = REFERENCE_TEXT(value, parent, depth)
    if found is None and value[0] == "#":
        return [Finding("invariant", f"ref-1: {excerpt(value)} names no contained resource", local=value[1:])]
    return found


REFERENCE_TEXT = text("string")


def array(one, primitive: str | None, maximum: int | None):
    """A list of one or more; of primitives, null stands where only the sibling `_x` has something. (json.html#null)"""

    def check(values, parent, depth):
        if values.__class__ is not list:
            return [Finding("structure", f"{kind(values)} where an array is expected")]
        if not values:
            return [Finding("structure", "an empty array is not allowed")]
        found = None
        depth += 1
        for index, value in enumerate(values):
            if value is None and primitive:
                if not extended(parent, primitive, index):
                    found = add(found, "structure", "null without an extension beside it", f"[{index}]")
            else:
                risen = one(value, values, depth)
                if risen is not None:
                    found = lift(found, risen, f"[{index}]")
        if maximum is not None and len(values) > maximum:
            found = add(found, "structure", f"{len(values)} elements; at most {maximum} are allowed")
        return found

    return check


def extended(parent, key, index) -> bool:
    """Does the sibling `_key` have something at that index?"""
    others = parent.get("_" + key)
    return others.__class__ is list and index < len(others) and others[index] is not None


def sibling(element: Element):
    """`_x`: id and extensions of a primitive, in an array one for each value or null. (json.html#primitive)"""
    one = type_check(element.type, extension=True)
    key = element.key

    def check(values, parent, depth):
        if values.__class__ is not list:
            return [Finding("structure", f"{kind(values)} where an array is expected")]
        if not values:
            return [Finding("structure", "an empty array is not allowed")]
        plain = parent.get(key)
        found = None
        if plain.__class__ is list and len(plain) != len(values):
            text = f"{len(plain)} values but {len(values)} extensions beside them; null fills the gaps"
            found = add(found, "structure", text)
        for index, value in enumerate(values):
            if value is not None:
                risen = one(value, parent, depth + 1)
                found = lift(found, risen, f"[{index}]") if risen else found
            elif plain.__class__ is not list:
                found = add(found, "structure", "null without a value beside it", f"[{index}]")
        return found

    return check if element.many else one


# --- types


@cache
def type_check(name: str, extension: bool = False):
    """The checker of a type: a primitive's value, or an object (with `extension` the object beside a primitive)."""
    if name == "xhtml":
        return xhtml
    if name in PRIMITIVES and not extension:
        return CHECKS[name]
    return object_check(structure(name))


def object_check(structure: Structure):
    """The one function of a structure."""
    checks = Checks(structure)
    required = needed(structure)
    # The keys of each choice, siblings included, so that a second one is seen.
    choices = tuple(
        (name, frozenset(k for key in keys for k in (key, "_" + key))) for name, keys in structure.choices.items()
    )
    own = rules(structure.name) if structure.kind != "primitive-type" else ()
    is_element = structure.kind != "resource"

    def check(value, parent, depth):
        if value.__class__ is not dict:
            return [Finding("structure", f"{kind(value)} where an object ({structure.name}) is expected")]
        if is_element and (not value or (len(value) == 1 and "id" in value)):
            return [Finding("structure", "ele-1: an element must have a value or children")]
        depth += 1
        if depth > DEEPEST:
            return [Finding("structure", f"nested deeper than {DEEPEST} levels")]
        found = None
        for key, child in value.items():
            risen = checks[key](child, value, depth)
            if risen is not None:
                # FHIRPath has no `_x`: what a sibling says is said of x; an unknown `_x` keeps its name.
                found = lift(found, risen, "." + (key[1:] if key[:1] == "_" and key in checks else key))
        for key, others in required:
            if key not in value and not any(k in value for k in others):
                found = add(found, "required", f"{key} is required", "." + key)
        for name, keys in choices:
            given = keys & value.keys()
            if len(given) > 1 and len({k.lstrip("_") for k in given}) > 1:
                text = f"only one {name}[x] is allowed, not {' and '.join(sorted(k for k in value if k in given))}"
                found = add(found, "structure", text, "." + name)
        return judge(own, value, found) if own else found

    return check


def needed(structure: Structure) -> tuple:
    """(key, what may stand instead) of each required element: the sibling of a primitive, the types of a choice."""
    found = []
    for element in structure.elements.values():
        if element.min and not element.choice:
            found.append((element.key, ("_" + element.key,) if extensible(element) else ()))
    for name, keys in structure.choices.items():
        if structure.elements[keys[0]].min:
            found.append((name + "[x]", tuple(k for key in keys for k in (key, "_" + key))))
    return tuple(found)


def judge(rules, value, found):
    """Add the invariants that do not hold."""
    for holds, constraint, path in rules:
        try:
            kept = holds(value)
        except STUMBLES:
            # A rule may stumble over a malformed child; that child has its own finding already.
            if found is None:
                raise
            continue
        if not kept:
            found = add(found, "invariant", f"{constraint.key}: {constraint.human}", path, constraint.severity)
    return found


# --- resources inside resources


def any_resource(value, parent, depth):
    """An object that says which resource it is."""
    if value.__class__ is not dict:
        return [Finding("structure", f"{kind(value)} where a resource is expected")]
    name = value.get("resourceType")
    if name is None:
        return [Finding("structure", "resourceType is required", path=".resourceType")]
    if not is_resource_type(name):
        text = f"{excerpt(name)} is not a resource type of FHIR R4"
        return [Finding("structure", text, path=".resourceType")]
    return type_check(name)(value, parent, depth)


def contained_resource(value, parent, depth):
    """Its fragments rise on: they mean the resource that contains it."""
    return any_resource(value, parent, depth)


def unresolved(fragment: Finding, contained) -> bool:
    """No contained resource has the id, or one of another type than the reference allows; `#` is the container."""
    types = [c.get("resourceType") for c in contained if c.__class__ is dict and c.get("id") == fragment.local]
    if fragment.allowed:
        return bool(types) and is_resource_type(types[0]) and types[0] not in fragment.allowed
    return fragment.code == "invariant" and bool(fragment.local) and not types


def whole_resource(value, parent, depth):
    """A resource whose fragments are resolved in itself: ref-1 and dom-3. (references.html#contained)"""
    found = any_resource(value, parent, depth)
    contained = value.get("contained") if value.__class__ is dict else None
    if not found and not contained:
        return None
    contained = contained if contained.__class__ is list else ()
    ids = [c.get("id") if c.__class__ is dict else None for c in contained]
    fragments = [f for f in found or () if f.local is not None]
    found = [f for f in found or () if f.local is None]
    found += [f for f in fragments if unresolved(f, contained)]
    named = [f.local for f in fragments]
    for index, id in enumerate(ids):
        container = f".contained[{index}]."
        backward = any(f.local == "" and f.path.startswith(container) for f in fragments)
        if contained[index].__class__ is dict and id not in named and not backward:
            add(found, "invariant", f"dom-3: nothing refers to the contained resource #{id}", f".contained[{index}]")
    return found or None
