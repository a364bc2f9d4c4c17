"""Searches of several types, of compartments, with includes; pages back and forth: as a client sees them."""

import json
import threading
from pathlib import Path

import pytest

from records.database.session import Session
from tests.api import Api

from .conftest import put

GIVEN = json.loads((Path(__file__).parents[2] / "fixtures" / "cases" / "search_endpoint.json").read_text())


@pytest.fixture
def api(database):
    api = Api()
    put(*GIVEN)
    return api


def names(answer, mode="match"):
    assert answer.status_code == 200, answer.content
    return sorted(
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in answer.tree.get("entry", ())
        if e["search"]["mode"] == mode
    )


def link(answer, relation):
    found = [each["url"] for each in answer.tree["link"] if each["relation"] == relation]
    return found[0].partition("/fhir")[2].lstrip("/") if found else None


ALL = sorted(f"{r['resourceType']}/{r['id']}" for r in GIVEN)
CASES = {
    "": ALL,
    "?_type=Patient,Condition": ["Condition/c1", "Patient/p1", "Patient/p2"],
    "?_tag=x": ["Patient/p2", "Practitioner/d1"],
    "?_id=p1": ["Patient/p1"],
    "?_lastUpdated=gt2020": ALL,
    "?_text=nowhere": [],  # a Binary has no narrative, which is no reason to leave it out
    "?_lastUpdated=lt2020": [],
    "?_type=Observation,Condition&patient=p1": ["Condition/c1", "Observation/o1", "Observation/o2"],
    "?_type=Observation,Condition&patient.gender=female": ["Observation/o3"],
    "?_type=Patient&_has:Observation:patient:status=amended": ["Patient/p1"],
    "Patient/p1/Observation": ["Observation/o1", "Observation/o2"],
    "Patient/p1/Observation?status=amended": ["Observation/o2"],
    "Patient/p1/Observation?date=ge2020-06": ["Observation/o2"],
    "Patient/p1/Observation?_id=o1": ["Observation/o1"],
    "Patient/p1/Observation?_id=o3": [],
    "Patient/p1/Observation?_sort=date": ["Observation/o1", "Observation/o2"],
    "Patient/p1/Appointment": ["Appointment/a1"],
    "Patient/p2/Appointment": ["Appointment/a1"],
    "Patient/p1/Linkage": [],  # R4 has no Linkage in the compartment
    "Patient/p1/Patient": ["Patient/p1"],  # a link between identities carries no right
    "Patient/p1/Practitioner": [],
    "Patient/p1/*": [
        "Appointment/a1",
        "Condition/c1",
        "Encounter/e1",
        "Observation/o1",
        "Observation/o2",
        "Patient/p1",
    ],
    "Patient/p1/*?_type=Condition,Encounter": ["Condition/c1", "Encounter/e1"],
    "Patient/nobody/Observation": [],
    "Patient/nobody/*": [],
    "Encounter/e1/Observation": ["Observation/o1"],
    "Encounter/e1/*": ["Condition/c1", "Encounter/e1", "Observation/o1"],
    "Encounter/e1/Encounter": ["Encounter/e1"],
    "Practitioner/d1/Observation?status=final": ["Observation/o1"],
    "Practitioner/d1/*": ["Observation/o1", "Practitioner/d1"],
    "Device/v1/*": ["Observation/o2"],
    "RelatedPerson/r/*": [],
}


def test_searches_of_several_types_and_of_compartments(api):
    for path, expected in CASES.items():
        expected = sorted(expected)
        assert names(api.get(path)) == expected, path
        assert api.get(path + ("&" if "?" in path else "?") + "_total=accurate").tree["total"] == len(expected), path
        head, _, form = path.partition("?")
        posted = api.request("POST", f"{head}/_search".lstrip("/"), form.encode(), "application/x-www-form-urlencoded")
        assert names(posted) == expected, path


def test_what_is_asked_of_all_types_must_be_known_to_all(api):
    strict = {"Prefer": "handling=strict"}
    assert api.get("?gender=male", **strict).status_code == 400
    warned = api.get("?_type=Patient,Condition&gender=male")
    assert names(warned) == ["Condition/c1", "Patient/p1", "Patient/p2"]
    assert "Ignored" in str(warned.tree["entry"][-1])
    assert api.get("?_type=Patient,Nonsense").status_code == 400
    assert api.get("?_type=Patient,Observation&_sort=date", **strict).status_code == 400
    assert api.get("Patient/p1/Nonsense").status_code == 404


def shown(answer, n=0):
    return set(answer.tree["entry"][n]["resource"]) - {"resourceType", "id", "meta"}


def said(answer):
    last = answer.tree["entry"][-1]
    return str(last["resource"]["issue"]) if last["search"]["mode"] == "outcome" else ""


def test_elements_by_the_names_that_people_use(api):
    strict = {"Prefer": "handling=strict"}
    for asked in ("gender", "Patient.gender", "gender.extension", "gender,Patient.id", "gender&_elements=gender"):
        answer = api.get(f"Patient?_id=p1&_elements={asked}", **strict)
        assert shown(answer) == {"gender"} and not said(answer), asked
    assert shown(api.get("Patient?_id=p1&_elements=gender&_elements=link")) == {"gender", "link"}
    answer = api.get("Observation?_id=o1&_include=Observation:patient&_elements=Observation.status,link")
    assert (shown(answer), shown(answer, 1)) == ({"status", "code"}, {"link"})
    answer = api.get("?_type=Patient,Observation&_id=p1,o1&_sort=_id&_elements=Observation.subject,gender", **strict)
    assert (shown(answer), shown(answer, 1)) == ({"status", "code", "subject"}, {"gender"})
    answer = api.get("Patient?_id=p1&_elements=gender,bogus")
    assert shown(answer) == {"gender"} and "bogus" in said(answer)
    assert api.get("Patient?_id=p1&_elements=bogus", **strict).status_code == 400
    answer = api.get("Patient?_id=p1&_elements=gender&_summary=text")
    assert shown(answer) == {"gender"} and "_summary=text" in said(answer)


def test_what_may_be_given_once_and_what_says_nothing(api):
    strict = {"Prefer": "handling=strict"}
    for asked, words in (("_count=2&_count=1", "_count=2: it is given again"), ("_total=none&_total=accurate", "again"),
                         ("_sort:desc=_id", "'desc' does not apply"), ("_list:not=x", "'not' does not apply"),
                         ("gender=", "gender has no value")):  # fmt: skip
        answer = api.get(f"Patient?{asked}")
        assert answer.status_code == 200 and words in said(answer), asked
        assert asked.partition("&")[0] not in link(answer, "self")
        assert api.get(f"Patient?{asked}", **strict).status_code == 400
    assert not said(api.get("Patient?_count=1&_count=1", **strict))
    ordered = [e["resource"]["id"] for e in api.get("Patient?_sort=active&_sort=-_id", **strict).tree["entry"]]
    assert ordered == ["p2", "p1"]
    assert api.get("Patient?_has=x").status_code == 400
    answer = api.get("Patient?_sort=" + ",".join(["_id", "gender"] * 11))
    assert answer.tree["issue"][0]["code"] == "too-costly"
    assert "_query" not in said(api.get("Patient?nonsense=1")), "it is no parameter that anybody can use"


def test_what_is_named_below_the_base_of_the_client_is_here(api):
    at = "http://testserver/fhir"
    for asked, expected in (
        (f"Observation?subject={at}/Patient/p1", ["Observation/o1", "Observation/o2"]),
        (f"Observation?subject:Patient={at}/Patient/p1", ["Observation/o1", "Observation/o2"]),
        (f"Observation?patient=Patient/p2,{at}/Patient/p1", ["Observation/o1", "Observation/o2", "Observation/o3"]),
        (f"Patient?_has:Observation:patient:encounter={at}/Encounter/e1", ["Patient/p1"]),
        (f"Observation?encounter.subject={at}/Patient/p1", ["Observation/o1"]),
        (f"?_type=Observation,Condition&patient={at}/Patient/p2", ["Observation/o3"]),
        ("Observation?subject=http://elsewhere/fhir/Patient/p1", []),
        (f"Observation?subject:identifier={at}/Patient/p1", []),
    ):
        assert names(api.get(asked)) == expected, asked


def test_rights_come_before_the_match(api):
    own = Api("patient/*.rs", patient="p2")
    assert names(own.get("")) == ["Appointment/a1", "Linkage/l1", "Observation/o3", "Patient/p2"]
    assert own.get("?_total=accurate").tree["total"] == 4
    assert names(own.get("Patient/p1/*")) == ["Appointment/a1"], "it is of both"
    assert names(own.get("Patient/p1/Observation")) == names(own.get("Patient/nobody/Observation")) == []
    types = Api("system/Observation.rs")
    assert names(types.get("")) == ["Observation/o1", "Observation/o2", "Observation/o3"]
    assert names(types.get("Encounter/e1/*")) == ["Observation/o1"]
    assert types.get("Patient/p1/Condition").status_code == 403


@pytest.mark.parametrize("order", ["code", "-code,_id", "status", "_id", "date", "-_lastUpdated", "patient"])
def test_an_order_beside_criteria_whatever_one_may_see(api, order):
    """Each start of a walk, with criteria left to judge; of everybody's records, and of one."""
    for asked in ("status=final&patient:missing=false", "status=final,amended&date:missing=false",
                  "patient=p1&status=final", "status:not=amended&patient=p1,p2"):  # fmt: skip
        plain = names(api.get(f"Observation?{asked}"))
        assert names(api.get(f"Observation?{asked}&_sort={order}")) == plain and plain
        own = Api("patient/*.rs", patient="p1")
        assert names(own.get(f"Observation?{asked}&_sort={order}")) == names(own.get(f"Observation?{asked}"))


def test_included_resources_come_with_their_mode_and_within_the_access(api):
    asked = "Observation?_id=o1&_include=Observation:patient&_include=Observation:performer"
    answer = api.get(asked)
    assert (names(answer), names(answer, "include")) == (["Observation/o1"], ["Patient/p1", "Practitioner/d1"])
    assert names(Api("system/Observation.rs").get(asked), "include") == []
    answer = api.get("?_type=Patient,Practitioner&_id=p2&_revinclude=Observation:patient")
    assert (names(answer), names(answer, "include")) == (["Patient/p2"], ["Observation/o3"])


def test_more_than_can_be_asked_at_once_is_told_so(api):
    """And is no sign that the database is away; a list of codes or ids may be long."""
    form = "application/x-www-form-urlencoded"
    many = [f"a{n}" for n in range(20_000)]
    for type, asked, status in (
        ("Patient", "name=" + ",".join(many), 400),
        ("Patient", "birthdate=" + ",".join(["2000"] * 1001), 400),
        ("Patient", "&".join(f"gender:not={each}" for each in many[:501]), 400),
        ("Patient", "_filter=" + " or ".join(f"gender eq {each}" for each in many[:600]), 400),
        ("Patient", "&".join(["name=" + ",".join(many[:900])] * 50), 400),
        ("Patient", "name=" + ",".join(many[:900]), 200),
        ("Patient", "gender=" + ",".join(many), 200),
        ("Patient", "_id=" + ",".join(many), 200),
        ("Observation", "subject=" + ",".join(many), 200),
    ):
        answer = api.request("POST", f"{type}/_search", asked.encode(), form)
        assert answer.status_code == status, (asked[:40], answer.content[:200])
        assert status == 200 or answer.tree["issue"][0]["code"] == "too-costly"


def test_what_is_kept_elsewhere_is_not_searched_by_the_way(api):
    """There are AuditEvents, and an answer without them would be wrong."""
    for asked in ("Patient?_has:AuditEvent:entity:agent=x", "?_type=Patient,AuditEvent",
                  "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=x",
                  "Provenance?entity:AuditEvent.date=2020"):  # fmt: skip
        answer = api.get(asked)
        assert answer.status_code == 400 and "AuditEvent?..." in str(answer.tree["issue"]), asked
    for asked in ("_revinclude=AuditEvent:entity", "_revinclude:iterate=AuditEvent:*"):
        answer = api.get(f"Patient?{asked}")
        assert names(answer) == ["Patient/p1", "Patient/p2"] and "AuditEvent?..." in said(answer)
        assert api.get(f"Patient?{asked}", prefer="handling=strict").status_code == 400


def test_links_keep_the_format_that_the_url_asked_for(api):
    for path in ("Patient?_format=xml&_count=1", "Patient/p1/$everything?_format=xml&_count=1",
                 "Patient/_history?_format=xml&_count=1"):  # fmt: skip
        _, _, rest = api.get(path).content.decode().partition('<relation value="next"/><url value="')
        following = rest.partition('"')[0]
        answer = api.get(following.partition("/fhir/")[2].replace("&amp;", "&"))
        assert answer.status_code == 200 and answer.content.startswith(b"<?xml"), path


@pytest.mark.parametrize("path", ["?_count=3", "?_count=2&_sort=_id", "Observation?_count=1&_sort=-date",
                                  "Patient/p1/*?_count=2", "Patient/p1/Observation?_count=1",
                                  "?_type=Observation,Condition&_sort=-_lastUpdated,_id&_count=2"])  # fmt: skip
def test_pages_forth_and_back(api, path):
    forth, answer = [], api.get(path)
    assert link(answer, "previous") is None
    forth.append(answer.tree["entry"])
    while following := link(answer, "next"):
        answer = api.get(following)
        forth.append(answer.tree["entry"])
    assert len(forth) > 1
    back = [forth[-1]]
    while preceding := link(answer, "previous"):
        answer = api.get(preceding)
        back.append(answer.tree["entry"])
        assert link(answer, "next")
    assert back[::-1] == forth
    whole = [entry for page in forth for entry in page]
    assert len({e["fullUrl"] for e in whole}) == len(whole)


@pytest.mark.parametrize(
    ("query", "meant"),
    [("Patient?nme=x", "name"), ("Patient?birthDate=2000", "birthdate"), ("Patient?_sort=familly", "family"),
     ("Observation?patient.nme=x", None), ("Patient?zzzzzz=x", None)],
)  # fmt: skip
def test_the_parameter_that_was_meant_is_named(api, query, meant):
    answer = api.get(query, prefer="handling=strict")
    told = answer.tree["issue"][0]["diagnostics"]
    assert answer.status_code == 400 and ("did you mean" in told) == (meant is not None)
    assert meant is None or f"did you mean {meant!r}?" in told


def test_a_page_takes_one_round_trip(api, monkeypatch):
    """Who asks, what waits to be indexed, the parameters as they are, the page: one after the other in one."""
    trips, here, trip = [], threading.get_ident(), Session._trip

    def counted(self, *args):
        if threading.get_ident() == here:  # the record is written by the Recorder
            trips.append(args)
        return trip(self, *args)

    path = "Observation?patient=p1&_sort=-date&_count=2"
    assert names(api.get(path)) == ["Observation/o1", "Observation/o2"]
    monkeypatch.setattr(Session, "_trip", counted)
    assert names(api.get(path)) == ["Observation/o1", "Observation/o2"]
    assert len(trips) == 1


def test_a_page_that_was_looked_for_too_early_is_looked_for_again(api):
    """What it is begun without waiting for: a write that waits, a parameter that another process has learnt of."""
    assert api.put("Observation/late", {"resourceType": "Observation", "id": "late", "status": "amended",
                                        "code": {"text": "x"}, "subject": {"reference": "Patient/p1"}},
                   ).status_code == 201  # fmt: skip
    assert "Observation/late" in names(api.get("Observation?patient=p1"))
