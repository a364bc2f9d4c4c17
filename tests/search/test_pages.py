"""Pages sum to the whole, whatever the order; nothing that stays is repeated or skipped while others write."""

import random

import pytest

from records.access import Everything
from records.search import run
from records.search.compile import page
from records.search.parse import parse

from .conftest import put

pytestmark = pytest.mark.usefixtures("store")
DATES = ["2020-01-01", "2020-01-01", "2020-06-01", "2021-01-01", None]


def observation(n, **more):
    chosen = random.Random(n)
    date = chosen.choice(DATES)
    code = chosen.choice("abc")
    return {
        "resourceType": "Observation",
        "id": f"o{n:03}",
        "status": chosen.choice(["final", "amended"]),
        "code": {"coding": [{"system": "urn:c", "code": code}, {"system": "urn:c", "code": chosen.choice("abcd")}]},
        "subject": {"reference": f"Patient/{chosen.randrange(4)}"},
        **({"effectiveDateTime": date} if date else {}),
        **({"valueString": chosen.choice(["un", "deux", "trois"])} if chosen.random() < 0.7 else {}),
        **({"valueDateTime": chosen.choice(DATES[:4])} if chosen.random() < 0.2 else {}),
    }


def pages(pairs, count=7, between=None):
    found, after = [], None
    while True:
        query = parse("Observation", [*pairs, ("_count", str(count))], strict=True)
        result = run(query, Everything(), after)
        assert len(result.rows) <= count
        found += [row.id for row in result.rows]
        if result.next is None:
            return found
        after = result.next
        if between:
            between()


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("_sort", "date")],
        [("_sort", "-date")],
        [("_sort", "_id")],
        [("_sort", "-_lastUpdated")],
        [("_sort", "_lastUpdated,-_id")],
        [("_sort", "status,-date,_id")],
        [("_sort", "-value-string,date")],
        [("_sort", "value-string")],
        [("_sort", "value-date,-value-string")],
        [("_sort", "-value-date")],
        [("_sort", "subject,-date")],
        [("_sort", "code")],
        [("code", "a")],
        [("code", "a"), ("_sort", "date")],
        [("code", "a,b,c")],
        [("code", "urn:c|a,urn:c|d"), ("_sort", "date")],
        [("code", "a,b"), ("date", "ge2020-03")],
        [("patient", "1")],
        [("patient", "1,2"), ("code", "a")],
        [("date", "ge2020-03")],
        [("date", "lt2021"), ("_sort", "date")],
        [("status:not", "final")],
        [("value-string", "deux")],
        [("value-string:missing", "true"), ("_sort", "-_id")],
    ],
    ids=lambda pairs: "&".join("=".join(p) for p in pairs),
)
def test_pages_sum_to_the_whole(pairs):
    put(*(observation(n) for n in range(60)))
    whole = pages(pairs, 1000)
    assert len(set(whole)) == len(whole)
    assert pages(pairs) == whole
    assert pages(pairs, 1) == whole
    if not pairs or pairs == [("_sort", "-_lastUpdated")]:
        assert len(whole) == 60


@pytest.mark.parametrize("sort", ["-date", "date", "_id", "-_lastUpdated", "status,-date"])
def test_rows_that_stay_are_seen_once_while_others_write(sort):
    put(*(observation(n) for n in range(40)))
    fresh = iter(range(40, 1000))
    found = pages([("_sort", sort)], 5, between=lambda: put(observation(next(fresh)), observation(next(fresh))))
    stayed = [id for id in found if id < "o040"]
    assert sorted(stayed) == [f"o{n:03}" for n in range(40)]
    assert len(found) == len(set(found))


def test_sort_agrees_with_python():
    resources = {r["id"]: r for r in (observation(n) for n in range(60))}
    put(*resources.values())

    def least(resource, key):
        return resource.get(key) or ""

    found = pages([("_sort", "value-string,-date,_id")])
    by_date = sorted(resources, key=lambda i: i)
    by_date.sort(key=lambda i: least(resources[i], "effectiveDateTime"), reverse=True)
    assert found == sorted(by_date, key=lambda i: least(resources[i], "valueString"))


MEASURED = [
    {},
    {"valueQuantity": {"value": 5, "unit": "kg"}},
    {"valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}},
    {"valueQuantity": {"value": 5.5, "comparator": ">"}},
    {"valueQuantity": {"value": 2, "comparator": "<"}},
    {"valueSampledData": {"origin": {"value": 0}, "period": 10, "dimensions": 1, "lowerLimit": 6, "upperLimit": 7}},
    {"valueString": "trace"},
]


def low(resource):
    """The least that its value may be; nothing counts as the smallest."""
    value = resource.get("valueQuantity", {})
    if value.get("comparator") == "<":
        return float("-inf")
    return value.get("value", resource.get("valueSampledData", {}).get("lowerLimit", float("-inf")))


@pytest.mark.parametrize("criterion", ["a", "urn:c|a", "urn:c|", "a,b", "urn:c|d,a"])
@pytest.mark.parametrize("way", [1, -1])
def test_a_code_by_value(criterion, way):
    """By the index of code and value where a value is in it, and by the resource's own where it is not."""
    made = [
        {k: v for k, v in observation(n).items() if k != "valueString"} | MEASURED[n % len(MEASURED)] for n in range(60)
    ]
    put(*made)
    wanted = [text.split("|") for text in criterion.split(",")]

    def matches(resource):
        held = [("urn:c", c["code"]) for c in resource["code"]["coding"]]
        return any((w[-1] == "" and w[0] == "urn:c") or (w[0] in ("urn:c", w[-1]) and ("urn:c", w[-1]) in held)
                   for w in wanted)  # fmt: skip

    expected = sorted((r for r in made if matches(r)), key=lambda r: (low(r) * way, r["id"]))
    assert len(expected) > 10
    sign = "-" if way < 0 else ""
    pairs = [("code", criterion), ("_sort", f"{sign}value-quantity,_id")]
    assert pages(pairs) == [r["id"] for r in expected]
    by_date = [("code", criterion), ("_sort", f"{sign}value-quantity,-date")]
    statement = page(parse("Observation", by_date, strict=True), Everything())
    assert "FROM composite" in statement.text
    by_id = {r["id"]: r for r in made}
    found = pages(by_date)
    assert [low(by_id[id]) for id in found] == [low(r) for r in expected]
    assert sorted(found) == sorted(r["id"] for r in expected)
    dates = [(low(by_id[id]) * way, by_id[id].get("effectiveDateTime", "")) for id in found]
    assert dates == sorted(sorted(dates, key=lambda d: d[1], reverse=True), key=lambda d: d[0])
