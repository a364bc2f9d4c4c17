"""Observation/$lastn: so many of each code, newest first. (operation-observation-lastn.html)"""

import pytest

from accessctl.labels import VISIBILITY
from tests.accessctl.people import World
from tests.api import Api, indexed

LOINC, LOCAL = "http://loinc.org", "urn:local"


def observation(id, day, *codings, text=None, patient="p", category="vital-signs"):
    code = {"coding": [{"system": s, "code": c, "display": id} for s, c in codings]} if codings else {}
    return {
        "resourceType": "Observation", "id": id, "status": "final", "code": code | ({"text": text} if text else {}),
        "subject": {"reference": f"Patient/{patient}"}, "category": [{"coding": [{"code": category}]}],
        **({"effectiveDateTime": day} if day else {}),
    }  # fmt: skip


HEART, WEIGHT, OURS = (LOINC, "8867-4"), (LOINC, "29463-7"), (LOCAL, "hr")
RESOURCES = [
    {"resourceType": "Patient", "id": "p"},
    {"resourceType": "Patient", "id": "q"},
    observation("h1", "2020-01-01", HEART),
    observation("h2", "2020-01-02", HEART),
    observation("h3", "2020-01-03", OURS),
    observation("h4", "2020-01-04", HEART, OURS),  # makes the codes of h1, h2 and h3 one group
    observation("w1", "2020-01-01", WEIGHT),
    observation("w2a", "2020-01-05", WEIGHT),
    observation("w2b", "2020-01-05", WEIGHT),
    observation("t1", "2020-01-01", text="Text"),
    observation("t2", "2020-01-02", text="text"),
    observation("n", None, text="Text"),
    observation("lab", "2020-02-01", (LOINC, "718-7"), category="laboratory"),
    observation("other", "2021-01-01", HEART, patient="q"),
]
CASES = [
    ("patient=p&category=vital-signs", ["w2b", "w2a", "h4", "t2", "t1"]),
    ("patient=p&category=vital-signs&max=2", ["w2b", "w2a", "h4", "h3", "t2", "t1", "n"]),
    ("subject=Patient/p&code=29463-7&max=3", ["w2b", "w2a", "w1"]),
    ("patient=p&code=8867-4&max=2", ["h4", "h2"]),
    ("patient=p&category=vital-signs,laboratory&date=ge2020-02", ["lab"]),
    ("patient=nobody&category=vital-signs", []),
    ("patient=q&category=vital-signs", ["other"]),
    ("subject:Patient=q&category=vital-signs", ["other"]),
    ("subject=http://testserver/fhir/Patient/q&category=vital-signs", ["other"]),
]


@pytest.fixture
def api(database):
    api = Api()
    for each in RESOURCES:
        assert api.put(f"{each['resourceType']}/{each['id']}", each).status_code == 201
    indexed()
    return api


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [e["resource"]["id"] for e in answer.tree.get("entry", ()) if e["search"]["mode"] == "match"]


def test_newest_of_each_code(api):
    for query, expected in CASES:
        assert ids(api.get(f"Observation/$lastn?{query}")) == expected, query


def test_by_post_and_just_after_a_write(api):
    api.put("Observation/h5", observation("h5", "2020-03-01", HEART))
    given = [
        {"name": "patient", "valueString": "p"},
        {"name": "code", "valueString": "8867-4"},
        {"name": "max", "valuePositiveInt": 2},
    ]
    assert ids(api.post("Observation/$lastn", {"resourceType": "Parameters", "parameter": given})) == ["h5", "h4"]


def test_what_a_search_has_is_followed_or_told(api):
    asked = "Observation/$lastn?patient=q&category=vital-signs"
    cut = api.get(f"{asked}&_elements=subject").tree["entry"][0]["resource"]
    assert "subject" in cut and "effectiveDateTime" not in cut
    for more in ("_include=Observation:patient", "_sort=date", "_count=1", "_summary=count", "_revinclude:iterate=*"):
        last = api.get(f"{asked}&{more}").tree["entry"][-1]["resource"]
        assert more.partition("=")[0] in str(last["issue"])
        assert api.get(f"{asked}&{more}", prefer="handling=strict").status_code == 400


def test_within_the_access(api):
    own = Api("patient/*.rs", name="phone", patient="q")
    assert ids(own.get("Observation/$lastn?patient=q&category=vital-signs")) == ["other"]
    assert ids(own.get("Observation/$lastn?patient=p&category=vital-signs")) == []
    assert Api("system/Patient.rs", name="n").get("Observation/$lastn?patient=p&code=x").status_code == 403


@pytest.mark.parametrize(
    "query",
    ["category=vital-signs", "patient=p", "patient=p,q&code=x", "patient=p&code=x&max=0", "patient=p&code=x&max=a"],
)
def test_refused(api, query):
    assert api.get(f"Observation/$lastn?{query}").status_code == 400


def test_what_is_hidden_joins_no_codes_and_takes_no_place(database):
    """A reader who may not see some is told what would be told if they were not there, however many they are."""
    world = World()
    world.consents(to="Practitioner/dr-doctor")
    path = f"Observation/$lastn?patient={world.a}&category=vital-signs&max=2"
    seen = [
        world.made(observation(f"o{day}", f"2020-01-0{day}", code, patient=world.a))
        for day, code in ((1, HEART), (2, OURS), (3, HEART), (4, HEART))
    ]
    indexed()
    before = ids(world.doctor.get(path))
    assert before == [seen[3], seen[2], seen[1]]
    hidden = {"meta": {"security": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}}
    for day in range(1, 20):
        codes = (HEART, OURS) if day % 2 else (HEART,)
        world.made(observation(f"m{day}", f"2021-01-{day:02}", *codes, patient=world.a) | hidden)
    indexed()
    assert ids(world.doctor.get(path)) == before
    assert len(ids(world.patient.get(path))) == 2, "to who sees all, they are of one code"
