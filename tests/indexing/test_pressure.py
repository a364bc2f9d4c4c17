"""Under a load that the indexer does not follow, the writes index for themselves: the backlog stays bounded."""

import psycopg
import pytest

from records.database import execute
from records.errors import Busy
from records.indexing import pressure
from tests.api import Api

LIMIT = 100


@pytest.fixture
def api(database, settings, monkeypatch):
    """Nobody else indexes here; the queue is looked at before every write."""
    settings.FHIRSERVER_INDEX_BACKLOG = LIMIT
    monkeypatch.setattr(pressure, "_debt", pressure.Debt())
    monkeypatch.setattr(pressure, "LOOK", -1)
    return Api()


def waiting():
    return execute("SELECT count(*) FROM pending")[0][0]


def load(api, count):
    entries = [
        {"resource": {"resourceType": "Patient", "gender": "female"}, "request": {"method": "POST", "url": "Patient"}}
        for _ in range(count)
    ]
    answer = api.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200


def test_a_short_backlog_is_left_to_the_worker(api):
    load(api, LIMIT - 1)
    assert waiting() == LIMIT - 1


def test_a_long_one_is_paid_by_who_writes(api):
    for _ in range(4):
        load(api, 700)
    assert waiting() < LIMIT
    assert api.get("Patient?gender=female&_summary=count").tree["total"] == 2800


def test_small_writes_share_one_batch(api, settings):
    load(api, LIMIT)
    assert waiting() == LIMIT
    for _ in range(4):
        load(api, 100)
    assert waiting() == 0  # the fifth hundred that is owed pays for all


def test_nobody_pays_where_it_is_switched_off(api, settings):
    settings.FHIRSERVER_INDEX_BACKLOG = 0
    load(api, 700)
    assert waiting() == 700


@pytest.mark.parametrize("fault", [Busy("no time"), psycopg.OperationalError("cut"), ZeroDivisionError()])
def test_the_write_is_acknowledged_whatever_happens_to_the_help(api, monkeypatch, fault):
    def fails(limit):
        raise fault

    monkeypatch.setattr(pressure, "index_pending", fails)
    load(api, 700)
    assert waiting() == 700
