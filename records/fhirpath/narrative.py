"""The rules for XHTML in a narrative. (narrative.html#rules: txt-1, txt-2)"""

from lxml import etree

XHTML = "{http://www.w3.org/1999/xhtml}"
ELEMENTS = frozenset(
    """a abbr acronym address area b bdo big blockquote br caption center cite code col colgroup dd del dfn div dl dt em
    h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead
    tr tt ul var""".split()  # noqa: SIM905
)
ATTRIBUTES = frozenset(
    """abbr accesskey align alt axis bgcolor border cellpadding cellspacing char charoff charset cite class colspan
    compact coords dir frame headers height href hreflang id lang longdesc name nowrap rel rev rowspan rules scope
    shape span src start style summary tabindex title type usemap ismap valign value width xml:lang""".split()  # noqa: SIM905
)
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True)


def is_safe(text):
    """Only basic formatting, no active content, and something to read."""
    try:
        root = etree.fromstring(text.encode(), PARSER)
    except (etree.XMLSyntaxError, AttributeError):
        return False
    if root.tag != XHTML + "div":
        return False
    for element in root.iter(etree.Element):
        if not element.tag.startswith(XHTML) or element.tag.removeprefix(XHTML) not in ELEMENTS:
            return False
        for name, value in element.attrib.items():
            if name.startswith("{http://www.w3.org/XML/1998/namespace}"):
                continue
            if name not in ATTRIBUTES or value.strip().lower().startswith(("javascript:", "vbscript:", "data:text")):
                return False
    return bool("".join(root.itertext()).strip()) or root.find(f".//{XHTML}img") is not None
