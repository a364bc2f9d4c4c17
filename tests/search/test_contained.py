"""_contained, and chains into what is contained, as clients see them. (search.html#contained)"""

import pytest

from records.access import Everything
from records.database import execute
from records.indexing import drift, jobs
from records.indexing.rows import TABLES
from records.search import contained, parse, run, stored
from tests.api import Api, indexed

SYSTEM = "http://acme.org/medications"
CODE = f"code={SYSTEM}|x"


def statement(id, patient, *codes, refers="#m0"):
    return {
        "resourceType": "MedicationStatement",
        "id": id,
        "status": "active",
        "subject": {"reference": f"Patient/{patient}"},
        "medicationReference": {"reference": refers},
        "derivedFrom": [{"reference": f"#m{n}"} for n in range(len(codes))] or [{"reference": "Patient/p"}],
        "effectiveDateTime": f"2020-01-0{id[-1]}",
        "contained": [
            {"resourceType": "Medication", "id": f"m{n}", "code": {"coding": [{"system": SYSTEM, "code": code}]},
             "amount": {"numerator": {"value": 1, "unit": "mg"}, "denominator": {"value": 1}},
             "manufacturer": {"reference": "Organization/org"}}
            for n, code in enumerate(codes)
        ],
    }  # fmt: skip


@pytest.fixture
def api(database):
    api = Api()
    for patient in ("p", "q"):
        api.put(f"Patient/{patient}", {"resourceType": "Patient", "id": patient})
    api.put("Organization/org", {"resourceType": "Organization", "id": "org", "name": "Acme"})
    for each in (statement("s1", "p", "x", "y"), statement("s2", "q", "x"), statement("s3", "p", "z", "x")):
        assert api.put(f"MedicationStatement/{each['id']}", each).status_code == 201
    indexed()
    return api


def urls(answer, mode="match"):
    assert answer.status_code == 200, answer.content
    found = [e["fullUrl"] for e in answer.tree.get("entry", ()) if e["search"]["mode"] == mode]
    return [url.removeprefix("http://testserver/fhir/") for url in found]


def link(answer, relation):
    found = [each["url"] for each in answer.tree["link"] if each["relation"] == relation]
    return found[0].partition("/fhir/")[2] if found else None


def test_the_contained_resource_itself(api):
    answer = api.get(f"Medication?{CODE}&_contained=true&_containedType=contained&_total=accurate")
    assert sorted(urls(answer)) == [f"MedicationStatement/{id}" for id in ("s1#m0", "s2#m0", "s3#m1")]
    assert answer.tree["total"] == 3
    assert answer.tree["entry"][0]["resource"] in statement("s1", "p", "x")["contained"]
    assert "_containedType=contained" in link(answer, "self")
    cut = api.get("Medication?_contained=true&_containedType=contained&_elements=code").tree["entry"][0]["resource"]
    assert set(cut) == {"resourceType", "id", "meta", "code"} and cut["meta"]["tag"][0]["code"] == "SUBSETTED"
    xml = api.get(f"Medication?{CODE}&_contained=true&_containedType=contained&_format=xml")
    assert b"<Medication" in xml.content and b"MedicationStatement/s1#m0" in xml.content


def test_its_container(api):
    answer = api.get(f"Medication?{CODE}&_contained=true")
    assert sorted(urls(answer)) == [f"MedicationStatement/{id}" for id in ("s1", "s2", "s3")]
    one = next(e["resource"] for e in answer.tree["entry"] if e["resource"]["id"] == "s1")
    assert one == api.get("MedicationStatement/s1").tree
    assert urls(api.get(f"Medication?{CODE}")) == []


@pytest.mark.parametrize("kind", ["container", "contained"])
def test_pages_forth_and_back(api, kind):
    api.put("Medication/alone", {"resourceType": "Medication", "id": "alone", "code": {"coding": [{"code": "x"}]}})
    path = f"Medication?code=x,y,z&_contained=both&_containedType={kind}&_count="
    whole = urls(api.get(f"{path}100"))
    assert len(whole) == {"container": 4, "contained": 6}[kind] == len(set(whole))
    forth, answer = [], api.get(f"{path}1")
    forth.append(urls(answer))
    while following := link(answer, "next"):
        answer = api.get(following)
        forth.append(urls(answer))
    assert [url for page in forth for url in page] == whole
    back = [forth[-1]]
    while preceding := link(answer, "previous"):
        answer = api.get(preceding)
        back.append(urls(answer))
    assert back[::-1] == forth


def test_who_may_see_the_container_sees_what_it_contains(api):
    asked = f"Medication?{CODE}&_contained=true&_containedType=contained&_total=accurate"
    own = Api("patient/MedicationStatement.s", patient="p").get(asked)
    assert sorted(urls(own)) == ["MedicationStatement/s1#m0", "MedicationStatement/s3#m1"]
    assert own.tree["total"] == 2
    both = Api("patient/MedicationStatement.s", patient="p").get(asked.replace("=true", "=both"))
    assert sorted(urls(both)) == sorted(urls(own))
    assert urls(Api("system/Medication.s").get(asked)) == [], "its containers are not in the scope"
    assert Api("patient/MedicationStatement.s", patient="p").get(f"Medication?{CODE}").status_code == 403
    chained = "MedicationStatement?medication.code=x&_total=accurate"
    assert sorted(urls(api.get(chained))) == ["MedicationStatement/s1", "MedicationStatement/s2"]
    found = Api("patient/MedicationStatement.s", patient="p").get(chained)
    assert urls(found) == ["MedicationStatement/s1"] and found.tree["total"] == 1


def test_nothing_of_a_hidden_container_shows(api):
    """The answer is the one that there would be without it."""
    paths = (
        f"Medication?{CODE}&_contained=true",
        f"Medication?{CODE}&_contained=both&_containedType=contained&_sort=code",
        "Medication?_has:MedicationStatement:medication:status=active&_contained=true",
        "Medication?manufacturer.name=acme&_contained=true&_include=Medication:manufacturer",
        "?_type=Medication,Organization&_contained=true&_containedType=contained",
    )
    own = Api("patient/*.rs system/Organization.rs", patient="p")
    seen = [own.get(path).content for path in paths]
    api.delete("MedicationStatement/s2")
    assert [own.get(path).content for path in paths] == seen


def test_the_audit_names_the_container(api):
    api.get(f"Medication?{CODE}&_contained=true&_containedType=contained&_id=m1")
    [(entities,)] = execute("SELECT entities::text FROM audit ORDER BY seq DESC LIMIT 1")
    assert "MedicationStatement/s3" in entities and "Medication/m1" not in entities


def test_includes_follow_from_what_matches(api):
    for kind in ("container", "contained"):
        asked = f"Medication?_id=m1&_contained=true&_containedType={kind}&_include=Medication:manufacturer"
        assert urls(api.get(asked), "include") == ["Organization/org"]
    api.put("Medication/m0", {"resourceType": "Medication", "id": "m0"})
    alone = statement("s9", "p", refers="Medication/m0")
    del alone["contained"]
    assert api.put("MedicationStatement/s9", alone).status_code == 201
    asked = "Medication?_id=m0&_contained=true&_containedType=contained&_revinclude=MedicationStatement:medication"
    assert urls(api.get(asked), "include") == [], "that one refers to Medication/m0"


def test_it_comes_and_goes_with_its_container(api):
    asked = "Medication?_contained=true&_containedType=contained"
    api.put("MedicationStatement/s1", statement("s1", "p", "z"))
    assert sorted(urls(api.get(asked))) == [f"MedicationStatement/{id}" for id in ("s1#m0", "s2#m0", "s3#m0", "s3#m1")]
    assert sorted(urls(api.get("MedicationStatement?medication.code=z"))) == [
        "MedicationStatement/s1",
        "MedicationStatement/s3",
    ]
    for id in ("s1", "s2", "s3"):
        api.delete(f"MedicationStatement/{id}")
    assert urls(api.get(asked)) == []
    indexed()
    assert execute("SELECT count(*) FROM contained") == [(0,)]
    assert all(execute(f"SELECT count(*) FROM {table} WHERE resource < 0") == [(0,)] for table in TABLES)
    assert not drift.check().differences


def test_no_condition_of_a_write_selects_it(api):
    for answer in (
        api.delete(f"Medication?{CODE}&_contained=true"),
        api.put(f"Medication?{CODE}&_contained=both", {"resourceType": "Medication"}),
        api.post("Medication", {"resourceType": "Medication"}, if_none_exist=f"{CODE}&_contained=true"),
    ):
        assert answer.status_code == 400 and "_contained" in answer.tree["issue"][0]["diagnostics"]
    assert api.delete(f"Medication?{CODE}").status_code == 204
    assert len(urls(api.get(f"Medication?{CODE}&_contained=true"))) == 3


def test_several_types_show_what_is_contained(api):
    asked = "?_type=Medication,MedicationStatement&_contained=true"
    assert api.get(asked).status_code == 400
    assert len(urls(api.get(f"{asked}&_containedType=contained"))) == 5


def test_another_process_learns_what_there_is(api, monkeypatch):
    """It looks with each search; no statement of its own."""
    for name, nothing in (("_kinds", frozenset()), ("_count", 0)):
        monkeypatch.setattr(contained, name, nothing)
    assert len(urls(api.get("MedicationStatement?medication.code=x"))) == 2
    for name, nothing in (("_kinds", frozenset()), ("_count", 0)):
        monkeypatch.setattr(contained, name, nothing)
    assert len(urls(api.get("Medication?_contained=true"))) == 3


def test_where_nothing_is_contained_a_chain_does_not_look(database):
    contained.learn()
    from records.search import compile

    query = parse("MedicationStatement", [("medication.code", "x")])
    assert "contained" not in compile.page(query, Everything()).text


@pytest.mark.parametrize("lost", [f"DELETE FROM {table} WHERE resource < 0" for table in ("token", "reference")]
                         + ["DELETE FROM contained", "DELETE FROM contained_kind",
                            "UPDATE contained SET occurred = 7", "INSERT INTO contained VALUES (-5, 9999, 1, '', 0)",
                            "INSERT INTO uri (resource, param, n, value) VALUES (-5, 7, 0, 'x')"])  # fmt: skip
def test_drift_is_seen_and_repaired(api, lost):
    assert not drift.check().differences
    execute(lost)
    assert drift.check(repair=True).differences
    assert not drift.check().differences
    stored.learn()
    assert len(urls(api.get("MedicationStatement?medication.code=x"))) == 2


def test_a_parameter_of_ones_own(api):
    amount = {
        "resourceType": "SearchParameter", "url": "http://example.org/SearchParameter/amount", "name": "amount",
        "status": "active", "description": "Amount", "code": "amount", "base": ["Medication"], "type": "quantity",
        "expression": "Medication.amount.numerator",
    }  # fmt: skip
    id = api.post("SearchParameter", amount).tree["id"]
    work()
    asked = "Medication?amount=1&_contained=true&_containedType=contained"
    assert len(urls(api.get(asked))) == 5
    assert len(urls(api.get("MedicationStatement?medication.amount=1"))) == 3
    api.delete(f"SearchParameter/{id}")
    work()
    assert execute("SELECT count(*) FROM quantity WHERE resource < 0") == [(0,)]
    assert not drift.check().differences


def work():
    indexed()
    while jobs.unfinished():
        jobs.advance()
        indexed()


def test_what_the_container_has_no_longer_is_not_shown(api):
    """Between a write and its index rows, outside a request that waits for them."""
    api.put("MedicationStatement/s3", statement("s3", "p", "z"))
    query = parse("Medication", [("code", "x"), ("_contained", "true"), ("_containedType", "contained")])
    assert sorted(row.within[1] for row in run(query, Everything()).rows) == ["s1", "s2"]
