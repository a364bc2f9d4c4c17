"""The index tables: rows of resources as tuples, replaced in one round trip when few, by binary COPY when many."""

from collections import Counter
from itertools import chain
from struct import Struct

import msgspec

from records.database import cursor, execute, insert, together

from . import contained

FEW = 500  # index rows that travel as parameters; more by COPY
IDENTITY = ("token", "uri")  # tables of identifiers and canonical URLs
TABLES = ("token", "reference", "date", "string", "uri", "quantity", "composite", "fulltext", "position")
json_text = msgspec.json.Encoder(decimal_format="string").encode


def write(made, gone, kept=frozenset()):
    """Index rows instead of those of `gone`; rows of the parameters in `kept` are the writes' own, and stay.

    What is contained goes and comes with its container; the writes make no rows of it. Few rows travel in one round
    trip with what they replace: a search that indexes what it waits for is waited for itself.
    """
    gone = list(_replaced(made, gone, kept)) if gone else []
    contained.keep(made)
    rows, concepts = _rows(made, kept)
    learnt = [_learnt(sorted(concepts, key=lambda c: (c[0], c[1], c[3])))] if concepts else []
    if sum(map(len, rows.values())) <= FEW:
        together([*gone, *(_insertion(table, found) for table, found in rows.items() if found), *learnt])
        return
    together(gone)
    for table, found in rows.items():
        if table in PACKED:
            _copy(table, found)
        else:
            insert(table, *COLUMNS[table], found)
    together(learnt)


def _replaced(made, gone, kept):
    """What deletes the rows there are."""
    inside = contained.within(gone, made)
    if inside:
        execute("DELETE FROM contained WHERE resource = ANY(%s)", (inside,))
    for table in TABLES:
        if inside:
            yield f"DELETE FROM {table} WHERE resource = ANY(%s)", (inside,)
        if kept and table in IDENTITY:
            yield f"DELETE FROM {table} WHERE resource = ANY(%s) AND NOT param = ANY(%s)", (gone, sorted(kept))
        else:
            yield f"DELETE FROM {table} WHERE resource = ANY(%s)", (gone,)


def _rows(made, kept):
    """table -> its rows, in the order of COLUMNS; and the texts of codes."""
    found, concepts = {table: [] for table in TABLES}, set()
    for item, rows in chain.from_iterable((each, *each[1].parts) for each in made):
        own = kept if item.pk > 0 else frozenset()
        found["token"] += [row for row in _tokens(item, rows.token) if row[3] not in own]
        found["reference"] += _references(item, rows.reference)
        found["date"] += _dates(item, rows.date)
        found["string"] += _strings(item, rows.string)
        found["uri"] += _uris(item, {v for v in rows.uri if v[0] not in own} if own else rows.uri)
        for table in VALUES:
            found[table] += _values(item, getattr(rows, table), table in DATED)
        concepts |= rows.concept
    found["token"].sort()
    return found, concepts


def _insertion(table, rows):
    """The statement that adds them; as one parameter, as arrays of numbers take longer than all the rest."""
    columns, types = COLUMNS[table]
    names = ", ".join(columns)
    typed = ", ".join(f"{column} {type}" for column, type in zip(columns, types, strict=True))
    given = json_text([dict(zip(columns, row, strict=True)) for row in rows]).decode()
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM json_to_recordset(%s::json) AS t({typed})", (given,)


def _learnt(concepts):
    """What keeps texts of codes, once each; in one order for all workers, so that they do not deadlock."""
    return (
        "INSERT INTO concept (param, key, code, folded)"
        " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
        tuple(list(column) for column in zip(*concepts, strict=True)),
    )


def _tokens(item, tokens):
    """(key, occurred, resource, param, patient) of each token."""
    pk, occurred, patient = item.pk, item.occurred, item.patient
    return [(key, occurred, pk, param, patient) for key, param in tokens]


def add_identity(made):
    """Rows of identifiers and canonical URLs, of which some tokens may be there."""
    tokens = [row for item, rows in made for row in _tokens(item, rows.token)]
    uris = [row for item, rows in made for row in _uris(item, rows.uri)]
    if tokens:
        execute(
            "INSERT INTO token (key, occurred, resource, param, patient)"
            " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"
            " ON CONFLICT DO NOTHING",
            tuple(list(column) for column in zip(*tokens, strict=True)),
        )
    if len(uris) > FEW:
        _copy("uri", uris)
    elif uris:
        execute(*_insertion("uri", uris))


COLUMNS = {
    "token": (("key", "occurred", "resource", "param", "patient"), ("int8",) * 5),
    "reference": (("param", "target", "occurred", "resource", "patient"), ("int8",) * 5),
    "date": (("resource", "param", "n", "top", "low", "high", "patient"),
             ("int8", "int8", "int2", "bool", "int8", "int8", "int8")),
    "string": (("resource", "param", "n", "top", "folded", "exact", "patient"),
               ("int8", "int8", "int2", "bool", "text", "text", "int8")),
    "uri": (("resource", "param", "n", "value", "patient"), ("int8", "int8", "int2", "text", "int8")),
    "quantity": (
        ("resource", "param", "n", "patient", "occurred", "key", "low", "high"),
        ("int8", "int8", "int2", "int8", "int8", "int8", "numeric", "numeric"),
    ),
    "composite": (
        ("resource", "param", "n", "patient", "occurred", "key", "low", "high", "unit", "unit_low", "unit_high",
         "low2", "high2", "folded"),
        ("int8", "int8", "int2", "int8", "int8", "int8", "numeric", "numeric", "int8", "numeric", "numeric",
         "numeric", "numeric", "text"),
    ),
    "fulltext": (("resource", "param", "n", "patient", "folded"), ("int8", "int8", "int2", "int8", "text")),
    "position": (
        ("resource", "param", "n", "patient", "latitude", "longitude"),
        ("int8", "int8", "int2", "int8", "float8", "float8"),
    ),
}  # fmt: skip
VALUES = ("quantity", "composite", "fulltext", "position")  # of exact numbers, and rare ones
DATED = frozenset(("quantity", "composite"))  # of these: their rows have the clinical date, as those of token have


def _values(item, rows, dated):
    """Rows counted within their parameter, in the same order by every process."""
    counts = Counter()
    when = (item.occurred,) if dated else ()
    for param, *values in sorted(rows, key=repr) if len(rows) > 1 else rows:
        yield item.pk, param, counts[param], item.patient, *when, *values
        counts[param] += 1


def _references(item, rows):
    occurred, pk, patient = item.occurred, item.pk, item.patient
    return [(param, target, occurred, pk, patient) for param, target in rows]


def _numbered(rows):
    """(n, top, row): rows of each parameter in ascending order, counted; `top` is the last.

    In one order by every process, whatever the set they come from: two that fold alike may be written apart, or not.
    """
    rows = sorted(rows, key=lambda row: (row[:2], row[2:] != (None,), row[2:]))
    last, n = len(rows) - 1, 0
    for at, row in enumerate(rows):
        n = n + 1 if at and rows[at - 1][0] == row[0] else 0
        yield n, at == last or rows[at + 1][0] != row[0], row


def _dates(item, rows):
    pk, patient = item.pk, item.patient
    return [(pk, param, n, top, low, high, patient) for n, top, (param, low, high) in _numbered(rows)]


def _strings(item, rows):
    pk, patient = item.pk, item.patient
    return [(pk, param, n, top, folded, exact, patient) for n, top, (param, folded, exact) in _numbered(rows)]


def _uris(item, rows):
    pk, patient = item.pk, item.patient
    return [(pk, param, n, value, patient) for n, _, (param, value) in _numbered(rows)]


# many rows, as the bytes of a binary COPY: fields of (length, value), a null is a length of -1

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
FIVE = Struct(">hiqiqiqiqiq").pack
FOUR = Struct(">hiqiqiqiqi").pack
HEAD = Struct(">hiqiqih").pack  # resource, param, n
DATE = Struct(">hiqiqihi?iqiqiq").pack
DATE_ALONE = Struct(">hiqiqihi?iqiqi").pack
LENGTH = Struct(">i").pack
EIGHT = Struct(">iq").pack
NULL = LENGTH(-1)
TRUE, FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"


def _copy(table, rows):
    if rows:
        names, packed = ", ".join(COLUMNS[table][0]), b"".join(map(PACKED[table], rows))
        with cursor() as cur, cur.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(SIGNATURE + packed + b"\xff\xff")


def _five(row):
    a, b, c, d, patient = row
    if patient is None:
        return FOUR(5, 8, a, 8, b, 8, c, 8, d, -1)
    return FIVE(5, 8, a, 8, b, 8, c, 8, d, 8, patient)


def _date(row):
    pk, param, n, top, low, high, patient = row
    if patient is None:
        return DATE_ALONE(7, 8, pk, 8, param, 2, n, 1, top, 8, low, 8, high, -1)
    return DATE(7, 8, pk, 8, param, 2, n, 1, top, 8, low, 8, high, 8, patient)


def _string(row):
    pk, param, n, top, folded, exact, patient = row
    head = HEAD(7, 8, pk, 8, param, 2, n) + (TRUE if top else FALSE)
    return head + _text(folded) + _text(exact) + (NULL if patient is None else EIGHT(8, patient))


def _uri(row):
    pk, param, n, value, patient = row
    return HEAD(5, 8, pk, 8, param, 2, n) + _text(value) + (NULL if patient is None else EIGHT(8, patient))


def _text(text):
    if text is None:
        return NULL
    data = text.encode()
    return LENGTH(len(data)) + data


PACKED = {"token": _five, "reference": _five, "date": _date, "string": _string, "uri": _uri}
