"""FHIR JSON, strict on the way in and faithful to the last digit on the way out. (json.html; RFC 8259)

A tree is dict, list, str, bool, None, int and Decimal, keys in the order of the text. Integers of at most 18 digits
are int; every other number is a Decimal whose str() is the text the client wrote: `1.10` stays `1.10`.
"""

import json
import re
from decimal import Decimal, InvalidOperation

import msgspec

from records import errors
from records.formats import jsonfault
from records.formats.jsonfault import MAX_DEPTH, MAX_DIGITS, MAX_EXPONENT

# The escapes that need a closer look: surrogates and characters that neither FHIR nor XML allow.
_ESCAPE = re.compile(rb"\\[ubf]")
_SUSPECT = re.compile(rb"\\(?:[bf]|u(?:000[0-8bBcCeEfF]|001|[dD][89a-fA-F]|[fF]{3}[eEfF]))")
# The closer look, which reads every escape from the first one on: a suspect may be an emoji as a surrogate pair, or
# letters after an escaped backslash.
_EVERY_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<bad>[bf]|u(?:000[0-8bBcCeEfF]|001.|[dD][89a-fA-F]..|[fF]{3}[eEfF]))|u....|.)"
)
_NOT_OPENING = bytes(c for c in range(256) if c not in b"[{")


class Lexeme(Decimal):
    """A number whose text Decimal would rewrite, such as 1e5 or 0.00000001; str() gives the text."""

    __slots__ = ("text",)

    def __new__(cls, text):
        text = str(text)
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self):
        return self.text

    def __reduce__(self):
        return Lexeme, (self.text,)


class _Fault(ValueError):
    """What the quick parser refuses without knowing where."""


def number(text):
    """The tree's value for a number as written: Decimal, or Lexeme where Decimal would change the text."""
    if len(text) > MAX_DIGITS:
        raise _Fault(f"a number of {len(text)} characters")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise _Fault(f"the number {text[:40]}") from error
    if not -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT:
        raise _Fault(f"the number {text[:40]}")
    return value if str(value) == text else Lexeme(text)


def integer(text):
    """The tree's value for a number written without fraction and exponent."""
    if len(text) < 19 and text != "-0":
        return int(text)
    if len(text) == 19 and text[0] == "-":
        return int(text)
    return number(text)


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _Fault(f"the key {twice[:64]!r} is given twice")
    return found


def _constant(text):
    raise _Fault(f"{text} is not a number of JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=number, parse_int=integer, parse_constant=_constant
).decode


def parse(data, top=dict):
    """The tree of a JSON object; InvalidJSON says what is wrong and where. (json.html#2.6.2; security A79-A82)

    top=list is for bodies that are arrays: JSON Patch.
    """
    try:
        text = str(data, "utf-8")
        tree = _decode(text)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidJSON(jsonfault.explain(data, error)) from error
    if type(tree) is not top:
        expected = "an object, it must be a resource with a resourceType" if top is dict else "an array"
        raise errors.InvalidJSON(f"the top level is not {expected}")
    # At most MAX_DEPTH opening brackets cannot be deeper than that; only larger texts are measured.
    if len(data.translate(None, _NOT_OPENING)) > MAX_DEPTH and depth(tree) > MAX_DEPTH:
        raise errors.InvalidJSON(jsonfault.find(text) or f"nesting beyond {MAX_DEPTH} levels")
    if _has_forbidden(data, text):
        raise errors.InvalidJSON(jsonfault.find(text) or "a string has a lone surrogate or a control character")
    return tree


def _has_forbidden(data, text):
    """Whether a string holds a character that must not be stored; quick scans when nothing hints at one."""
    if "\uffff" in text or "\ufffe" in text:
        return True
    if not _ESCAPE.search(data) or not _SUSPECT.search(data):
        return False
    return any(match.lastgroup for match in _EVERY_ESCAPE.finditer(text))


def depth(tree):
    """How many levels of objects and arrays a tree has; without recursion."""
    levels, level = 0, [tree]
    while level:
        levels += 1
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
    return levels


def _number_text(value):
    if isinstance(value, Lexeme):
        return msgspec.Raw(value.text.encode())
    raise TypeError(f"a {type(value).__name__} is no JSON value")


dump = msgspec.json.Encoder(decimal_format="number", enc_hook=_number_text).encode


def dump_pretty(tree):
    """Indented by two spaces, for _pretty=true. (http.html#2.21.0.6.3)"""
    return msgspec.json.format(dump(tree), indent=2)


def clone(node):
    """A copy that shares only immutable values; quicker than copy.deepcopy."""
    kind = type(node)
    if kind is dict:
        return {
            key: clone(value) if type(value) is dict or type(value) is list else value for key, value in node.items()
        }
    if kind is list:
        return [clone(value) if type(value) is dict or type(value) is list else value for value in node]
    return node


def text_equal(left, right):
    """Whether two trees are the same text: key order and the digits of numbers included."""
    return dump(left) == dump(right)


def same(left, right):
    """Whether two trees are the same resource: digits of numbers count, the order of keys does not."""
    if type(left) is dict:
        return type(right) is dict and left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if type(left) is list:
        return type(right) is list and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Decimal):
        return isinstance(right, Decimal) and str(left) == str(right)
    return type(left) is type(right) and left == right
