"""Primitive types: JSON type, form and range. (datatypes.html#primitive)

Each checker is (value, parent, depth) -> findings. The regexes are the specification's; dates must exist and strings
carry nothing that XML 1.0 could not.
"""

import binascii
import re
from calendar import monthrange
from decimal import Decimal
from functools import lru_cache

from records.definitions.structures import PRIMITIVES

from .findings import Finding, excerpt, kind, mistyped

LONGEST = 1024 * 1024
# A cache of verdicts must not hold megabytes: only short values enter.
CACHED = 128
UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]").search
WHITE = str.maketrans("", "", " \t\r\n")

SENTENCES = {
    "boolean": "true or false",
    "integer": "a whole number from -2147483648 to 2147483647",
    "unsignedInt": "a whole number from 0 to 2147483647",
    "positiveInt": "a whole number from 1 to 2147483647",
    "decimal": "a number",
    "base64Binary": "base64 text",
    "instant": "YYYY-MM-DDThh:mm:ss with a time zone",
    "date": "YYYY, YYYY-MM or an existing YYYY-MM-DD",
    "dateTime": "YYYY, YYYY-MM, an existing YYYY-MM-DD, or with it Thh:mm:ss and a time zone",
    "time": "hh:mm:ss",
    "code": "text without outer or double spaces",
    "id": "1 to 64 of A-Z a-z 0-9 - .",
    "oid": "urn:oid: and digits between dots",
    "uuid": "urn:uuid: and a UUID in lower case",
    "uri": "text without spaces",
    "url": "text without spaces",
    "canonical": "text without spaces",
}


def wrong(type, value):
    """The value is not of that primitive type."""
    if isinstance(value, dict | list) or value is None:
        return [Finding("structure", f"{kind(value)} where {json_type(type)} ({type}) is expected")]
    if isinstance(value, str) and not value:
        return [Finding("value", "an empty string is not allowed")]
    return [Finding("value", f"{excerpt(value)} is not a valid {type}; expected {SENTENCES[type]}")]


def json_type(type):
    """What JSON carries a primitive type as."""
    if type == "boolean":
        return "true or false"
    return "a number" if type in ("integer", "unsignedInt", "positiveInt", "decimal") else "a string"


def text(type):
    """string and markdown: not empty, at most 1 MB, no control characters. (datatypes.html#string)"""

    def check(value, parent, depth):
        if value.__class__ is not str:
            return mistyped(type, value)
        if value.isprintable():
            if 0 < len(value) <= LONGEST:
                return None
        elif not UNFIT(value) and len(value) <= LONGEST:
            return None
        if not value:
            return wrong(type, value)
        if len(value) > LONGEST:
            return [Finding("too-long", f"the {type} has {len(value)} characters; at most {LONGEST} are allowed")]
        found = UNFIT(value)
        return [Finding("value", f"the {type} holds the control character U+{ord(found[0]):04X}")]

    return check


def exists(year, month, day) -> bool:
    return day <= 28 or day <= monthrange(year, month)[1]


DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)").match


def formed(type):
    """Types whose form a regex tells; for dates the day must exist too. Verdicts on short values are remembered."""
    matches = re.compile(PRIMITIVES[type], re.ASCII).fullmatch
    dated = type in ("date", "dateTime", "instant")
    fragments = type in ("uri", "url", "canonical")

    def valid(value: str) -> bool:
        if not value or not matches(value) or UNFIT(value):
            return False
        day = dated and DAY(value)
        return not day or exists(int(day[1]), int(day[2]), int(day[3]))

    remembered = lru_cache(4096)(valid)

    def check(value, parent, depth):
        if value.__class__ is not str:
            return mistyped(type, value)
        if not (remembered(value) if len(value) < CACHED else valid(value)):
            return wrong(type, value)
        # A fragment may name a contained resource (dom-3); whether it does is seen where `contained` stands.
        if fragments and value[0] == "#":
            return [Finding("value", "", local=value[1:])]
        return None

    return check


def boolean(value, parent, depth):
    return None if value is True or value is False else wrong("boolean", value)


def whole(type, low):
    """integer, unsignedInt, positiveInt: a JSON number without point or exponent, 32 bit."""

    def check(value, parent, depth):
        if value.__class__ is int and low <= value <= 2147483647:
            return None
        return wrong(type, value)

    return check


def decimal(value, parent, depth):
    if value.__class__ is int or value.__class__ is Decimal:
        return None
    return None if isinstance(value, Decimal) and value.is_finite() else wrong("decimal", value)


def base64_binary(value, parent, depth):
    if value.__class__ is not str:
        return mistyped("base64Binary", value)
    # The specification's regex needs exponential time on hostile text; decoding is linear and stricter.
    dense = value if value.isalnum() else value.translate(WHITE)
    if dense and dense.isascii():
        try:
            binascii.a2b_base64(dense, strict_mode=True)
            return None
        except binascii.Error:
            return wrong("base64Binary", value)
    return wrong("base64Binary", value)


CHECKS = {type: formed(type) for type in PRIMITIVES if type in SENTENCES and type not in ("boolean", "base64Binary")}
CHECKS |= {
    "string": text("string"),
    "markdown": text("markdown"),
    "boolean": boolean,
    "integer": whole("integer", -2147483648),
    "unsignedInt": whole("unsignedInt", 0),
    "positiveInt": whole("positiveInt", 1),
    "decimal": decimal,
    "base64Binary": base64_binary,
}
