"""Scopes with a query are part of the SQL of every exit, and of every write. (S21-S24; attacks A20-A24)"""

import pytest

from accessctl import scopes
from accessctl.scopes import InvalidScope, granted, parse
from accessctl.smart.registration import InvalidClient, register
from tests.accessctl.people import World
from tests.api import Api, indexed

SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-category"


def observation(patient, category, **more):
    coding = {"category": [{"coding": [{"system": SYSTEM, "code": category}]}]} if category else {}
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **coding,
            "subject": {"reference": f"Patient/{patient}"}, **more}  # fmt: skip


@pytest.fixture
def world(database):
    found = World()
    found.vital = found.made(observation(found.a, "vital-signs"))
    found.lab = found.made(observation(found.a, "laboratory"))
    indexed()
    return found


def vitals(world, letters="cruds", level="user"):
    scope = f"{level}/Observation.{letters}?category={SYSTEM}|vital-signs user/Patient.rs"
    return Api(scope, name="app", user="alice", patient=world.a)


@pytest.mark.parametrize(
    "word",
    ["patient/observation.rs", "patient/Observation.sr", "patient/Observation.dus", "patient/Observation.rsx",
     "patient/Observation.", "patient/Observation", "Observation.rs", "patient/Nothing.rs", "patient/Observation.r,s",
     "patient/Observation.rs?nosuch=1", "patient/Observation.rs?", "patient/Observation.rs?category",
     "patient/Observation.rs?category=", "patient/Observation.rs?category:in=http://x", "patient/*.rs?category=a",
     "patient/Observation.rs?category:not=a", "patient/Observation.rs?subject.name=x",
     "patient/Observation.rs?_filter=code%20eq%20x", "patient/Observation.rs?_has:Group:member:_id=1",
     "patient/Observation.rs?_id=1", "patient/Observation.rs?date=tomorrow", "patient/Observation.rs?_list=1",
     "patient/Observation.rs?_count=1", "patient/Observation.rs?_include=*", "patient/Observation.rs?" + "a=1&" * 20,
     "Patient/Observation.rs", "users/*.rs", "patient/Observation.READ", "patient/Observation.rs\u00e9"],
)  # fmt: skip
def test_A24_S21_what_is_no_scope(db, word):
    with pytest.raises(InvalidScope):
        parse(word)


def test_S21_letters(db):
    told = {word: "".join(sorted(parse(f"user/*.{word}")[0].letters)) for word in ("read", "write", "*", "rs", "c")}
    assert told == {"read": "rs", "write": "cdu", "*": "cdrsu", "rs": "rs", "c": "c"}


@pytest.mark.parametrize(
    "asked, allowed, expected",
    [
        ("patient/*.read", "patient/*.rs", "patient/*.read"),
        ("patient/*.*", "patient/*.rs", "patient/*.rs"),
        ("patient/*.cruds", "patient/Observation.rs patient/Condition.r", "patient/Observation.rs patient/Condition.r"),
        ("patient/Observation.rs", "patient/*.cruds", "patient/Observation.rs"),
        ("patient/Observation.rs", "user/*.cruds", ""),
        ("patient/Observation.rs", "patient/Observation.rs?category=a", "patient/Observation.rs?category=a"),
        ("patient/Observation.rs?category=a", "patient/*.rs", "patient/Observation.rs?category=a"),
        ("patient/Observation.rs?category=a", "patient/Observation.r?category=b",
         "patient/Observation.r?category=a&category=b"),
        ("openid fhirUser launch/patient", "openid launch/patient", "openid launch/patient"),
        ("patient/Observation.rs patient/Observation.rs", "patient/*.rs", "patient/Observation.rs"),
        ("patient/*.rs", "patient/*.r patient/Observation.rs", "patient/*.r patient/Observation.rs"),
    ],
)  # fmt: skip
def test_never_more_than_allowed(db, asked, allowed, expected):
    assert " ".join(granted(asked, allowed)) == expected
    assert granted(expected, allowed) == expected.split()


def test_A21_S24_search(world):
    api = vitals(world)

    def found(query):
        answer = api.get(f"Observation{query}")
        assert answer.status_code == 200, answer.content
        assert answer.tree.get("total") in (None, len(answer.tree.get("entry", ())))
        return [e["resource"]["id"] for e in answer.tree.get("entry", ())]

    assert found("") == found("?_total=accurate") == [world.vital]
    for query in (
        "?category=laboratory", "?category:not=vital-signs", "?category=laboratory\\,x", "?_id=" + world.lab,
        f"?category={SYSTEM}|laboratory", "?category:missing=true", "?_filter=category eq laboratory",
    ):  # fmt: skip
        assert found(query) == []
    assert found("?category=laboratory,vital-signs") == [world.vital]
    assert found("?category:missing=false") == [world.vital]
    included = api.get(f"Patient?_id={world.a}&_revinclude=Observation:subject").tree["entry"]
    assert [e["resource"]["id"] for e in included] == [world.a, world.vital]


def test_A22_S24_instance(world):
    api = vitals(world)
    assert api.get(f"Observation/{world.vital}").status_code == 200
    assert api.get(f"Observation/{world.vital}/_history/1").status_code == 200
    assert api.get(f"Observation/{world.vital}/_history").tree["total"] == 1
    for path in ("", "/_history", "/_history/1"):
        absent = api.get(f"Observation/absent{path}")
        hidden = api.get(f"Observation/{world.lab}{path}")
        assert hidden.status_code == absent.status_code == 404
        assert hidden.content.replace(world.lab.encode(), b"absent") == absent.content


def test_A22_a_version_outside_the_scope(world):
    changed = observation(world.a, "vital-signs") | {"id": world.lab}
    assert world.system.put(f"Observation/{world.lab}", changed).status_code == 200
    api = vitals(world)
    assert api.get(f"Observation/{world.lab}").status_code == 200
    assert api.get(f"Observation/{world.lab}/_history/1").status_code == 404
    assert api.get(f"Observation/{world.lab}/_history").tree["total"] == 1


def test_what_was_just_written_is_judged_as_it_is_now(world):
    """The index lags behind a write; the scope does not."""
    api = vitals(world)
    world.system.put(f"Observation/{world.vital}", observation(world.a, "laboratory") | {"id": world.vital})
    assert api.get(f"Observation/{world.vital}").status_code == 404
    fresh = world.made(observation(world.a, "vital-signs"))
    assert api.get(f"Observation/{fresh}").status_code == 200


def test_what_cannot_be_indexed_in_time_is_outside(world, settings):
    settings.FHIRSERVER_CATCH_UP_MS = 0
    world.system.put(f"Observation/{world.vital}", observation(world.a, "laboratory") | {"id": world.vital})
    api = vitals(world)
    assert api.get(f"Observation/{world.vital}").status_code == 404
    assert "entry" not in api.get("Observation").tree


def test_A23_S24_writes_before_and_after(database):
    """A system client bound to vital signs creates, changes and deletes those alone."""
    system = Api()
    patient = system.post("Patient", {"resourceType": "Patient"}).headers["Location"].split("/")[-3]
    api = Api(f"system/Observation.cruds?category={SYSTEM}|vital-signs", name="app")
    vital, lab = observation(patient, "vital-signs"), observation(patient, "laboratory")
    assert api.post("Observation", lab).status_code == 403
    assert system.get("Observation?_total=accurate").tree["total"] == 0
    made = api.post("Observation", vital)
    assert made.status_code == 201, made.content
    id = made.headers["Location"].split("/")[-3]
    assert api.put(f"Observation/{id}", lab | {"id": id}).status_code == 403
    assert api.put(f"Observation/{id}", vital | {"id": id, "status": "amended"}).status_code == 200
    patched = api.patch(f"Observation/{id}", [{"op": "replace", "path": "/status", "value": "final"}],
                        type="application/json-patch+json")  # fmt: skip
    assert patched.status_code == 200, patched.content
    other = system.post("Observation", lab).headers["Location"].split("/")[-3]
    assert api.put(f"Observation/{other}", vital | {"id": other}).status_code in (403, 404)
    assert api.delete(f"Observation/{other}").status_code in (204, 404)
    assert system.get(f"Observation/{other}").status_code == 200
    assert system.get("Observation?category=vital-signs").tree["entry"][0]["resource"]["id"] == id
    assert api.delete(f"Observation/{id}").status_code == 204
    assert system.get(f"Observation/{id}").status_code == 410
    indexed()
    assert "entry" not in system.get("Observation?category=vital-signs").tree


def test_S22_a_bundle_is_judged_entry_by_entry(world):
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": f"Observation/{id}"}} for id in (world.vital, world.lab)
    ]}  # fmt: skip
    told = [e["response"]["status"][:3] for e in vitals(world).post("", bundle).tree["entry"]]
    assert told == ["200", "404"]


def test_S22_scopes_are_a_ceiling(world):
    """user/*.cruds gives a stranger nothing, and a patient nobody else's record."""
    assert world.stranger.get(f"Observation/{world.vital}").status_code == 404
    assert world.other.get(f"Observation/{world.vital}").status_code == 404


def test_A20_S23_patient_scope_reaches_one_record(world):
    other = world.made(observation(world.b, "vital-signs"))
    indexed()
    api = Api("patient/*.rs", name="app", user="alice", patient=world.a)
    for query in ("", f"?patient={world.a},{world.b}", f"?patient={world.b}", f"?_id={other}", "?_total=accurate"):
        entries = api.get(f"Observation{query}").tree.get("entry", ())
        assert {e["resource"]["id"] for e in entries} <= {world.vital, world.lab}
    assert api.get(f"Patient/{world.b}").status_code == 404
    nobody = Api("patient/*.rs", name="app", user="alice")
    assert nobody.get("Observation").status_code == 403


def test_a_parameter_that_is_gone_ends_the_token(world, monkeypatch):
    api = vitals(world)

    def gone(text):
        raise InvalidScope(text)

    monkeypatch.setattr(scopes, "parsed", gone)
    assert api.get("Observation").status_code == 401


def test_levels_of_scopes_and_kinds_of_clients(db):
    with pytest.raises(InvalidClient):
        register("app", scopes="system/*.rs", redirects=["https://app.example.org/cb"])
