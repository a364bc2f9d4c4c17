"""check_index: 0 differences after indexing; each kind of drift is seen, told by type and parameter, and repaired."""

from io import StringIO
from itertools import permutations

import pytest
from django.core.management import CommandError, call_command

from records.database import execute
from records.indexing import drift
from records.indexing.rows import TABLES, _numbered
from tests.api import Api, indexed

RESOURCES = [
    {"resourceType": "Patient", "id": "p", "name": [{"family": "Léa", "given": ["Zoé", "Anne"]}], "gender": "female",
     "birthDate": "1980", "identifier": [{"system": "urn:s", "value": "1"}]},
    {"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/p"},
     "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9", "display": "BP"}]},
     "effectiveDateTime": "2020-01-01", "component": [
        {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
         "valueQuantity": {"value": 120.5, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}}]},
    {"resourceType": "ValueSet", "id": "v", "status": "active", "url": "http://example.org/v"},
    {"resourceType": "Location", "id": "l", "position": {"longitude": 2.35, "latitude": 48.85}},
]  # fmt: skip


@pytest.fixture
def api(database):
    api = Api()
    for each in RESOURCES:
        assert api.put(f"{each['resourceType']}/{each['id']}", each).status_code == 201
    indexed()
    return api


def pk(type, id):
    from records.keys import identity

    return execute("SELECT pk FROM resource WHERE identity = %s", (identity(type, id),))[0][0]


def test_nothing_differs_after_indexing(api):
    report = drift.check()
    assert (report.checked, report.waiting, report.failed, report.differences) == (4, 0, 0, {})
    assert all(execute(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES), "every table has its part in it"


def test_what_waits_is_no_difference(api):
    api.put("Patient/p", {**RESOURCES[0], "gender": "male"})
    report = drift.check()
    assert (report.checked, report.waiting, report.differences) == (3, 1, {})


@pytest.mark.parametrize("table", TABLES)
def test_a_lost_row_and_a_strange_one(api, table):
    lost = f"DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table}) RETURNING *"
    before = execute(f"SELECT count(*) FROM {table}")
    execute(lost)
    [(_, _, where, what)] = drift.check().differences
    assert (where, what) == (table, "missing")
    execute(f"UPDATE {table} SET param = 1 WHERE ctid = (SELECT max(ctid) FROM {table})")
    found = {what for *_, what in drift.check(repair=True).differences}
    assert found == {"missing", "surplus"} or before == [(1,)]
    assert not drift.check().differences


def test_rows_of_what_is_deleted_or_never_was(api):
    api.delete("Observation/o")
    indexed()
    lost = pk("Observation", "o")
    execute("INSERT INTO uri (resource, param, n, value) VALUES (%s, 7, 0, 'x'), (9999, 7, 0, 'x')", (lost,))
    assert drift.check(repair=True).differences == {
        ("Observation", "7", "uri", "surplus"): 1,
        ("", "7", "uri", "surplus"): 1,
    }
    assert not drift.check().differences


def test_a_text_of_a_code_that_is_lost(api):
    execute("DELETE FROM concept WHERE folded = 'bp'")
    found = drift.check(repair=True).differences
    assert {(table, what) for _, _, table, what in found} == {("concept", "missing")}
    assert not drift.check().differences


@pytest.fixture
def reached(monkeypatch):
    """The commands meet the database of the tests."""
    from contextlib import nullcontext

    for command in ("check_index", "reindex"):
        monkeypatch.setattr(f"fhirserver.management.commands.{command}.reach", lambda *a, **k: nullcontext())


def test_the_commands(api, reached):
    told = StringIO()
    call_command("check_index", stdout=told)
    assert "4 checked" in told.getvalue() and "0 differences" in told.getvalue()
    execute("DELETE FROM string")
    told = StringIO()
    with pytest.raises(CommandError, match="1 differ"):
        call_command("check_index", "Patient", stdout=told)
    assert "Patient\tfamily\tstring\tmissing\t1\n" in told.getvalue()
    call_command("reindex", "Patient", parameter="family", stdout=told)
    assert execute("SELECT count(*) FROM string") == [(1,)]
    call_command("reindex", stdout=told)
    assert "4 resources indexed anew" in told.getvalue()
    call_command("check_index", stdout=told)
    for wrong in (("Nonsense",), ("Patient", "Observation"), ("Patient",)):
        with pytest.raises(CommandError):
            call_command("reindex", *wrong, parameter="nonsense")


def test_rows_are_counted_alike_by_every_process():
    """The order of a set of texts is another one in each process."""
    names = {
        (7, "jean paul", "Jean-Paul"),
        (7, "jean paul", "JEAN PAUL"),
        (7, "jean paul", None),
        (7, "aubert", "Aubert"),
    }
    assert len({tuple(_numbered(order)) for order in permutations(names)}) == 1
    dates = {(7, 1, 2), (7, 1, 3), (8, 0, 0)}
    assert len({tuple(_numbered(order)) for order in permutations(dates)}) == 1
