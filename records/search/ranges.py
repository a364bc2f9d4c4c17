"""Prefixes of ordered values as conditions over a row's [low, high] and a value's [low, high]. (search.html#prefix)"""

from records.sql import SQL

# i is the row; a and b are the ends of the value. One line is one prefix.
RANGES = {
    "eq": "i.low >= %(a)s AND i.low <= %(b)s AND i.high <= %(b)s",  # one column in a range: planner and index see it
    "ne": "(i.low < %(a)s OR i.high > %(b)s)",
    "gt": "i.high > %(b)s",
    "lt": "i.low < %(a)s",
    "ge": "i.high >= %(a)s",
    "le": "i.low <= %(b)s",
    "sa": "i.low > %(b)s",
    "eb": "i.high < %(a)s",
    "ap": "i.low <= %(b)s AND i.high >= %(a)s",
}
PREFIXES = frozenset(RANGES)
# The same as ranges of an index by (low), and, for the few rows whose two ends are not one, by (high).
SPAN = "i.high > i.low AND "
INDEXED = {
    "ne": ("i.low < %(a)s", "i.low > %(b)s", SPAN + "i.high > %(b)s"),
    "gt": ("i.low > %(b)s", SPAN + "i.high > %(b)s"),
    "ge": ("i.low >= %(a)s", SPAN + "i.high >= %(a)s"),
    "eb": ("i.low < %(a)s AND i.high < %(a)s",),
    "ap": ("i.low >= %(a)s AND i.low <= %(b)s", SPAN + "i.high >= %(a)s AND i.low <= %(b)s"),
}


def prefixed(text):
    """("ge", "2020") of "ge2020"; eq when there is no prefix."""
    if text[:2] in PREFIXES:
        return text[:2], text[2:]
    return "eq", text


def condition(prefix, a, b, low="i.low", high="i.high"):
    """The condition of a prefix; other columns where a row has several ranges."""
    return _placed(RANGES[prefix].replace("i.low", low).replace("i.high", high), a, b)


def indexed(prefix, a, b):
    """The condition of a prefix as alternatives, each of them a range of an index; one row may be in two."""
    return [_placed(each, a, b) for each in INDEXED.get(prefix, (RANGES[prefix],))]


def _placed(places, a, b):
    params = []
    while "%(" in places:
        at = places.index("%(")
        params.append(a if places[at + 2] == "a" else b)
        places = places[:at] + "%s" + places[at + 5 :]
    return SQL(places, tuple(params))
