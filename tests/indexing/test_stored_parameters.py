"""SearchParameters that users store: checked, indexed by a job, usable when it is done, gone without a trace."""

import pytest

from records.access import Everything
from records.database import execute
from records.indexing import jobs
from records.indexing.rows import TABLES
from records.search import stored
from tests.api import Api, indexed

NICKNAME = {
    "resourceType": "SearchParameter", "id": "nickname", "url": "http://example.org/SearchParameter/nickname",
    "name": "nickname", "status": "active", "description": "Nickname", "code": "nickname", "base": ["Patient"],
    "type": "string", "expression": "Patient.name.where(use = 'nickname').given",
}  # fmt: skip


OFFICIAL = "http://hl7.org/fhir/SearchParameter"


def composite(*parts, **change):
    """A composite of gender and of (definition, expression)."""
    given = [(f"{OFFICIAL}/individual-gender", "gender"), *parts]
    component = [{"definition": url, "expression": text} for url, text in given]
    return {"type": "composite", "expression": "Patient", "component": component} | change


def patient(n, nickname="Zaz"):
    return {"resourceType": "Patient", "id": f"p{n}", "name": [{"use": "nickname", "given": [nickname]}]}


@pytest.fixture
def api(database):
    stored.learn()
    yield Api()
    execute("DELETE FROM registry")
    stored.learn()


def work():
    """What the worker does until nothing is left."""
    indexed()
    for _ in range(100):
        if not jobs.advance() and not jobs.unfinished():
            return
        indexed()
    pytest.fail("the jobs do not end")


def ids(answer):
    assert answer.status_code == 200, answer.content
    return sorted(e["resource"]["id"] for e in answer.tree.get("entry", ()) if e["search"]["mode"] == "match")


def rows_of(key):
    return sum(execute(f"SELECT count(*) FROM {table} WHERE param = %s", (key,))[0][0] for table in TABLES)


def listed(api):
    resources = api.get("metadata").tree["rest"][0]["resource"]
    return {p["name"]: p["definition"] for r in resources if r["type"] == "Patient" for p in r["searchParam"]}


def test_usable_when_indexed_and_gone_when_deleted(api):
    for n in range(3):
        api.put(f"Patient/p{n}", patient(n))
    indexed()
    assert "nickname" not in listed(api)
    made = api.post("SearchParameter", NICKNAME)
    assert made.status_code == 201, made.content

    answer = api.get("Patient?nickname=zaz")
    issue = answer.tree["entry"][-1]["resource"]["issue"][0]
    assert (issue["severity"], "being indexed" in issue["diagnostics"]) == ("warning", True)
    assert api.get("Patient?nickname=zaz", prefer="handling=strict").status_code == 400
    assert "nickname" not in listed(api)
    api.put("Patient/p3", patient(3))  # written meanwhile
    work()

    assert ids(api.get("Patient?nickname=zaz", prefer="handling=strict")) == ["p0", "p1", "p2", "p3"]
    assert listed(api)["nickname"] == NICKNAME["url"]
    api.put("Patient/p4", patient(4))
    assert ids(api.get("Patient?nickname=zaz")) == ["p0", "p1", "p2", "p3", "p4"]

    [(key,)] = execute("SELECT key FROM stored_parameter")
    assert rows_of(key) == 5
    assert api.delete(f"SearchParameter/{made.tree['id']}").status_code == 204
    assert api.get("Patient?nickname=zaz", prefer="handling=strict").status_code == 400
    assert "nickname" not in listed(api)
    work()
    assert rows_of(key) == 0


def test_a_change_of_what_it_means_is_indexed_again_one_of_its_words_is_not(api):
    api.put("Patient/p0", {**patient(0), "name": [{"use": "usual", "given": ["Léo"]}]})
    api.put("SearchParameter/nickname", NICKNAME)
    work()
    assert ids(api.get("Patient?nickname=leo")) == []
    before = len(jobs.listed())
    api.put("SearchParameter/nickname", {**NICKNAME, "description": "In other words"})
    assert len(jobs.listed()) == before
    assert ids(api.get("Patient?nickname=leo", prefer="handling=strict")) == []
    api.put("SearchParameter/nickname", {**NICKNAME, "expression": "Patient.name.given"})
    assert api.get("Patient?nickname=leo", prefer="handling=strict").status_code == 400
    work()
    assert ids(api.get("Patient?nickname=leo", prefer="handling=strict")) == ["p0"]
    api.put("SearchParameter/nickname", {**NICKNAME, "status": "retired"})
    assert api.get("Patient?nickname=leo", prefer="handling=strict").status_code == 400


def test_of_another_kind_and_on_several_types(api):
    api.put("Patient/p0", {**patient(0), "active": True})
    api.put("Practitioner/d", {"resourceType": "Practitioner", "id": "d", "active": True})
    both = {**NICKNAME, "base": ["Patient", "Practitioner"], "type": "token", "code": "works",
            "expression": "Patient.active | Practitioner.active"}  # fmt: skip
    assert api.put("SearchParameter/nickname", both).status_code == 201
    work()
    assert ids(api.get("Patient?works=true")) == ["p0"]
    assert ids(api.get("Practitioner?works=true")) == ["d"]
    api.put("SearchParameter/nickname", {**both, "base": ["Practitioner"]})
    work()
    assert api.get("Patient?works=true", prefer="handling=strict").status_code == 400
    assert ids(api.get("Practitioner?works=true", prefer="handling=strict")) == ["d"]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"expression": "Patient.nonsense"}, "compile"),
        ({"expression": "Patient.name.where("}, "compile"),
        ({"expression": "Patient.name.given)"}, "compile"),
        ({"expression": None}, "expression"),
        ({"expression": "Patient.name.given.where($this.matches('(a+)+b'))"}, "cost"),
        ({"expression": "Patient.descendants()"}, "cost"),
        ({"expression": "Patient.name.given | " * 200 + "Patient.name.given"}, "2000"),
        ({"code": "a b"}, "code"),
        ({"code": "_x"}, "A-Z"),
        ({"code": "gender", "type": "token", "expression": "Patient.gender"}, "R4"),
        ({"code": "identifier"}, "identifier"),
        ({"type": "special"}, "special"),
        ({"type": "date"}, "date"),
        ({"type": "quantity"}, "quantity"),
        ({"type": "reference", "target": ["Nobody"]}, "Nobody"),
        ({"type": "composite"}, "composite"),
        (composite((f"{OFFICIAL}/individual-family", "nonsense")), "nonsense"),
        (composite((f"{OFFICIAL}/individual-family", "name.family.first()")), "first"),
        (composite((f"{OFFICIAL}/individual-family", "name.exists()")), "exists"),
        (composite((f"{OFFICIAL}/nothing", "name.family")), "nothing"),
        (composite((f"{OFFICIAL}/individual-family", "family"), expression="Patient.name.first()"), "path"),
        (composite(*[(f"{OFFICIAL}/individual-birthdate", "birthDate")] * 3), "two"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_refused(api, change, said):
    given = {k: v for k, v in {**NICKNAME, **change}.items() if v is not None}
    answer = api.put("SearchParameter/nickname", given)
    assert answer.status_code in (400, 422), answer.content
    assert said in str(answer.tree["issue"])
    draft = api.put("SearchParameter/nickname", {**given, "status": "draft"})
    assert draft.status_code in (201, 400, 422), "a draft is kept, if it is a SearchParameter at all"
    assert not execute("SELECT 1 FROM stored_parameter")


def test_two_with_one_code(api):
    assert api.put("SearchParameter/nickname", NICKNAME).status_code == 201
    other = {**NICKNAME, "id": "other", "url": "http://example.org/other"}
    answer = api.put("SearchParameter/other", other)
    assert answer.status_code == 422 and answer.tree["issue"][0]["code"] == "duplicate"
    assert api.put("SearchParameter/other", {**other, "status": "draft"}).status_code == 201


def test_only_who_may_write_them(api):
    answer = Api("system/Patient.cruds", name="other").put("SearchParameter/nickname", NICKNAME)
    assert answer.status_code == 403
    assert Api("patient/*.cruds", name="phone", patient="p0").post("SearchParameter", NICKNAME).status_code == 403


def test_a_refused_transaction_leaves_the_registry_alone(api):
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": NICKNAME, "request": {"method": "PUT", "url": "SearchParameter/nickname"}},
        {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}},
    ]}  # fmt: skip
    assert api.post("", bundle).status_code == 400
    assert not execute("SELECT 1 FROM registry") and not jobs.listed()


def test_one_that_fails_on_too_many_is_switched_off(api, monkeypatch):
    monkeypatch.setattr(jobs, "MOST_FAILED", 2)
    for n in range(5):
        api.put(f"Patient/p{n}", {**patient(n), "contact": [{"name": {"text": "a"}}, {"name": {"text": "b"}}]})
    indexed()
    failing = {**NICKNAME, "expression": "Patient.contact.name.text.substring(0)"}  # of a collection: an error
    assert api.put("SearchParameter/nickname", failing).status_code == 201
    work()
    assert jobs.listed()[-1].state == "failed" and "evaluated" in jobs.listed()[-1].error
    work()
    assert execute("SELECT count(*) FROM pending") == [(0,)], "writes are indexed without it"
    assert ids(api.get("Patient?name=zaz")) == [f"p{n}" for n in range(5)]


def test_what_a_process_knows_follows_the_database(api):
    api.put("SearchParameter/nickname", NICKNAME)
    work()
    from records.search import parameters, search

    parameters.use((), 0)  # as another process, which has not heard of it
    assert ids(api.get("Patient?nickname=zaz", prefer="handling=strict")) == []
    parameters.use((), 0)
    api.put("Patient/p9", patient(9))
    parameters.use((), 0)
    indexed()  # the worker learns it too
    assert [row.id for row in search("Patient", [("nickname", "zaz")], Everything(), strict=True).rows] == ["p9"]


def test_an_extension_and_a_composite(api):
    """The example of the documentation, and pairs of values of one group."""
    url = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
    name = {"resourceType": "Patient", "id": "p0", "extension": [{"url": url, "valueString": "Lefèvre"}]}
    assert api.put("Patient/p0", name).status_code == 201
    maiden = {**NICKNAME, "id": "maiden", "url": "http://example.org/maiden", "code": "mothers-maiden-name",
              "expression": f"Patient.extension('{url}').value"}  # fmt: skip
    assert api.put("SearchParameter/maiden", maiden).status_code == 201
    pair = {**NICKNAME, "id": "pair", "url": "http://example.org/pair", "code": "gender-family",
            **composite((f"{OFFICIAL}/individual-family", "name.family"))}  # fmt: skip
    assert api.put("SearchParameter/pair", pair).status_code == 201
    api.put("Patient/p1", {"resourceType": "Patient", "id": "p1", "gender": "male", "name": [{"family": "A"}]})
    work()
    assert ids(api.get("Patient?mothers-maiden-name=lefevre", prefer="handling=strict")) == ["p0"]
    assert ids(api.get("Patient?gender-family=male$a", prefer="handling=strict")) == ["p1"]


def test_what_a_composite_is_made_of_changes_and_stays(api):
    """While a part is made anew its type goes on to be indexed; the part cannot go before the composite."""
    api.put("Patient/p0", {**patient(0), "gender": "male"})
    assert api.put("SearchParameter/nickname", NICKNAME).status_code == 201
    work()
    pair = {**NICKNAME, "id": "pair", "url": "http://example.org/pair", "code": "gender-nickname",
            **composite((NICKNAME["url"], "name.given"))}  # fmt: skip
    assert api.put("SearchParameter/pair", pair).status_code == 201
    work()
    assert ids(api.get("Patient?gender-nickname=male$zaz", prefer="handling=strict")) == ["p0"]
    changed = {**NICKNAME, "expression": "Patient.name.given"}
    assert api.put("SearchParameter/nickname", changed).status_code == 200
    api.put("Patient/p1", {**patient(1), "gender": "male"})
    assert ids(api.get("Patient?name=zaz")) == ["p0", "p1"]
    work()
    assert {job.state for job in jobs.listed()} == {"done"}
    assert ids(api.get("Patient?gender-nickname=male$zaz", prefer="handling=strict")) == ["p0", "p1"]
    for refused in (api.delete("SearchParameter/nickname"),
                    api.put("SearchParameter/nickname", {**changed, "status": "retired"}),
                    api.put("SearchParameter/nickname", {**changed, "url": "http://example.org/else"})):  # fmt: skip
        assert refused.status_code == 409 and "gender-nickname" in str(refused.tree["issue"])
    assert api.delete("SearchParameter/pair").status_code == 204
    assert api.delete("SearchParameter/nickname").status_code == 204


def test_a_composite_goes_with_a_part_that_is_switched_off(api, monkeypatch):
    assert api.put("SearchParameter/nickname", NICKNAME).status_code == 201
    work()
    pair = {**NICKNAME, "id": "pair", "url": "http://example.org/pair", "code": "gender-nickname",
            **composite((NICKNAME["url"], "name.given"))}  # fmt: skip
    assert api.put("SearchParameter/pair", pair).status_code == 201
    work()
    api.put("SearchParameter/nickname", {**NICKNAME, "expression": "Patient.name.given"})
    assert jobs.cancel(jobs.listed()[1].id)
    work()
    api.put("Patient/p0", {**patient(0), "gender": "male"})
    assert ids(api.get("Patient?name=zaz")) == ["p0"]
    assert api.get("Patient?gender-nickname=male$zaz", prefer="handling=strict").status_code == 400
    api.put("SearchParameter/nickname", NICKNAME)
    work()
    assert ids(api.get("Patient?gender-nickname=male$zaz", prefer="handling=strict")) == ["p0"]


def test_one_that_is_usable_stays_so_while_its_rows_are_made_anew(api):
    api.put("Patient/p0", patient(0))
    assert api.put("SearchParameter/nickname", NICKNAME).status_code == 201
    work()
    assert api.post("Patient/$reindex?parameter=nickname", {"resourceType": "Parameters"}).status_code == 202
    assert ids(api.get("Patient?nickname=zaz", prefer="handling=strict")) == ["p0"]
    work()
    assert jobs.listed()[0].state == "done"
    assert ids(api.get("Patient?nickname=zaz", prefer="handling=strict")) == ["p0"]


def test_a_reference_to_resources_of_any_type(api):
    """As when it names no target."""
    api.put("Organization/g", {"resourceType": "Organization", "id": "g", "name": "Clinique"})
    api.put("Patient/p0", {**patient(0), "managingOrganization": {"reference": "Organization/g"}})
    given = {**NICKNAME, "code": "cared-by", "type": "reference", "expression": "Patient.managingOrganization",
             "target": ["Resource"]}  # fmt: skip
    assert api.put("SearchParameter/nickname", given).status_code == 201
    work()
    for asked in ("cared-by=g", "cared-by=Organization/g", "cared-by:Organization=g", "_sort=cared-by",
                  "cared-by:Organization.name=clinique", "_sort=cared-by:Organization.name"):  # fmt: skip
        assert ids(api.get(f"Patient?{asked}", prefer="handling=strict")) == ["p0"], asked
    assert ids(api.get("Organization?_has:Patient:cared-by:name=zaz", prefer="handling=strict")) == ["g"]
