"""Patient/$everything: whole, once, in order, and no more than the caller may see."""

import pytest

from tests.api import Api, indexed

REFERRED = ["Organization/org", "Practitioner/doc"]


def observation(n, patient="p", **more):
    return {
        "resourceType": "Observation", "id": f"{patient}-o{n}", "status": "final", "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": f"2020-01-{n + 1:02}", **more,
    }  # fmt: skip


RESOURCES = [
    {"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": "Organization/org"}},
    {"resourceType": "Patient", "id": "q"},
    {"resourceType": "Organization", "id": "org", "name": "A"},
    {"resourceType": "Organization", "id": "other", "name": "B"},
    {"resourceType": "Practitioner", "id": "doc"},
    *(observation(n, performer=[{"reference": "Practitioner/doc"}]) for n in range(5)),
    observation(0, "q"),
    {
        "resourceType": "Encounter", "id": "e", "status": "in-progress", "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p"}, "period": {"start": "2019-01-01"},
    },
    {
        "resourceType": "Appointment", "id": "both", "status": "proposed",
        "participant": [
            {"actor": {"reference": "Patient/q"}, "status": "accepted"},
            {"actor": {"reference": "Patient/p"}, "status": "accepted"},
        ],
    },
    {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p"}},
]  # fmt: skip
OBSERVATIONS = [f"Observation/p-o{n}" for n in (4, 3, 2, 1, 0)]
RECORD = ["Patient/p", "Appointment/both", "Condition/c", "Encounter/e", *OBSERVATIONS, *REFERRED]


@pytest.fixture
def api(database):
    api = Api()
    for each in RESOURCES:
        assert api.put(f"{each['resourceType']}/{each['id']}", each).status_code == 201
    indexed()
    return api


def names(bundle):
    return [e["fullUrl"].removeprefix("http://testserver/fhir/") for e in bundle.get("entry", ()) if "fullUrl" in e]


def pages(api, path):
    found, seen = [], 0
    while path:
        answer = api.get(path)
        assert answer.status_code == 200, answer.content
        found.append(names(answer.tree))
        following = [link["url"] for link in answer.tree["link"] if link["relation"] == "next"]
        path = following[0].removeprefix("http://testserver/fhir/") if following else None
        seen += 1
        assert seen < 50
    return found


CASES = [
    ("", RECORD),
    ("_type=Observation,Practitioner", [r for r in RECORD if r.startswith(("Obs", "Pract"))]),
    ("_type=Patient", ["Patient/p"]),
    ("_type=Medication", []),
    ("start=2020-01-03&_type=Observation", ["Observation/p-o4", "Observation/p-o3", "Observation/p-o2"]),
    ("start=2020-01-05&_type=Encounter,Condition", ["Condition/c", "Encounter/e"]),
    ("end=2020-01-02&_type=Observation,Encounter", ["Encounter/e", "Observation/p-o1", "Observation/p-o0"]),
    ("end=2018&_type=Encounter,Condition", ["Condition/c"]),
    ("_since=2100-01-01T00:00:00Z", []),
    ("_since=2000-01-01T00:00:00Z&_type=Condition", ["Condition/c"]),
]


def test_what_is_in_it(api):
    for query, expected in CASES:
        assert pages(api, f"Patient/p/$everything?{query}") == [expected], query


def test_pages_sum_to_the_whole_and_none_is_empty(api):
    for size in (1, 2, 3, 9, 10, 11, 12):
        found = pages(api, f"Patient/p/$everything?_count={size}")
        assert [name for page in found for name in page] == RECORD
        assert all(len(page) == size for page in found[:-1]) and found[-1]


def test_a_page_link_is_for_who_received_it(api):
    first = api.get("Patient/p/$everything?_count=2").tree
    following = first["link"][1]["url"].removeprefix("http://testserver/fhir/")
    assert Api(name="another").get(following).status_code == 400
    assert api.get(following.replace("Patient/p/", "Patient/q/")).status_code == 400


def test_by_post_as_by_get(api):
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Condition"}]}
    assert names(api.post("Patient/p/$everything", body).tree) == ["Condition/c"]


def test_what_the_caller_may_not_see_is_not_there(api):
    own = Api("patient/*.rs", name="phone", patient="q")
    absent, hidden = own.get("Patient/nobody/$everything"), own.get("Patient/p/$everything")
    assert absent.status_code == hidden.status_code == 404
    assert absent.content.replace(b"nobody", b"p") == hidden.content
    expected = ["Patient/q", "Appointment/both", "Observation/q-o0"]
    assert names(own.get("Patient/q/$everything").tree) == expected
    assert names(own.get("Patient/$everything").tree) == expected
    some = Api("system/Patient.rs system/Condition.rs system/Practitioner.rs", name="some")
    assert names(some.get("Patient/p/$everything").tree) == ["Patient/p", "Condition/c"], "hidden rows refer to nobody"


def test_all_patients_at_once_are_refused(api):
    answer = api.get("Patient/$everything")
    assert answer.status_code == 400 and answer.tree["issue"][0]["code"] == "too-costly"


def test_a_deleted_patient_is_gone(api):
    api.delete("Patient/p")
    assert api.get("Patient/p/$everything").status_code == 410


def test_unknown_parameters_are_told(api):
    answer = api.get("Patient/p/$everything?_typ=Condition")
    assert any("_typ" in i["diagnostics"] for i in answer.tree["entry"][-1]["resource"]["issue"])
    assert api.get("Patient/p/$everything?_typ=Condition", prefer="handling=strict").status_code == 400
    for wrong in ("_type=Nonsense", "start=yesterday", "_since=x", "_count=-1"):
        assert api.get(f"Patient/p/$everything?{wrong}").status_code == 400, wrong
