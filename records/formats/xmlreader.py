"""FHIR XML to a tree, driven by the StructureDefinitions. (xml.html; security A77, A78)

Expat reads, as it alone gives the byte offsets that let a narrative keep its exact source text. It opens no file and
no address; a DOCTYPE ends the reading before its content is looked at, so there are no entities to expand.
"""

import re
from functools import cache
from xml.parsers import expat

from records import errors
from records.formats import json, narrative
from records.formats.slots import COMPLEX, FHIR, NARRATIVE, PRIMITIVE, RESOURCE, XHTML, resources, slots

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SPACE = " \t\r\n"
_SEPARATOR = "\x1f"  # between namespace, name and prefix in expat's tags; no XML document can contain it
_XML = "http://www.w3.org/XML/1998/namespace"


class _Refused(Exception):
    """The sentence of a fault; the reader adds line and path."""


def parse(data):
    """The tree of a resource in XML; InvalidXML names the line and the element."""
    return _Reader(data).tree()


def _boolean(text):
    if text in ("true", "false"):
        return text == "true"
    raise _Refused(f"{text[:40]!r} is not a boolean; expected true or false")


def _integer(text):
    if not _INTEGER.fullmatch(text):
        raise _Refused(f"{text[:40]!r} is not an integer")
    return _in_range(json.integer, text.removeprefix("+"))


def _decimal(text):
    if not _DECIMAL.fullmatch(text):
        raise _Refused(f"{text[:40]!r} is not a decimal")
    return _in_range(json.integer if text.lstrip("-").isdigit() else json.number, text)


def _in_range(convert, text):
    try:
        return convert(text)
    except ValueError as error:
        raise _Refused(f"{text[:40]!r} is out of range") from error


_CONVERT = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
}


@cache
def _children(name):
    """Tag as expat gives it -> Slot, of the elements of a structure."""
    return {
        f"{XHTML if slot.kind == NARRATIVE else FHIR}{_SEPARATOR}{key}": slot
        for key, slot in slots(name).items()
        if not slot.attribute
    }


@cache
def _resource_tags():
    return {f"{FHIR}{_SEPARATOR}{name}": slot for name, slot in resources().items()}


class _Frame:
    """An element being read."""

    __slots__ = ("children", "companion", "depth", "index", "kind", "lists", "node", "rank", "slot", "type", "value")

    def __init__(self, slot, kind, type, children, depth, node):
        self.slot = slot
        self.kind = kind
        self.type = type
        self.children = children
        self.depth = depth  # of the JSON made of it: an array is a level too
        self.node = node
        self.rank = -1
        self.index = 0  # of the last child among those of the same key
        self.lists = None  # keys of repeated primitives, whose two arrays are aligned
        self.value = None


class _Reader:
    def __init__(self, data):
        self.data = data.removeprefix(b"\xef\xbb\xbf")
        # The frame around the document: it holds one resource, as contained and Bundle.entry.resource do.
        self.stack = [_Frame(None, RESOURCE, None, _resource_tags(), 0, None)]
        self.namespaces = {}
        self.parser = parser = expat.ParserCreate("utf-8", _SEPARATOR)
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self.doctype
        parser.XmlDeclHandler = self.declaration
        parser.StartNamespaceDeclHandler = self.namespace
        parser.EndNamespaceDeclHandler = self.namespace_end

    def tree(self):
        if self.data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in self.data[:4]:
            raise errors.InvalidXML("it is not UTF-8 but looks like UTF-16 or UTF-32")
        if not self.data.strip():
            raise errors.InvalidXML("it is empty")
        try:
            self.parser.Parse(self.data, True)
        except expat.ExpatError as error:
            where = f"line {error.lineno} column {error.offset + 1}"
            raise errors.InvalidXML(f"{where}: {expat.ErrorString(error.code)}") from error
        except _Refused as refused:
            path = self.path()
            where = f"line {self.parser.CurrentLineNumber}{f' ({path})' if path else ''}"
            raise errors.InvalidXML(f"{where}: {refused}", expression=path or None) from refused
        finally:
            # Parser and reader hold each other; without this the document stays until the collector comes.
            self.parser.StartElementHandler = self.parser.EndElementHandler = None
            self.parser = None
        return self.stack[0].value

    def path(self):
        """Where the reader is, as FHIRPath: Patient.name[0].given[1]."""
        steps = []
        for outer, frame in zip(self.stack, self.stack[1:], strict=False):
            if outer.kind == RESOURCE:
                steps = steps or [frame.type]
            else:
                steps.append(f"{frame.slot.choice or frame.slot.key}{f'[{outer.index}]' if frame.slot.many else ''}")
        return ".".join(steps)

    # -- events of the document itself

    def doctype(self, *_):
        raise _Refused("a DOCTYPE is not allowed")

    def declaration(self, version, encoding, standalone):
        if encoding and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise _Refused(f"the encoding {encoding[:40]!r} is not allowed; expected UTF-8")

    def namespace(self, prefix, uri):
        self.namespaces.setdefault(prefix, []).append(uri or "")

    def namespace_end(self, prefix):
        self.namespaces[prefix].pop()

    # -- elements

    def start(self, tag, attributes):
        frame = self.stack[-1]
        slot = frame.children.get(tag) or self.other(frame, tag)
        if slot.rank <= frame.rank:
            self.again(frame, slot)
        else:
            frame.index = 0
        frame.rank = slot.rank
        depth = frame.depth + 1 + slot.many
        if depth > json.MAX_DEPTH:
            raise _Refused(f"nesting beyond {json.MAX_DEPTH} levels")
        kind = slot.kind
        if kind == PRIMITIVE:
            new = _Frame(slot, kind, slot.type, _children(slot.type), depth, {})
            self.stack.append(new)
            self.primitive(new, attributes)
        elif kind == COMPLEX:
            node = {"resourceType": slot.type} if frame.kind == RESOURCE else {}
            self.stack.append(_Frame(slot, kind, slot.type, _children(slot.type), depth, node))
            if attributes:
                self.attributes(node, slot.type, attributes)
        elif kind == RESOURCE:
            self.stack.append(_Frame(slot, kind, None, _resource_tags(), depth - 1, None))
            self.none(attributes)
        else:
            self.narrative(slot, depth)

    def primitive(self, frame, attributes):
        text = attributes.pop("value", None)
        if text is not None:
            convert = _CONVERT.get(frame.type)
            frame.value = convert(text) if convert else text
        if attributes:
            self.attributes(frame.node, frame.type, attributes)

    def attributes(self, node, type, given):
        known = slots(type)
        for name, value in given.items():
            if name not in known or not known[name].attribute:
                raise _Refused(f"the attribute {_spelled(name)} is not known here")
            node[name] = value

    def none(self, attributes):
        for name in attributes:
            raise _Refused(f"the attribute {_spelled(name)} is not known here")

    def end(self, tag):
        frame = self.stack.pop()
        outer = self.stack[-1]
        kind = frame.kind
        if kind == PRIMITIVE:
            if frame.value is None and not frame.node:
                self.stack.append(frame)
                raise _Refused("the element has neither a value nor an extension")
            self.attach_primitive(outer, frame)
            return
        if kind == RESOURCE:
            if frame.value is None:
                self.stack.append(frame)
                raise _Refused("the element holds no resource")
            value = frame.value
        else:
            if frame.lists:
                _drop_empty(frame)
            value = frame.node
        if outer.kind == RESOURCE:
            outer.value = value
        elif frame.slot.many:
            outer.node.setdefault(frame.slot.key, []).append(value)
        else:
            outer.node[frame.slot.key] = value

    def attach_primitive(self, outer, frame):
        key, node = frame.slot.key, outer.node
        if frame.slot.many:
            if outer.lists is None:
                outer.lists = []
            if key not in node:
                node[key], node["_" + key] = [], []
                outer.lists.append(key)
            node[key].append(frame.value)
            node["_" + key].append(frame.node or None)
            return
        if frame.value is not None:
            node[key] = frame.value
        if frame.node:
            node["_" + key] = frame.node

    def text(self, text):
        if text.strip(_SPACE):
            raise _Refused(f"the text {text.strip(_SPACE)[:40]!r} is not allowed here")

    # -- what does not fit

    def other(self, frame, tag):
        """The slot of an element written with a prefix; refuses one that is none of the structure."""
        uri, name = _split(tag)
        if slot := frame.children.get(f"{uri}{_SEPARATOR}{name}"):
            return slot
        shown = f"<{name}>"
        if name == "div" and frame.type == "Narrative":
            raise _Refused(f"{shown} must have the namespace {XHTML!r}")
        if uri != FHIR:
            raise _Refused(f"{shown} has the namespace {uri[:80]!r}, expected {FHIR!r}")
        if frame.kind == RESOURCE:
            raise _Refused(f"{shown} is not a resource type of FHIR R4")
        if frame.kind == PRIMITIVE:
            raise _Refused(f"{shown} is not allowed in an element of type {frame.type}")
        if (slot := slots(frame.type).get(name)) and slot.attribute:
            raise _Refused(f"{name!r} is an attribute, not an element")
        raise _Refused(f"{shown} is not an element of {frame.type}")

    def again(self, frame, slot):
        """A sibling of the same place, or one that should have come earlier."""
        if frame.kind == RESOURCE:
            raise _Refused("there is more than one resource")
        if slot.rank < frame.rank:
            before = next(s.choice or s.key for s in slots(frame.type).values() if s.rank == frame.rank)
            raise _Refused(f"<{slot.key}> must stand before <{before}>")
        if not slot.many:
            raise _Refused(f"{slot.choice + '[x]' if slot.choice else f'<{slot.key}>'} is given twice")
        frame.index += 1

    # -- the narrative

    def narrative(self, slot, depth):
        """Skip to the end of the div, then take its source as it is."""
        parser, begin, level, leaning = self.parser, self.parser.CurrentByteIndex, 0, False
        around = {prefix: uris[-1] for prefix, uris in self.namespaces.items() if uris}

        def start(tag, attributes):
            nonlocal level, leaning
            level += 1
            if level >= narrative.MAX_LEVELS:
                raise _Refused(f"nesting beyond {narrative.MAX_LEVELS} levels in the narrative")
            if not tag.startswith(XHTML + _SEPARATOR):
                raise _Refused(f"the narrative has an element that is not XHTML: {_spelled(tag)}")
            if tag.count(_SEPARATOR) == 2 or (attributes and any(map(_is_prefixed, attributes))):
                leaning = True

        def end(tag):
            nonlocal level
            if level:
                level -= 1
                return
            text = narrative.source(self.data, begin, parser.CurrentByteIndex)
            whole = not leaning and narrative.is_whole(text)
            try:
                div = text.decode() if whole else narrative.standalone(text, around)
            except ValueError as error:
                raise _Refused(str(error)) from error
            self.stack[-1].node[slot.key] = div
            parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
            parser.CharacterDataHandler = self.text

        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, None


def _drop_empty(frame):
    """Of the two arrays of repeated primitives, leave out the one that is only nulls. (json.html#2.6.2.3)"""
    for key in frame.lists:
        for array in (key, "_" + key):
            if all(item is None for item in frame.node[array]):
                del frame.node[array]


def _split(name):
    """Namespace and local name of a tag or an attribute as expat gives it."""
    parts = name.split(_SEPARATOR)
    return (parts[0], parts[1]) if len(parts) > 1 else ("", name)


def _is_prefixed(attribute):
    """Whether the name of an attribute leans on a declaration; the prefix xml needs none."""
    return attribute.count(_SEPARATOR) == 2 and not attribute.startswith(_XML)


def _spelled(name):
    """A name as people write it."""
    uri, local = _split(name)
    return f"{local[:80]!r} of the namespace {uri[:80]!r}" if uri else repr(local[:80])
