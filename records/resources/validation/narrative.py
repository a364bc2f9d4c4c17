"""Narrative.div: well-formed XHTML of the basic formatting elements, and nothing that acts. (narrative.html#xhtml)

txt-1: only elements and attributes of the HTML 4.0 chapters 7-11 (but section 4 of chapter 9) and 15, links, images
and style; txt-2: some text or an image.
"""

import re

from lxml import etree

from .findings import Finding, excerpt, mistyped

XHTML = "{http://www.w3.org/1999/xhtml}"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"

FORMATTING = """
p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote hr address
bdo kbd sub sup ul ol li dl dt dd pre table caption colgroup col thead tr tfoot tbody th td code samp img map area
ins del u"""
ELEMENTS = frozenset(FORMATTING.split())
COMMON = "title style class id lang dir accesskey tabindex span width align valign char charoff"
EVERYWHERE = frozenset(COMMON.split()) | {XML_LANG, XML_SPACE}
ATTRIBUTES = {
    "a": "charset type name href hreflang rel rev shape coords",
    "img": "src alt longdesc height usemap ismap border",
    "blockquote": "cite",
    "q": "cite",
    "ins": "cite datetime",
    "del": "cite datetime",
    "map": "name",
    "area": "shape coords href nohref alt",
    "table": "summary border frame rules cellspacing cellpadding",
    "td": "abbr axis headers scope rowspan colspan nowrap",
    "th": "abbr axis headers scope rowspan colspan nowrap",
    "ol": "start type",
    "ul": "type",
    "li": "value type",
}
ATTRIBUTES = {name: EVERYWHERE | frozenset(own.split()) for name, own in ATTRIBUTES.items()}
LINKS = frozenset(["href", "src", "cite", "longdesc", "usemap"])
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
# Browsers drop these from a link before they look at its scheme.
INVISIBLE = dict.fromkeys([*range(0x21), 0x7F, 0xA0])
# What a link may begin with; data: only for an image.
SCHEMES = frozenset(["http", "https", "mailto", "tel", "urn", "ftp", "cid"])
ACTIVE_STYLE = re.compile(r"javascript:|vbscript:|expression\s*\(|@import|-moz-binding|behavior\s*:", re.I).search
IMAGE = re.compile(r"\s*data:\s*image/(png|gif|jpe?g|bmp|webp|tiff)[;,]", re.I).match

PARSER = dict(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)


def xhtml(value, parent, depth):
    """The checker of the primitive type xhtml."""
    if value.__class__ is not str:
        return mistyped("xhtml", value)
    if "<!DOCTYPE" in value or "<!ENTITY" in value or "<?xml-stylesheet" in value:
        return [Finding("invalid", "txt-1: the narrative must not hold a document type or an external reference")]
    try:
        # The text may begin with an XML declaration of another encoding: the parser reads our UTF-8.
        root = etree.fromstring(value.strip().encode(), etree.XMLParser(encoding="utf-8", **PARSER))
    except (etree.XMLSyntaxError, ValueError) as fault:
        return [Finding("invalid", f"txt-1: the narrative is not well-formed XHTML: {fault}")]
    if root.tag != XHTML + "div":
        text = "txt-1: the narrative must be a div of the namespace http://www.w3.org/1999/xhtml"
        return [Finding("invalid", text)]
    found = [Finding("invalid", f"txt-1: {text}") for node in root.iter() for text in faults(node)]
    if not found and not any(t.strip() for t in root.itertext()) and root.find(f".//{XHTML}img") is None:
        found = [Finding("invalid", "txt-2: the narrative must have some text or an image")]
    return found or None


def faults(node):
    """Sentences on one element: its name, its attributes, where its links lead."""
    if node.tag is etree.PI or node.tag is etree.Entity:
        yield f"{excerpt(node)} is not allowed"
        return
    name = node.tag.removeprefix(XHTML)
    if name not in ELEMENTS:
        yield f"the element {excerpt(name)} is not allowed"
        return
    allowed = ATTRIBUTES.get(name, EVERYWHERE)
    for attribute, value in node.attrib.items():
        if attribute not in allowed:
            yield f"the attribute {excerpt(attribute)} of {name} is not allowed"
        elif attribute in LINKS:
            scheme = SCHEME(value.translate(INVISIBLE))
            if scheme and scheme[1].lower() not in SCHEMES and not (name == "img" and IMAGE(value)):
                yield f"the link {excerpt(value)} of {name} is not allowed"
        elif attribute == "style" and ACTIVE_STYLE(value):
            yield f"the style {excerpt(value)} of {name} is not allowed"
