"""How many there are, told from index rows alone where the actor may find everything: as many as a page shows."""

import pytest

from records.access import Everything
from records.database import as_system, asked_by, execute
from records.database.asking import NOBODY, statement
from records.resources.store import Write, lock, write
from records.search import compile, results
from records.search.parse import parse

from .conftest import put

FORMS = ("", "code=w", "code=w,h", "code=w&status=final", "code=w&status:not=final", "code=w&date=ge2024-01-02",
         "subject=Patient/p", "code=w&_total=estimate", "code:missing=false", "date=2024-01-01")  # fmt: skip

OF_B = {"", "code=w", "code=w,h", "code=w&status:not=final", "code=w&date=ge2024-01-02", "subject=Patient/p",
        "code=w&_total=estimate", "code:missing=false"}  # fmt: skip


def observation(id, code, status, day):
    return {"resourceType": "Observation", "id": id, "status": status, "effectiveDateTime": f"2024-01-0{day}",
            "subject": {"reference": "Patient/p"}, "code": {"coding": [{"code": c} for c in code]}}  # fmt: skip


@pytest.fixture
def some(store):
    with as_system():
        put({"resourceType": "Patient", "id": "p"}, observation("a", "w", "final", 1),
            observation("b", "wh", "amended", 2), observation("c", "h", "final", 3))  # fmt: skip
        yield


def query(text, **more):
    return parse("Observation", [tuple(part.split("=", 1)) for part in text.split("&") if part], **more)


def listed(text):
    return len(results.run(query(text), Everything()).rows)


def counted(text):
    return results.total(query(text), Everything())


@pytest.mark.parametrize("form", FORMS)
def test_as_many_are_counted_as_are_found(some, form):
    assert counted(form) == listed(form) > 0


@pytest.mark.parametrize("form", FORMS)
def test_what_is_deleted_counts_no_longer_though_its_index_rows_are_still_there(some, form):
    before = counted(form)
    [row] = lock([("Observation", "b")], Everything(), "delete").values()
    write([Write("DELETE", "Observation", "b", None, row)], Everything())
    assert execute("SELECT count(*) FROM pending")[0][0] == 1
    assert execute("SELECT count(*) FROM token WHERE resource = %s", (row.pk,))[0][0] > 0
    assert counted(form) == listed(form) == before - (form in OF_B)


@pytest.mark.parametrize("form", ("", "code=w"))
@pytest.mark.parametrize("who", (NOBODY, statement("professional", person=1), statement("bound", bound=1)))
def test_the_database_counts_for_nobody_who_may_not_see_everything(some, form, who):
    asked = compile.count(query(form), Everything())
    assert execute(*asked)[0][0] > 0
    with asked_by(who):
        assert execute(*asked)[0][0] == 0


def test_a_frequent_code_is_counted_without_looking_at_its_resources(some):
    asked = compile.count(query("code=w"), Everything())
    plan = "\n".join(line for (line,) in execute(f"EXPLAIN {asked.text}", asked.params))
    assert "token" in plan and "resource r" not in plan
