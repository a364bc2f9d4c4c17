"""What a connection keeps prepared is bounded, by number and by length; what is used stays."""

import psycopg
import pytest

from records.database import pool, session

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def kept():
    one = session.Session(psycopg.connect(**pool.parameters(), autocommit=True))
    yield one
    one.close()


def there(one):
    rows = one.rows(one.run([("SELECT statement FROM pg_prepared_statements", (), False)])[0])
    return {text for (text,) in rows}


def asked(n, length=60):
    return f"SELECT {n}, '{'x' * (length - 12)}'", (), True


def test_by_number(kept, monkeypatch):
    monkeypatch.setattr(session, "MOST_PREPARED", 3)
    for n in (1, 2, 3, 1, 4):
        ((found, _),) = kept.rows(kept.run([asked(n)])[0])
        assert found == n
    assert there(kept) == {asked(n)[0] for n in (3, 1, 4)}


def test_by_length(kept, monkeypatch):
    """A long one takes the place of many; each is run as before."""
    monkeypatch.setattr(session, "MOST_TEXT", 1000)
    for n in range(10):
        kept.run([asked(n)])
    results = kept.run([asked(3), asked(99, 800), asked(3), asked(4)])
    assert [kept.rows(r)[0][0] for r in results] == [3, 99, 3, 4]
    assert asked(99, 800)[0] in there(kept) and sum(map(len, there(kept))) <= 1000
    assert kept.text == sum(len(text) for text, _ in kept.names)


def test_what_failed_is_prepared_again(kept):
    with pytest.raises(psycopg.errors.DivisionByZero):
        kept.run([asked(1), ("SELECT 1 / %s::int", (0,), True)])
    assert [kept.rows(r) for r in kept.run([asked(1), ("SELECT 1 / %s::int", (1,), True)])][1] == [(1,)]
    assert kept.text == sum(len(text) for text, _ in kept.names)


def test_what_gave_way_and_came_back_in_a_round_trip_that_failed_is_prepared_again(kept, monkeypatch):
    """Under its old name it is gone; under its new one it was never there, as it came after the failure."""
    monkeypatch.setattr(session, "MOST_TEXT", 1000)
    kept.run([asked(1)])
    with pytest.raises(psycopg.errors.DivisionByZero):
        kept.run([("SELECT 1 / %s::int", (0,), False), asked(99, 990), asked(1)])
    assert [kept.rows(r)[0][0] for r in kept.run([asked(1), asked(99, 990)])] == [1, 99]


def test_what_was_answered_before_a_failure_is_known(kept):
    with pytest.raises(psycopg.errors.DivisionByZero):
        kept.run([asked(1), asked(2), ("SELECT 1 / %s::int", (0,), False), asked(3)])
    assert [kept.rows(r)[0][0] for r in kept.answered] == [1, 2]
    kept.run([asked(1)])
    assert kept.answered == []
