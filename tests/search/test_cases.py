"""The tables of fixtures/cases/search: a query, the ids it finds (or the error), the line of the specification.

Each file brings its own resources. Every row is run as the search, as its count, and both again as an actor who may
see every second resource.
"""

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from records import errors
from records.access import Everything
from records.database import execute
from records.indexing import jobs
from records.indexing.rows import TABLES as INDEX
from records.search import results
from records.search.contained import container_of
from records.search.parse import parse
from records.sql import SQL

from .conftest import put, undone

FILES = sorted((Path(__file__).resolve().parents[2] / "fixtures" / "cases" / "search").glob("*.json"))
TABLES = {path.stem: json.loads(path.read_text()) for path in FILES}
ROWS = [(name, case) for name, table in TABLES.items() for case in table["cases"]]


def beyond(pairs):
    """Does what is found depend on what else may be seen?"""
    return any(
        "." in name
        or name.startswith(("_has", "_list"))
        or name in ("partof:below", "partof:above")
        or (name in ("_filter", "_sort") and re.search(r"[\w\]]\.[a-z_]", v))
        for name, v in pairs
    )


class Half(Everything):
    """An actor who may see every second resource."""

    def patients(self, code, type):
        return None

    def resources(self, code, type, alias="r", pk="pk"):
        return SQL(f"{alias}.pk %% 2 = 0")


@pytest.fixture(scope="module")
def loaded(rows):
    """Function (table name): leaves the resources of that table, and of no other, in the database."""
    now = []

    def load(name):
        if now and now[-1][0] == name:
            return
        unload()
        scope = undone()
        scope.__enter__()
        now.append((name, scope))
        put(*TABLES[name]["resources"])

    def unload():
        while now:
            now.pop()[1].__exit__(None, None, None)

    yield load
    unload()


@pytest.mark.parametrize("name, case", ROWS, ids=[f"{name}:{case['query']}" for name, case in ROWS])
def test_case(loaded, name, case):
    loaded(name)
    type, _, text = case["query"].partition("?")
    pairs = parse_qsl(text, keep_blank_values=True)
    expected = case["expect"]
    if isinstance(expected, str):  # the name of an error, and what it must say
        error, _, words = expected.partition(": ")
        with pytest.raises(getattr(errors, error)) as raised:
            parse(type, pairs, strict=case.get("strict", False))
        assert words in str(raised.value)
        return
    query = parse(type, pairs, strict=case.get("strict", "warning" not in case))
    found = results.run(query, Everything())
    agrees(case, found)
    if "warning" in case:
        assert any(case["warning"] in issue.diagnostics for issue in query.warnings)
    if found.next is None:
        assert results.total(query, Everything()) == len(expected)
    half = results.run(query, Half())
    assert {row.pk for row in half.rows} <= {row.pk for row in found.rows if is_seen(row)}
    if name != "chain" and not beyond(pairs):
        assert [row.pk for row in half.rows] == [row.pk for row in found.rows if is_seen(row)]
        assert results.total(query, Half()) == len(half.rows)


def is_seen(row):
    """By who may see half; what is contained is seen with its container."""
    return container_of(row.pk) % 2 == 0


def agrees(case, found):
    ids = [f"{row.within[1]}#{row.id}" if row.within else row.id for row in found.rows]
    if case.get("ordered"):
        assert ids == case["expect"]
    else:
        assert sorted(ids) == sorted(case["expect"])
    if "included" in case:
        assert sorted(row.id for row in found.included) == sorted(case["included"])


def rows():
    """Everything that the indexer writes."""
    tables = (*INDEX, "contained", "contained_kind")
    return {table: sorted(execute(f"SELECT * FROM {table}"), key=repr) for table in tables}


@pytest.mark.parametrize("name", TABLES)
def test_every_case_again_after_the_whole_index_is_made_anew(loaded, name):
    loaded(name)
    before = rows()
    jobs.renew([pk for (pk,) in execute("SELECT pk FROM resource ORDER BY pk")])
    assert before == rows()
    for case in TABLES[name]["cases"]:
        if isinstance(case["expect"], list):
            type, _, text = case["query"].partition("?")
            query = parse(type, parse_qsl(text, keep_blank_values=True), strict=False)
            agrees(case, results.run(query, Everything()))


def test_every_row_names_its_place_in_the_specification():
    assert all(case.get("spec") for _, case in ROWS)
