"""A tree as FHIR XML, elements in the order of the StructureDefinition, number texts and narrative kept. (xml.html)"""

import re
from decimal import Decimal

import msgspec

from records import errors
from records.formats import json, narrative
from records.formats.slots import COMPLEX, FHIR, NARRATIVE, PRIMITIVE, resources, slots

# What an attribute must escape; and what XML cannot hold at all: strict intake keeps that out of resources, so it only
# comes in sentences that echo a request, where U+FFFD says enough.
_SPECIAL = re.compile('[&<>"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def dump(tree, pretty=False):
    """The bytes of a resource in XML; pretty indents by two spaces."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    _resource(out, _loaded(tree), "\n" if pretty else "", f' xmlns="{FHIR}"', str(_loaded(tree).get("resourceType")))
    return "".join(out).encode()


def _loaded(value):
    """Stored bytes that stand in a tree are read only here."""
    return json.parse(bytes(value)) if type(value) is msgspec.Raw else value


def _resource(out, node, pad, namespace, path):
    name = node.get("resourceType")
    if name not in resources():
        raise errors.InvalidStructure(f"{name!r} is not a resource type of FHIR R4", expression=path)
    _complex(out, name, name, node, pad, path, namespace)


def _complex(out, tag, type, node, pad, path, namespace=""):
    """An element with children."""
    if not isinstance(node, dict):
        raise errors.InvalidStructure(f"{path} must be an object", expression=path)
    known = slots(type)
    found = set()
    for key in node:
        slot = known.get(key) or (known.get(key[1:]) if key[:1] == "_" else None)
        if slot is not None:
            found.add(slot)
        elif key not in ("resourceType", "fhir_comments"):
            raise errors.InvalidStructure(f"{path} has no element {key!r}", expression=path)
    attributes, children = "", []
    for slot in sorted(found, key=_rank):
        if slot.attribute:
            attributes += f' {slot.key}="{_text(node.get(slot.key), path)}"'
        else:
            children.append(slot)
    if not children:
        out.append(f"{pad}<{tag}{namespace}{attributes}/>")
        return
    out.append(f"{pad}<{tag}{namespace}{attributes}>")
    inner = pad + "  " if pad else ""
    for slot in children:
        _slot(out, slot, node, inner, f"{path}.{slot.choice or slot.key}")
    out.append(f"{pad}</{tag}>")


def _rank(slot):
    return slot.rank


def _slot(out, slot, node, pad, path):
    """All elements of one JSON key."""
    value = node.get(slot.key)
    if slot.kind == PRIMITIVE:
        companion = node.get("_" + slot.key)
        if not slot.many:
            _primitive(out, slot, value, companion, pad, path)
            return
        values, companions = value or [], companion or []
        for i in range(max(len(values), len(companions))):
            one = values[i] if i < len(values) else None
            _primitive(out, slot, one, companions[i] if i < len(companions) else None, pad, f"{path}[{i}]")
    elif slot.many:
        if not isinstance(value, list):
            raise errors.InvalidStructure(f"{path} must be an array", expression=path)
        for i, item in enumerate(value):
            _item(out, slot, item, pad, f"{path}[{i}]")
    else:
        _item(out, slot, value, pad, path)


def _item(out, slot, value, pad, path):
    if slot.kind == COMPLEX:
        _complex(out, slot.key, slot.type, value, pad, path)
    elif slot.kind == NARRATIVE:
        out.append(pad + _div(value, path))
    else:
        out.append(f"{pad}<{slot.key}>")
        _resource(out, _loaded(value), pad + "  " if pad else "", "", path)
        out.append(f"{pad}</{slot.key}>")


def _primitive(out, slot, value, companion, pad, path):
    if value is None and companion is None:
        return
    given = "" if value is None else f' value="{_text(value, path)}"'
    if companion is None:
        out.append(f"{pad}<{slot.key}{given}/>")
    else:
        # The attributes of the companion (its id) follow; its extensions are children.
        _complex(out, slot.key, slot.type, companion, pad, path, given)


def _text(value, path):
    """The text of a primitive, escaped for an attribute."""
    if isinstance(value, str):
        return _SPECIAL.sub(_escape, value) if _SPECIAL.search(value) else value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return str(value)
    raise errors.InvalidStructure(f"{path} must be a primitive value", expression=path)


def _escape(match):
    return _ESCAPES.get(match.group(), "\ufffd")


def _div(value, path):
    """The narrative as it is, once it is sure that it cannot break the document around it."""
    fault = narrative.fault(value) if isinstance(value, str) else "it must be a string"
    if fault:
        raise errors.InvalidStructure(f"The narrative cannot be shown in XML: {fault}", expression=path)
    return narrative.numeric_entities(value).strip()
