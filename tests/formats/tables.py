"""Reading the tables of fixtures/cases."""

import base64
import json
from pathlib import Path

CASES = Path(__file__).parents[2] / "fixtures" / "cases"


def table(name, key=None):
    """The rows of a table, each a dict with a name."""
    rows = json.loads((CASES / name).read_text("utf-8"))
    return rows if key is None else rows[key]


def body(row):
    """The bytes of a row: text, base64, or a piece repeated between two others."""
    if "base64" in row:
        return base64.b64decode(row["base64"])
    if "repeat" in row:
        return (row["before"] + row["repeat"] * row["times"] + row["after"]).encode()
    return row["text"].encode()


def name(row):
    return row["name"]
