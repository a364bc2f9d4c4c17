"""What holds of every search, whatever the resources and the criteria. (search.html)"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.access import Everything
from records.database import execute
from records.indexing import jobs
from records.indexing.rows import TABLES
from records.search import parse, results, run
from records.sql import SQL
from tests.conftest import sweep
from tests.search.conftest import put, undone

from .resources import criteria, populations, sorts

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
FEW, MANY = 12, 1500  # examples of a law


def law(*strategies, population=None):
    """A test of generated populations and queries: a few examples, and many under the mark `long`."""
    drawn_from = populations() if population is None else population

    def mark(function):
        @pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
        def test(django_db_setup, django_db_blocker, examples):
            @settings(max_examples=examples, deadline=None, suppress_health_check=SLOW, derandomize=examples == FEW)
            @given(st.tuples(drawn_from, *strategies))
            def holds(drawn):
                population, *queries = drawn
                with undone():
                    put(*population) if population else None
                    function(population, *queries)

            with django_db_blocker.unblock():
                sweep()
                holds()

        test.__name__, test.__doc__ = function.__name__, function.__doc__
        return test

    return mark


class Half(Everything):
    """An actor who may see every second resource."""

    def patients(self, code, type):
        return None

    def resources(self, code, type, alias="r", pk="pk"):
        return SQL(f"{alias}.pk %% 2 = 0")


def found(*pairs, type="Observation", access=None):
    """The ids that a search finds, in order; its count agrees."""
    query = parse(type, pairs, strict=True, default_count=100)
    ids = [row.id for row in run(query, access or Everything()).rows]
    assert len(set(ids)) == len(ids)
    assert results.total(query, access or Everything()) == len(ids)
    return ids


def of_type(population, type):
    return {r["id"] for r in population if r["resourceType"] == type}


@law(criteria, criteria)
def test_two_criteria_are_the_intersection(population, a, b):
    assert set(found(a, b)) == set(found(a)) & set(found(b))


@law(st.lists(st.sampled_from(("a", "b", "c", "urn:c|a", "|b", "z")), min_size=1, max_size=4))
def test_a_comma_is_the_union(population, codes):
    assert set(found(("code", ",".join(codes)))) == set().union(*(found(("code", c)) for c in codes))


@law(st.lists(st.sampled_from(("2020", "gt2020-02", "le2020-01-01", "2021", "sa2020")), min_size=1, max_size=3))
def test_a_comma_between_dates_is_the_union(population, dates):
    assert set(found(("date", ",".join(dates)))) == set().union(*(found(("date", d)) for d in dates))


@law(st.sampled_from(("a", "urn:c|b", "z", "a,b")))
def test_not_is_the_complement_within_the_type(population, code):
    everything = of_type(population, "Observation")
    assert set(found(("code:not", code))) == everything - set(found(("code", code)))
    assert set(found(("_filter", f"not (code eq {code.partition(',')[0]})"))) == everything - set(
        found(("code", code.partition(",")[0]))
    )


@law(st.sampled_from(("date", "code", "value-quantity", "patient", "category")))
def test_missing_is_the_complement_of_present(population, name):
    everything = of_type(population, "Observation")
    present, missing = set(found((f"{name}:missing", "false"))), set(found((f"{name}:missing", "true")))
    assert present | missing == everything and not present & missing


@law(criteria, criteria)
def test_an_expression_says_the_same_as_criteria(population, a, b):
    """What _filter combines is what the criteria combine, where both can say it."""
    said = {"code", "status", "patient.gender"}
    if a[0] in said and b[0] in said:
        one, other = (f"{name} eq {value}" for name, value in (a, b))
        assert set(found(("_filter", f"{one} and {other}"))) == set(found(a, b))
        assert set(found(("_filter", f"{one} or {other}"))) == set(found(a)) | set(found(b))


@law(st.lists(criteria, max_size=2), sorts, st.integers(1, 4))
def test_pages_sum_to_the_whole_forth_and_back(population, asked, order, size):
    asked = [*asked, *([("_sort", ",".join(order))] if order else [])]
    whole = found(*asked)
    query = parse("Observation", [*asked, ("_count", str(size))], strict=True)
    pages, result = [], run(query, Everything())
    while True:
        pages.append([row.id for row in result.rows])
        if result.next is None:
            break
        result = run(query, Everything(), after=result.next)
    assert [id for page in pages for id in page] == whole
    back = [pages[-1]]
    while result.previous is not None:
        result = run(query, Everything(), before=result.previous)
        back.append([row.id for row in result.rows])
    assert back[::-1] == pages


@law(sorts, st.integers(1, 3), st.data())
def test_what_stays_is_seen_once_while_others_write(population, order, size, data):
    stays = of_type(population, "Observation")
    query = parse("Observation", [("_count", str(size)), *([("_sort", ",".join(order))] if order else [])], strict=True)
    seen, result, n = [], run(query, Everything()), 0
    while True:
        seen += [row.id for row in result.rows if row.id in stays]
        if result.next is None or n > 30:
            break
        fresh = data.draw(populations()) if n < 3 else []
        put(*({**r, "id": f"n{n}-{r['id']}"} for r in fresh)) if fresh else None
        n += 1
        result = run(query, Everything(), after=result.next)
    assert sorted(seen) == sorted(stays)


@law(st.sampled_from((("code", str), ("_id", str), ("status", str))), st.booleans())
def test_sort_agrees_with_python(population, by, descending):
    name, _ = by
    value = {
        "_id": lambda r: r["id"],
        "status": lambda r: r["status"],
        "code": lambda r: (max if descending else min)((c["code"] for c in r["code"]["coding"]), default=""),
    }[name]
    rows = [r for r in population if r["resourceType"] == "Observation"]
    pks = {id: pk for pk, id in execute("SELECT pk, id FROM resource")}
    expected = sorted(rows, key=lambda r: (value(r), pks[r["id"]]), reverse=descending)
    assert found(("_sort", "-" * descending + name)) == [r["id"] for r in expected]


@law(st.sampled_from((("gender", "male"), ("name", "d"), ("birthdate", "lt1985"), ("active:not", "true"))))
def test_a_chain_is_two_searches(population, inner):
    first = found(inner, type="Patient")
    second = found(("patient", ",".join(f"Patient/{id}" for id in first))) if first else []
    name, colon, modifier = inner[0].partition(":")
    assert set(found((f"patient.{name}{colon}{modifier}", inner[1]))) == set(second)


@law(st.sampled_from((("code", "a"), ("status", "final"), ("date", "ge2020-06"))))
def test_has_is_two_searches(population, inner):
    referring = set(found(inner))
    expected = {
        r["subject"]["reference"].partition("/")[2]
        for r in population
        if r["resourceType"] == "Observation" and r["id"] in referring and "subject" in r
    }
    assert set(found((f"_has:Observation:patient:{inner[0]}", inner[1]), type="Patient")) == expected & of_type(
        population, "Patient"
    )


@law()
def test_making_the_index_anew_changes_nothing(population):
    def rows():
        return {table: sorted(execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}

    before = rows()
    jobs.renew([pk for (pk,) in execute("SELECT pk FROM resource")])
    assert rows() == before


@law()
def test_a_resource_is_there_if_and_only_if_its_id_finds_it(population):
    for r in population:
        assert found(("_id", r["id"]), type=r["resourceType"]) == [r["id"]]
        [(seen,)] = execute("SELECT pk %% 2 = 0 FROM resource WHERE id = %s AND type = (SELECT type FROM resource"
                            " WHERE id = %s LIMIT 1)", (r["id"], r["id"]))  # fmt: skip
        assert found(("_id", r["id"]), type=r["resourceType"], access=Half()) == [r["id"]] * seen
    assert found(("_id", "nobody"), type="Patient") == []


@law(criteria)
def test_who_may_see_less_finds_a_part(population, asked):
    less = found(asked, access=Half())
    whole = found(asked)
    assert set(less) <= set(whole)
    if "." not in asked[0]:
        even = {id for (id,) in execute("SELECT id FROM resource WHERE pk %% 2 = 0")}
        assert less == [id for id in whole if id in even]


@law(criteria)
def test_several_types_are_the_sum_of_each(population, asked):
    from records.search import parse_several

    alone = found(asked)
    query = parse_several([("_type", "Observation"), asked, ("_count", "100")], strict=True)
    assert [row.id for row in run(query, Everything()).rows] == alone
    both = parse_several([("_type", "Observation,Patient"), ("_count", "100")], strict=True)
    assert {row.id for row in run(both, Everything()).rows} == {r["id"] for r in population}
