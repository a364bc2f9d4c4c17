"""$explain: the plan of a search, its cost, its walks, advice; for administrators; it leaves nothing."""

import json

import pytest

from records.database import execute
from records.operations import explain
from tests.api import Api, indexed


@pytest.fixture
def api(database):
    api = Api()
    for n in range(3):
        body = {"resourceType": "Observation", "id": f"o{n}", "status": "final", "code": {"coding": [{"code": "x"}]},
                "subject": {"reference": f"Patient/p{n}"}, "valueString": "Secret"}  # fmt: skip
        assert api.put(f"Observation/o{n}", body).status_code == 201
    indexed()
    return api


def parts(answer):
    assert answer.status_code == 200, answer.content
    found = {}
    for part in answer.tree["parameter"]:
        found.setdefault(part["name"], []).append(next((v for k, v in part.items() if k != "name"), None))
    return found


def test_a_plan_and_what_it_costs(api):
    answer = api.get("Observation/$explain?code=x&_count=2")
    found = parts(answer)
    assert found["rows"] == [3] and "SELECT" in found["sql"][0]
    assert found["milliseconds"][0] > 0 and found["buffers"][0] > 0
    assert any("token" in walk[0]["valueString"] for walk in found["walk"])
    assert "Actual Rows" in found["plan"][0] and json.loads(found["plan"][0])
    assert found["advice"] == ["Nothing to advise: what was looked at is what was asked for."]
    assert b"Secret" not in answer.content


def test_advice(api):
    assert "Nothing bounds this search" in parts(api.get("Observation/$explain"))["advice"][0]
    scan = {"Node Type": "Seq Scan", "Relation Name": "token", "Actual Rows": 1, "Actual Loops": 1,
            "Rows Removed by Filter": 500_000}  # fmt: skip
    walk = {**scan, "Node Type": "Index Scan", "Index Name": "token_pkey"}
    sort = {"Node Type": "Sort", "Actual Rows": 51, "Actual Loops": 1, "Plans": [{**walk, "Actual Rows": 90_000}]}
    for plan, said in ((scan, "read whole"), (walk, "500,001 rows of token_pkey"), (sort, "90,000 matches are sorted")):
        assert said in " ".join(explain.read(plan).advice)
    assert explain.read({**walk, "Rows Removed by Filter": 3}).advice == []


def test_what_is_unknown_is_told_and_a_bad_value_refused(api):
    assert "nonsense" in parts(api.get("Observation/$explain?nonsense=1&code=x"))["warning"][0]
    assert api.get("Observation/$explain?date=yesterday").status_code == 400


def test_it_can_only_read(api):
    from records.sql import SQL

    with pytest.raises(Exception, match="read-only"):
        explain.ran(SQL("INSERT INTO registry VALUES ('x', 1)"))
    assert not execute("SELECT 1 FROM registry")


def test_for_administrators(api):
    for scope in ("system/*.rs", "user/*.cruds", "system/Observation.cruds"):
        assert Api(scope, name="other").get("Observation/$explain?code=x").status_code == 403
