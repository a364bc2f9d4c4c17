"""FHIR XML, lossless in both directions. (xml.html)"""

from records.formats.xmlreader import parse
from records.formats.xmlwriter import dump


def dump_pretty(tree):
    """Indented by two spaces, for _pretty=true. (http.html#2.21.0.6.3)"""
    return dump(tree, pretty=True)


__all__ = ["dump", "dump_pretty", "parse"]
