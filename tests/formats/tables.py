"""Reading the tables of fixtures/cases."""

import base64
import json  # not the strict parser: some rows hold what it must refuse
from pathlib import Path

from records.formats.json import integer, number

CASES = Path(__file__).parents[2] / "fixtures" / "cases"


def table(name, key=None):
    """The rows of a table, each a dict with a name; numbers as in every tree."""
    rows = json.loads((CASES / name).read_text("utf-8"), parse_float=number, parse_int=integer)
    return rows if key is None else rows[key]


def body(row):
    """The bytes of a row: text, base64, or a piece repeated between two others."""
    if "base64" in row:
        return base64.b64decode(row["base64"])
    if "repeat" in row:
        return (row["before"] + row["repeat"] * int(row["times"]) + row["after"]).encode()
    return row["text"].encode()


def name(row):
    return row["name"]
