"""The searches that are timed on a large population find what a sequential scan finds, here on a small one."""

from random import Random

import psycopg
import pytest

from benchmarks import making, timing
from benchmarks.shapes import SHAPES
from records.database import execute, pool


@pytest.fixture
def population(database):
    with psycopg.connect(**pool.parameters("owner"), autocommit=True) as owner:
        making.prepare(owner)
        making.forget()
        yield owner
        owner.execute("DROP TABLE scale_made, scale_index")


def test_every_shape_finds_what_a_scan_finds(population):
    written = making.make(0)
    population.execute("ANALYZE")  # as `grow` does: a count is planned by what the tables were when last looked at
    assert written == execute("SELECT count(*) FROM resource")[0][0] > 2500
    assert execute("SELECT count(*) FROM pending") == [(0,)]
    assert making.done(population) == {0}
    found = timing.known()
    cases = [shape.draw(Random(name), found) for name, shape in SHAPES.items()]
    assert len(cases) >= 25
    assert timing.check(cases, population) > 10_000


def test_a_wrong_answer_is_noticed(population):
    making.make(0)
    case = SHAPES["a frequent code, newest 50"].draw(Random(1), timing.known())
    code = case.query.rpartition("|")[2]
    execute("DELETE FROM token WHERE patient = (SELECT min(patient) FROM resource)")
    with pytest.raises(timing.Wrong, match=code):
        timing.check([case], population)


def test_indexes_go_and_come_back(population):
    def indexes():
        return set(population.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'").fetchall())

    before = indexes()
    making.drop_indexes(population)
    assert len(indexes()) < len(before) - 20
    making.make_indexes(population, lambda line: None)
    assert indexes() == before
