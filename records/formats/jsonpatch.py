"""JSON Patch on a tree: numbers keep their digits, an error names the operation and the pointer. (RFC 6902, RFC 6901)

A malformed patch is 400 (BadRequest), an operation that cannot be applied to this document is 422 (Invalid).
"""

import re
from decimal import Decimal

from records import errors
from records.formats import json

MAX_OPERATIONS = 1000
MAX_COPIED = 16 * 1024 * 1024  # bytes: "copy" doubles a document with each operation

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_MEMBERS = {  # op -> members required beside "path"
    "add": ("value",),
    "remove": (),
    "replace": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "test": ("value",),
}


class _CannotApply(Exception):
    """The sentence of an operation that does not fit the document."""


def parse(data):
    """The operations of a body of type application/json-patch+json."""
    return check(json.parse(data, top=list))


def check(operations):
    """The operations as given, if they form a JSON Patch document; else BadRequest with an issue for each fault."""
    if type(operations) is not list:
        raise errors.BadRequest("A JSON Patch is an array of operations.")
    if len(operations) > MAX_OPERATIONS:
        raise errors.TooCostly(f"The JSON Patch has {len(operations)} operations; at most {MAX_OPERATIONS}.")
    faults = [(i, fault) for i, operation in enumerate(operations) if (fault := _malformed(operation))]
    if faults:
        raise errors.BadRequest(
            issues=[errors.Issue("error", "invalid", f"Operation {i}: {fault}", f"patch[{i}]") for i, fault in faults]
        )
    return operations


def _malformed(operation):
    if type(operation) is not dict:
        return "it is not an object"
    op = operation.get("op")
    if type(op) is not str or op not in _MEMBERS:
        return (
            f"op is {_short(str(op))!r}, expected one of {', '.join(_MEMBERS)}"
            if "op" in operation
            else "op is missing"
        )
    for member in ("path", *_MEMBERS[op]):
        if member not in operation:
            return f"{op} needs {member!r}"
        if member != "value" and (fault := _bad_pointer(operation[member])):
            return f"{member} {_short(str(operation[member]))!r} {fault}"
    return None


def _bad_pointer(pointer):
    if type(pointer) is not str:
        return "is not a string"
    if pointer and pointer[0] != "/":
        return "is not a JSON Pointer: it must be empty or start with '/'"
    if _BAD_ESCAPE.search(pointer):
        return "is not a JSON Pointer: '~' must be followed by 0 or 1"
    return None


def apply(document, operations):
    """The document after all operations; the given document stays as it is. (RFC 6902 section 5: all or nothing)"""
    holder = {"": json.clone(document)}  # the document is a member of a holder, so "" is a place like any other
    copied = 0
    for i, operation in enumerate(check(operations)):
        try:
            copied += _OPERATIONS[operation["op"]](holder, operation) or 0
        except _CannotApply as wrong:
            sentence = f"Operation {i} ({operation['op']} {_short(operation['path'])!r}): {wrong}"
            raise errors.Invalid(issues=[errors.Issue("error", "processing", sentence, f"patch[{i}]")]) from wrong
        if copied > MAX_COPIED:
            raise errors.TooLarge(f"The JSON Patch copies more than {MAX_COPIED} bytes.", expression=f"patch[{i}]")
    if json.depth(holder) > json.MAX_DEPTH + 1:
        raise errors.Invalid(f"The JSON Patch makes a document of more than {json.MAX_DEPTH} levels.")
    return holder[""]


def _place(holder, pointer):
    """The container that has the place a pointer names, and its token there."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")]
    node = holder
    for token in tokens[:-1]:
        node = _child(node, token, pointer)
    if type(node) not in (dict, list):
        raise _CannotApply(f"{_short(pointer)} is inside {_kind(node)}, which has no members")
    return node, tokens[-1]


def _child(node, token, pointer):
    if type(node) is dict and token in node:
        return node[token]
    if type(node) is list:
        return node[_index(node, token, pointer, len(node) - 1)]
    raise _CannotApply(f"there is nothing at {token[:60]!r} of {_short(pointer)}")


def _index(node, token, pointer, last):
    if not _INDEX.fullmatch(token):
        what = "'-' names no existing item" if token == "-" else f"{token[:60]!r} is not an index of an array"
        raise _CannotApply(f"{what} ({_short(pointer)})")
    if int(token) > last:
        raise _CannotApply(f"the index {token} is beyond the array of {len(node)} items ({_short(pointer)})")
    return int(token)


def _get(holder, pointer):
    node, token = _place(holder, pointer)
    return _child(node, token, pointer)


def _put(holder, pointer, value):
    """Set a member, or insert into an array."""
    node, token = _place(holder, pointer)
    if type(node) is dict:
        node[token] = value
    else:
        node.insert(len(node) if token == "-" else _index(node, token, pointer, len(node)), value)


def _take(holder, pointer):
    """Remove a member or an item and return it."""
    if pointer == "":
        raise _CannotApply("the whole document cannot be removed")
    node, token = _place(holder, pointer)
    _child(node, token, pointer)
    return node.pop(token if type(node) is dict else int(token))


def _add(holder, operation):
    _put(holder, operation["path"], json.clone(operation["value"]))


def _remove(holder, operation):
    _take(holder, operation["path"])


def _replace(holder, operation):
    pointer = operation["path"]
    node, token = _place(holder, pointer)
    _child(node, token, pointer)
    node[token if type(node) is dict else int(token)] = json.clone(operation["value"])


def _move(holder, operation):
    source, target = operation["from"], operation["path"]
    if target == source:
        _get(holder, source)
        return
    if target.startswith(source + "/"):
        raise _CannotApply(f"{_short(source)!r} cannot be moved into itself")
    _put(holder, target, _take(holder, source))


def _copy(holder, operation):
    value = json.clone(_get(holder, operation["from"]))
    _put(holder, operation["path"], value)
    return len(json.dump(value))


def _test(holder, operation):
    found = _get(holder, operation["path"])
    if not equal(found, operation["value"]):
        same = "another value" if _kind(found) == _kind(operation["value"]) else _kind(found)
        raise _CannotApply(f"expected {_shown(operation['value'])}, found {same}")


_OPERATIONS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}


def equal(left, right):
    """Equality of JSON values: 1.10 equals 1.1 but not true, the order of members is free. (RFC 6902 section 4.6)"""
    if type(left) is dict:
        return type(right) is dict and left.keys() == right.keys() and all(equal(v, right[k]) for k, v in left.items())
    if type(left) is list:
        return type(right) is list and len(left) == len(right) and all(map(equal, left, right))
    if type(left) is bool or type(right) is bool:
        return left is right
    if isinstance(left, int | Decimal):
        return isinstance(right, int | Decimal) and left == right
    return type(left) is type(right) and left == right


_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def _kind(value):
    """What a found value is; never the value, as who may write need not be allowed to read."""
    return _KINDS.get(type(value), "a number")


def _shown(value):
    """An expected value, which came with the patch."""
    return _short(json.dump(value).decode())


def _short(text):
    return text if len(text) <= 120 else text[:120] + "..."
