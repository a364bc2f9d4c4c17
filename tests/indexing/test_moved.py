"""A write that changes the clinical date: a search between it and the indexer finds the resource all the same."""

import threading

import pytest

from records.access import Everything
from records.database import atomic, execute
from records.indexing import index
from records.search import parse, run
from records.search.parse import parse as parse_query
from tests.api import Api, indexed

CODE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}


def pulse(start, end=None):
    period = {"start": start} | ({"end": end} if end else {})
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "identifier": [{"system": "urn:x", "value": "1"}],
        "code": CODE,
        "subject": {"reference": "Patient/p"},
        "effectivePeriod": period,
    }


@pytest.fixture
def api(database):
    return Api()


# each starts from another index: of the record, a token, an identifier, an id, a date, a reference, the type
QUERIES = (
    "patient=p&code=8867-4",
    "code=8867-4&status=final",
    "identifier=1&code=8867-4",
    "code=8867-4&identifier=1",
    "_id=o&code=8867-4&patient=p",
    "date=ge2020-01-05&code=8867-4",
    "code=8867-4&date=ge2020-01-05&status=final",
    "code:missing=false&patient=p",
    "code=8867-4&_sort=-_lastUpdated",
    "code:not=x&status=final",
)


@pytest.mark.parametrize("before, after", [("2020-01-01", "2020-01-02"), ("2020-01-10", "2020-01-01"),
                                           ("2020-01-01", "2020-01-10")])  # fmt: skip
def test_it_is_found_before_it_is_indexed(api, before, after):
    api.put("Observation/o", pulse(before, "2020-02-01"))
    indexed()
    assert api.put("Observation/o", pulse(after, "2020-02-01")).status_code == 200
    assert index.backlog(), "nobody has indexed it since"
    for text in QUERIES:
        pairs = [tuple(pair.split("=", 1)) for pair in text.split("&")]
        found = run(parse("Observation", pairs, strict=True), Everything())
        assert [row.id for row in found.rows] == ["o"], text
    within = parse_query("Observation", [("code", "8867-4")], within=("Patient", "p"))
    assert [row.id for row in run(within, Everything()).rows] == ["o"]


def test_who_indexes_the_version_before_ends_first(api):
    """Else its rows, with the old date, would come after those of the write."""
    api.put("Observation/o", pulse("2020-01-01"))
    claimed, go_on = threading.Event(), threading.Event()

    def indexer():
        with atomic():
            assert index.index_pending() == 1
            claimed.set()
            go_on.wait(10)

    worker = threading.Thread(target=indexer)
    worker.start()
    assert claimed.wait(10)
    writer = threading.Thread(target=lambda: api.put("Observation/o", pulse("2021-01-01")))
    writer.start()
    while not execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")[0][0]:
        assert writer.is_alive(), "it waits for the indexer"
    go_on.set()
    worker.join()
    writer.join()
    dates = execute("SELECT DISTINCT i.occurred = r.occurred FROM token i JOIN resource r ON r.pk = i.resource")
    assert dates == [(True,)]


def test_a_date_that_stays_costs_the_write_nothing(api, monkeypatch):
    api.put("Observation/o", pulse("2020-01-01"))
    indexed()
    monkeypatch.setattr(index, "index", lambda *_: pytest.fail("indexed in the transaction of the write"))
    assert api.put("Observation/o", pulse("2020-01-01") | {"status": "amended"}).status_code == 200
