"""Where a JSON text is wrong, in words: the slow second look, taken only when the quick parser doubts. (RFC 8259)"""

import json
import re
from decimal import Decimal, InvalidOperation

MAX_DEPTH = 100  # levels of objects and arrays
MAX_DIGITS = 1000  # characters of one number
MAX_TOKENS = 200_000  # read to say where a fault is: about half a second; a longer text gets a shorter sentence
MAX_EXPONENT = 307  # all between 1E-307 and 1E+308 fits an IEEE double: no receiver reads infinity or zero

_SPACE = re.compile(r"[ \t\n\r]*")
_TEXT = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_LITERAL = re.compile(r"[^\s,:\[\]{}\"]{1,30}")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Found(Exception):
    """The first fault: position in the text and sentence."""


def explain(data, error):
    """The sentence for bytes that the quick parser refused with this error."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as wrong:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:4]:
            return "it is not UTF-8 but looks like UTF-16 or UTF-32"
        line = data.count(b"\n", 0, wrong.start) + 1
        return f"line {line}: byte {wrong.start} (0x{data[wrong.start]:02x}) is not UTF-8"
    return find(text) or _shorter(error)


def _shorter(error):
    """What the quick parser knows."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}: {error.msg}"
    return f"nesting beyond {MAX_DEPTH} levels" if isinstance(error, RecursionError) else str(error)


def find(text):
    """The first fault of a text with its line, column and element; None when the first MAX_TOKENS have none."""
    if text.startswith("\ufeff"):
        return "it starts with a byte order mark; send UTF-8 without one"
    if "\x00" in text[:4]:
        return "it is not UTF-8 but looks like UTF-16 or UTF-32"
    if not text.strip(" \t\n\r"):
        return "it is empty"
    stack = []
    try:
        _scan(text, stack)
    except _Found as found:
        position, sentence = found.args
        line = text.count("\n", 0, position) + 1
        column = position - text.rfind("\n", 0, position)
        where = _path(stack)
        return f"line {line} column {column}{f' ({where})' if where else ''}: {sentence}"
    return None


class _Level:
    """An object or an array being read: the keys seen, the key or index now, whether a value was read."""

    __slots__ = ("filled", "key", "keys")

    def __init__(self, sign):
        self.keys = set() if sign == "{" else None
        self.key = None if sign == "{" else 0
        self.filled = False

    @property
    def closing(self):
        return "]" if self.keys is None else "}"


def _path(stack):
    parts = [f"[{level.key}]" if level.keys is None else f".{level.key}" for level in stack if level.key is not None]
    path = "".join(parts).lstrip(".")
    return path if len(path) <= 100 else path[:100] + "..."


def _scan(text, stack):
    """One pass over the tokens, without recursion; raises _Found."""
    at = _value(text, _skip(text, 0), stack)
    for _ in range(MAX_TOKENS):
        if not stack:
            break
        level = stack[-1]
        at = _skip(text, at)
        sign = text[at : at + 1]
        if sign == level.closing:
            stack.pop()
            at += 1
            if stack:
                stack[-1].filled = True
            continue
        if level.filled:
            if sign != ",":
                raise _Found(at, _expected(f"a comma or {level.closing!r}", text, at))
            at = _skip(text, at + 1)
            if level.keys is None:
                level.key += 1
            if text[at : at + 1] == level.closing:
                raise _Found(at, f"a comma before {level.closing!r}")
        if level.keys is not None:
            at = _key(text, at, level)
        at = _value(text, at, stack)
    at = _skip(text, at)
    if at < len(text) and not stack:
        raise _Found(at, f"text after the end of the document: {text[at : at + 20]!r}")


def _skip(text, at):
    return _SPACE.match(text, at).end()


def _key(text, at, level):
    level.key = None
    if text[at : at + 1] != '"':
        raise _Found(at, _expected("a key in double quotes", text, at))
    key, end = _string(text, at)
    level.key = key
    if key in level.keys:
        raise _Found(at, f"the key {key[:64]!r} is given twice")
    level.keys.add(key)
    end = _skip(text, end)
    if text[end : end + 1] != ":":
        raise _Found(end, _expected(f"a colon after the key {key[:64]!r}", text, end))
    return _skip(text, end + 1)


def _value(text, at, stack):
    """Read one value or the opening of a container; the position after it."""
    sign = text[at : at + 1]
    if sign in ("{", "["):
        if len(stack) == MAX_DEPTH:
            raise _Found(at, f"nesting beyond {MAX_DEPTH} levels")
        if stack:
            stack[-1].filled = False
        stack.append(_Level(sign))
        return at + 1
    if sign == '"':
        end = _string(text, at)[1]
    elif number := _NUMBER.match(text, at):
        end = _number(text, at, number.group())
    elif word := _WORD.match(text, at):
        end = word.end()
    else:
        raise _Found(at, _expected("a value", text, at))
    if (rest := _LITERAL.match(text, end)) and sign != '"':
        raise _Found(at, f"{text[at : rest.end()]!r} is not a value of JSON")
    if stack:
        stack[-1].filled = True
    return end


def _string(text, at):
    end = _TEXT.match(text, at + 1).end()
    sign = text[end : end + 1]
    if sign == "":
        raise _Found(at, "the text ends inside this string")
    if sign == "\\":
        raise _Found(end, f"{text[end : end + 6]!r} is not an escape of JSON")
    if sign != '"':
        raise _Found(end, f"the control character U+{ord(sign):04X} in a string")
    value = json.loads(text[at : end + 1])
    if wrong := _FORBIDDEN.search(value):
        code = ord(wrong.group())
        kind = "lone surrogate" if 0xD800 <= code <= 0xDFFF else "character"
        raise _Found(at, f"the {kind} U+{code:04X} in a string")
    return value, end + 1


def _number(text, at, digits):
    if len(digits) > MAX_DIGITS:
        raise _Found(at, f"a number of {len(digits)} characters; at most {MAX_DIGITS}")
    try:
        exponent = Decimal(digits).adjusted()
    except InvalidOperation:  # an exponent no Decimal holds
        exponent = MAX_EXPONENT + 1
    if not -MAX_EXPONENT <= exponent <= MAX_EXPONENT:
        raise _Found(at, f"the number {digits[:40]} is out of range (1E-{MAX_EXPONENT} to 1E+{MAX_EXPONENT})")
    return at + len(digits)


def _expected(what, text, at):
    if at >= len(text):
        return f"the text ends where {what} is expected"
    found = _LITERAL.match(text, at)
    return f"expected {what}, found {(found.group() if found else text[at])!r}"
