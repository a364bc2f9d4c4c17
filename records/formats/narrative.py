"""The XHTML of a narrative, whose text must survive JSON and XML unchanged. (narrative.html)"""

import re
from html.entities import name2codepoint
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from records.formats.slots import XHTML

MAX_LEVELS = 256  # of XHTML; no parser that follows libxml2 reads more

_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = ("amp", "lt", "gt", "quot", "apos")
_START_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*+>""")
_DECLARED = re.compile(rb"""\sxmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")


class _Wrong(Exception):
    """What makes a narrative no XHTML."""


def numeric_entities(div):
    """HTML's named entities, which XML does not know, as numbers: &nbsp; becomes &#160;."""

    def replace(match):
        name = match.group(1)
        return match.group() if name in _OF_XML or name not in name2codepoint else f"&#{name2codepoint[name]};"

    return _NAMED.sub(replace, div) if "&" in div else div


def fault(div):
    """Why a div cannot stand in an XML document; None when it can. (invariant txt-1; security A77, A78)"""
    parser = expat.ParserCreate("utf-8", " ")
    roots = []

    def start(tag, attributes):
        if not roots:
            roots.append(tag)
            if tag != f"{XHTML} div":
                raise _Wrong(f'it must be <div xmlns="{XHTML}">')

    def refuse(*_):
        raise _Wrong("a DOCTYPE or an XML declaration is not allowed in it")

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = parser.XmlDeclHandler = refuse
    try:
        parser.Parse(numeric_entities(div).encode(), True)
    except _Wrong as wrong:
        return str(wrong)
    except expat.ExpatError as error:
        return f"it is not well-formed: {expat.ErrorString(error.code)} (line {error.lineno} column {error.offset + 1})"
    return None


def is_whole(source):
    """Whether the source of a div declares the namespace of XHTML itself, as it must when it stands alone in JSON."""
    return _DECLARED.search(_START_TAG.match(source).group()) is not None


def source(data, start, end):
    """The bytes of the element whose start tag begins at start and whose end tag begins at end."""
    tag = _START_TAG.match(data, start).group()
    return tag if tag.endswith(b"/>") else data[start : data.index(b">", end) + 1]


def standalone(source, namespaces):
    """A div that leans on prefixes or a default namespace declared around it, written so that it stands alone."""
    from lxml import etree  # only needed for these rare documents

    declared = "".join(f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in namespaces.items())
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        given = etree.fromstring(b"<w%s>%s</w>" % (declared.encode(), source), parser)[0]
    except etree.XMLSyntaxError as error:
        raise ValueError(f"the narrative cannot be read: {error.msg}") from error
    div = etree.Element(given.tag, dict(given.attrib), nsmap={None: XHTML})
    div.text = given.text
    div.extend(list(given))
    etree.cleanup_namespaces(div)
    return etree.tostring(div, encoding="unicode")
