"""FHIRPath Patch: add, insert, delete, replace and move by a Parameters resource. (fhirpatch.html)

A malformed Parameters is 400 (BadRequest), an operation that does not fit this resource is 422 (Invalid); both name
the operation. All operations apply, or none.
"""

from dataclasses import dataclass

from records import errors
from records.definitions.structures import structure
from records.formats import json, places
from records.formats.places import MAX_LENGTH, BadPath, NoPlace, Place, Step, pairs
from records.formats.slots import COMPLEX, RESOURCE, Slot, slots

MAX_OPERATIONS = 1000

_PARTS = {  # type -> the parts it takes, all of them required
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_FORMS = {  # part -> the values it may have
    "type": ("valueCode", "valueString"),
    "path": ("valueString",),
    "name": ("valueString", "valueCode", "valueId"),
    "index": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "source": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "destination": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
}
# Types of one family may stand for each other: the specification's own cases give a date for a dateTime and a string
# for the xhtml of a narrative. Whether the text fits is for validation to say.
_FAMILIES = (
    ("string", "code", "id", "markdown", "xhtml"),
    ("uri", "url", "canonical", "oid", "uuid"),
    ("date", "dateTime", "instant"),
    ("integer", "positiveInt", "unsignedInt"),
)
_NOT_TEXT = ("boolean", "decimal", "integer", "positiveInt", "unsignedInt")


class _Malformed(Exception):
    """The sentence of a fault of the Parameters resource."""


@dataclass(frozen=True, slots=True)
class Given:
    """The value of an operation: of a data type, a resource, or named parts of a type without a name."""

    type: str | None  # None: parts
    value: object
    companion: dict | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    type: str
    path: str
    steps: tuple[Step, ...]
    name: str | None
    value: Given | None
    index: int | None
    source: int | None
    destination: int | None


def apply(resource, parameters):
    """The resource after all operations; the given one stays as it is."""
    operations = read(parameters)
    resource = json.clone(resource)
    for i, operation in enumerate(operations):
        try:
            _APPLY[operation.type](resource, operation)
        except (NoPlace, BadPath) as wrong:
            kind = errors.Invalid if isinstance(wrong, NoPlace) else errors.BadRequest
            sentence = f"Operation {i} ({operation.type} {operation.path[:200]}): {wrong}"
            raise kind(issues=[errors.Issue("error", kind.code, sentence, f"Parameters.parameter[{i}]")]) from wrong
    if json.depth(resource) > json.MAX_DEPTH:
        raise errors.Invalid(f"The patch makes a resource of more than {json.MAX_DEPTH} levels.")
    return resource


# -- reading the Parameters


def read(parameters):
    """The operations of a Parameters resource; BadRequest has an issue for each malformed one."""
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise errors.BadRequest("A FHIRPath Patch is a resource of type Parameters.")
    given = parameters.get("parameter", [])
    if type(given) is not list:
        raise errors.BadRequest("Parameters.parameter must be an array.", expression="Parameters.parameter")
    if len(given) > MAX_OPERATIONS:
        raise errors.TooCostly(f"The patch has {len(given)} operations; at most {MAX_OPERATIONS}.")
    operations, issues = [], []
    for i, parameter in enumerate(given):
        try:
            operations.append(_operation(parameter))
        except (_Malformed, BadPath) as wrong:
            issues.append(errors.Issue("error", "invalid", f"Operation {i}: {wrong}", f"Parameters.parameter[{i}]"))
    if issues:
        raise errors.BadRequest(issues=issues)
    return operations


def _operation(parameter):
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise _Malformed("the name of the parameter must be 'operation'")
    parts = _named_parts(parameter.get("part"))
    if "type" not in parts:
        raise _Malformed("the part 'type' is missing")
    type = _plain(parts, "type")
    if type not in _PARTS:
        raise _Malformed(f"the type is {type!r}, expected one of {', '.join(_PARTS)}")
    for name in _PARTS[type]:
        if name not in parts:
            raise _Malformed(f"{type} needs the part {name!r}")
    for name in parts:
        if name != "type" and name not in _PARTS[type]:
            raise _Malformed(f"{type} takes no part {name!r}")
    path = _plain(parts, "path")
    return Operation(
        type=type,
        path=path,
        steps=places.parse(path),
        name=_plain(parts, "name"),
        value=_given(parts["value"]) if "value" in parts else None,
        index=_position(parts, "index"),
        source=_position(parts, "source"),
        destination=_position(parts, "destination"),
    )


def _named_parts(given):
    if type(given) is not list or not all(isinstance(part, dict) for part in given):
        raise _Malformed("'part' must be an array of objects")
    parts = {}
    for part in given:
        name = part.get("name")
        if type(name) is not str:
            raise _Malformed("a part has no name")
        if name in parts:
            raise _Malformed(f"the part {name!r} is given twice")
        parts[name] = part
    return parts


def _plain(parts, name):
    """The string of a part, or None when there is no such part."""
    if name not in parts:
        return None
    value = next((parts[name][form] for form in _FORMS[name] if form in parts[name]), None)
    if type(value) is not str or not 0 < len(value) <= MAX_LENGTH:
        raise _Malformed(f"the part {name!r} needs a {_FORMS[name][0]} of at most {MAX_LENGTH} characters")
    return value


def _position(parts, name):
    """The index of a part, or None when there is no such part."""
    if name not in parts:
        return None
    value = next((parts[name][form] for form in _FORMS[name] if form in parts[name]), None)
    if type(value) is not int or value < 0:
        raise _Malformed(f"the part {name!r} needs a {_FORMS[name][0]} of 0 or more")
    return value


def _given(part):
    """The value of a part: value[x] with its id and extensions, a resource, or parts."""
    forms = {key.removeprefix("_") for key in part if key.removeprefix("_").startswith("value")}
    forms |= {key for key in ("part", "resource") if key in part}
    if len(forms) != 1:
        raise _Malformed(f"the part {part['name']!r} needs one value, resource or parts; it has {len(forms)}")
    form = forms.pop()
    if form == "part":
        given = part["part"]
        if type(given) is not list or not given or not all(isinstance(p, dict) for p in given):
            raise _Malformed("'part' must be an array of objects")
        for inner in given:
            if type(inner.get("name")) is not str:
                raise _Malformed("a part has no name")
        return Given(None, [(inner["name"], _given(inner)) for inner in given])
    if form == "resource":
        if not isinstance(part["resource"], dict) or structure(str(part["resource"].get("resourceType"))) is None:
            raise _Malformed("'resource' must be a resource with a resourceType")
        return Given("Resource", part["resource"])
    slot = slots("Parameters.parameter").get(form)
    if slot is None:
        raise _Malformed(f"{form!r} is not a value of Parameters")
    companion = part.get("_" + form)
    if companion is not None and not isinstance(companion, dict):
        raise _Malformed(f"'_{form}' must be an object")
    value = part.get(form)
    if ((slot.kind == COMPLEX) != isinstance(value, dict) and value is not None) or isinstance(value, list):
        raise _Malformed(f"{form!r} has a value of another type")
    return Given(slot.type, value, companion)


# -- what fits where


def _choose(type: str, name: str, given: Given) -> Slot:
    """The slot that an element of this name takes for this value."""
    found = places.slots_of(type, name)
    if given.type is None:
        slot = found[0]
        if len(found) > 1 or slot.kind != COMPLEX:
            raise NoPlace(f"{name!r} takes a value, not parts")
        return slot
    exact = [slot for slot in found if slot.type == given.type]
    fitting = exact or [slot for slot in found if _fits(slot.type, given.type)]
    if not fitting:
        expected = ", ".join(sorted({slot.type for slot in found})[:8])
        raise NoPlace(f"a value of type {given.type} does not fit {name!r}, expected {expected}")
    return fitting[0]


def _fits(expected, given):
    if places.is_type(given, expected) and given != "Element":
        return True
    if given == "string":
        return expected[0].islower() and expected not in _NOT_TEXT
    if expected == "decimal":
        return given in _FAMILIES[3]
    return any(expected in family and given in family for family in _FAMILIES)


def _pair(slot: Slot, given: Given):
    """The value and the companion (id, extensions) as they stand in the tree."""
    if given.type is None:
        node = {}
        for name, inner in given.value:
            _put(node, slot.type, name, inner)
        return node, None
    return json.clone(given.value), json.clone(given.companion)


def _put(node: dict, type: str, name: str, given: Given):
    """Append to the elements of a name, or set the one that may be there once."""
    slot = _choose(type, name, given)
    value, companion = _pair(slot, given)
    if slot.many:
        _write(node, slot, [*pairs(node, slot), (value, companion)])
        return
    for other in places.slots_of(type, name):
        if other.key in node or "_" + other.key in node:
            raise NoPlace(f"{name!r} is already there and cannot repeat")
    _set(node, slot.key, value)
    _set(node, "_" + slot.key, companion)


def _set(node, key, value):
    if value is None:
        node.pop(key, None)
    else:
        node[key] = value


def _write(node: dict, slot: Slot, items):
    values, companions = [v for v, _ in items], [c for _, c in items]
    _set(node, slot.key, values if any(v is not None for v in values) else None)
    _set(node, "_" + slot.key, companions if any(c is not None for c in companions) else None)


# -- the operations


def _one(found, what="an element"):
    if len(found) != 1:
        raise NoPlace(f"the path must lead to {what} and leads to {len(found) or 'none'}")
    return found[0]


def _members(place: Place) -> dict:
    """The object of an element's members; of a primitive it is made when it lacks."""
    members = place.members
    if members is None:
        members = {}
        if place.index is None:
            place.holder["_" + place.slot.key] = members
        else:
            items = pairs(place.holder, place.slot)
            items[place.index] = (items[place.index][0], members)
            _write(place.holder, place.slot, items)
    if not isinstance(members, dict):
        raise NoPlace("there is no object there")
    return members


def _collection(resource, operation):
    """The object and the slot of the array that a path names; the array may not be there yet."""
    *before, last = operation.steps or (None,)
    if not before or last.op != "member":
        raise NoPlace("the path must end with the name of a list")
    owner = _one(places.find(resource, before), "the element that has the list")
    slot = places.slots_of(owner.type, last.argument)[0]
    if not slot.many:
        raise NoPlace(f"{last.argument!r} is not a list")
    return owner, slot


def _add(resource, operation):
    target = _one(places.find(resource, operation.steps))
    places.slots_of(target.type, operation.name)  # before an object is made for a primitive's members
    _put(_members(target), target.type, operation.name, operation.value)


def _insert(resource, operation):
    owner, slot = _collection(resource, operation)
    slot = _choose(owner.type, slot.key, operation.value)
    node = _members(owner)
    items = pairs(node, slot)
    if operation.index > len(items):
        raise NoPlace(f"the index {operation.index} is beyond the list of {len(items)} elements")
    items.insert(operation.index, _pair(slot, operation.value))
    _write(node, slot, items)


def _move(resource, operation):
    owner, slot = _collection(resource, operation)
    node = owner.members or {}
    items = pairs(node, slot)
    for name in ("source", "destination"):
        if getattr(operation, name) >= len(items):
            raise NoPlace(f"the {name} {getattr(operation, name)} is beyond the list of {len(items)} elements")
    items.insert(operation.destination, items.pop(operation.source))
    _write(node, slot, items)


def _delete(resource, operation):
    found = places.find(resource, operation.steps)
    if found:  # deleting what is not there is no error
        place = _one(found)
        if place.holder is None:
            raise NoPlace("the resource itself cannot be deleted by a patch")
        _remove(place)


def _remove(place: Place):
    """Take an element out, and the elements around it that this leaves empty."""
    if place.index is None:
        place.holder.pop(place.slot.key, None)
        place.holder.pop("_" + place.slot.key, None)
    else:
        items = pairs(place.holder, place.slot)
        del items[place.index]
        _write(place.holder, place.slot, items)
    owner = place.owner
    if place.holder or owner.holder is None:
        return
    if owner.is_primitive and owner.value is not None:
        _drop_companion(owner)
    else:
        _remove(owner)


def _drop_companion(place: Place):
    if place.index is None:
        del place.holder["_" + place.slot.key]
    else:
        items = pairs(place.holder, place.slot)
        items[place.index] = (items[place.index][0], None)
        _write(place.holder, place.slot, items)


def _replace(resource, operation):
    place = _one(places.find(resource, operation.steps))
    if place.holder is None:
        raise NoPlace("the resource itself cannot be replaced by a patch; use an update")
    old = place.slot
    if old.kind == RESOURCE and operation.value.type != "Resource":
        raise NoPlace("a resource can only be replaced by a resource")
    new = _choose(place.owner.type, old.choice or old.key, operation.value)
    value, companion = _pair(new, operation.value)
    if place.index is not None:
        items = pairs(place.holder, old)
        items[place.index] = (value, companion)
        _write(place.holder, old, items)
        return
    # The new key takes the position of the old one, as a choice may change its type.
    renamed = [(new.key if key == old.key else key, item) for key, item in place.holder.items() if key != "_" + old.key]
    place.holder.clear()
    place.holder.update(renamed)
    _set(place.holder, new.key, value)
    _set(place.holder, "_" + new.key, companion)


_APPLY = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}
