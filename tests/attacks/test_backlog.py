"""What waits for the index says nothing of who may not see it: no header, no outcome, no work done for a stranger."""

import pytest

from records.indexing.index import FLOOD, backlog
from tests.accessctl.people import SCOPE, api, consent, observation
from tests.api import indexed

LOINC = "http://loinc.org"
BODY = {"coding": [{"system": LOINC, "code": "29463-7"}]}
SEARCHES = (
    "Observation?status=final",
    "Observation?patient={a}",
    "Observation?patient={a}&status=final&_total=accurate",
    "Observation?patient={b}",
    "Observation?patient.family=aubert",
    "Observation?_sort=patient.family",
    "Observation?code=29463-7&_summary=count",
    "Patient?family=aubert",
    "Patient?_has:Observation:patient:status=final",
    "Patient?_id={a}&_revinclude=Observation:subject",
    "Patient/{a}/Observation?status=final",
    "Condition?code=x",
    "?_type=Observation,Condition&status=final",
    "Observation?_contained=both&status=final",
    "Observation/$lastn?patient={a}&code=29463-7",
    "Patient/{a}/$everything",
    "Patient/$everything",
)
KEPT = ("X-Request-Id", "Date")


def said(who, world):
    """All that each search says, but the id of the request."""
    answers = [who.get(search.format(a=world.a, b=world.b)) for search in SEARCHES]
    return [(a.status_code, {k: v for k, v in a.headers.items() if k not in KEPT}, a.content) for a in answers]


def warned(answer):
    """Does an answer say that it may miss something? By the header and by the outcome, or by neither."""
    outcomes = [e for e in answer.tree.get("entry", ()) if e["search"]["mode"] == "outcome"]
    assert ("X-Searchable-Until" in answer.headers) == bool(outcomes)
    return bool(outcomes)


@pytest.fixture
def stopped(world, settings):
    """No worker runs, and no search has time to index for it."""
    world.consents(to="Practitioner/dr-doctor")
    indexed()
    settings.FHIRSERVER_CATCH_UP_MS = 0
    return world


WRITES = {
    "new": lambda world: world.observation(code=BODY),
    "of another": lambda world: world.observation(world.b, code=BODY),
    "of both": lambda world: world.observation(code=BODY, performer=[{"reference": f"Patient/{world.b}"}]),
    "the patient's own row": lambda world: world.system.put(
        f"Patient/{world.a}",
        {"resourceType": "Patient", "id": world.a, "name": [{"family": "Aubert", "given": ["Zoé"]}]},
    ),
    "a diagnosis": lambda world: world.made(
        {"resourceType": "Condition", "subject": {"reference": f"Patient/{world.a}"}, "code": {"text": "x"}}
    ),
    "many": lambda world: [world.observation(code=BODY) for _ in range(5)],
}


@pytest.mark.parametrize("written", WRITES)
def test_a_stranger_feels_no_write_that_waits(stopped, written):
    """The same bytes and headers with nothing waiting and with any hidden write waiting, at every search."""
    before = said(stopped.stranger, stopped)
    assert WRITES[written](stopped)
    assert backlog() > 0
    assert said(stopped.stranger, stopped) == before
    assert said(stopped.stranger, stopped) == before  # nor has a search changed what the next one says


def test_who_may_find_it_is_told(stopped):
    """At each search that depends on it, whoever asks that may find it; and no longer when it is indexed."""
    id = stopped.observation(code=BODY)
    for who in (stopped.system, stopped.patient, stopped.proxy, stopped.doctor):
        assert warned(who.get(f"Observation?patient={stopped.a}&status=final"))
        assert warned(who.get("Observation?status=final"))
        assert warned(who.get(f"Patient/{stopped.a}/$everything"))
        assert warned(who.get(f"Observation/$lastn?patient={stopped.a}&code=29463-7"))
        assert not warned(who.get("Condition?code=x")), "it does not depend on that"
        assert not warned(who.get(f"Observation?patient={stopped.b}")), "nor does this"
    indexed()
    answer = stopped.doctor.get("Observation?status=final")
    assert not warned(answer)
    assert [e["resource"]["id"] for e in answer.tree["entry"]] == [id]


def test_the_moment_is_that_of_what_one_may_find(stopped):
    """An older write to a hidden record does not move it."""
    stopped.observation(stopped.b, code=BODY)
    stopped.observation(code=BODY)
    theirs = stopped.doctor.get("Observation?status=final").headers["X-Searchable-Until"]
    everybodys = stopped.system.get("Observation?status=final").headers["X-Searchable-Until"]
    assert everybodys < theirs


def test_no_work_is_done_for_who_may_not_find_it(stopped, settings):
    """A stranger's search takes no longer for what it may not find: what waits, waits on."""
    stopped.observation(code=BODY)
    settings.FHIRSERVER_CATCH_UP_MS = 1000
    waiting = backlog()
    said(stopped.stranger, stopped)
    assert backlog() == waiting
    assert not warned(stopped.doctor.get("Observation?status=final"))
    assert backlog(["Observation"]) == 0


def test_a_write_that_a_consent_excepts_within_a_record_that_is_seen(stopped):
    """The predicate judges too, where the policies show the record."""
    hidden = stopped.observation(code=BODY)
    indexed()
    stopped.made(
        consent(stopped.a, to="Practitioner/dr-doctor", nested=[
            {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": f"Observation/{hidden}"}}]}
        ]), stopped.patient)  # fmt: skip
    indexed()
    doctor = stopped.doctor
    assert doctor.get(f"Observation/{hidden}").status_code == 404
    changed = observation(stopped.a, code=BODY, id=hidden) | {"status": "amended"}
    assert stopped.system.put(f"Observation/{hidden}", changed).status_code == 200
    assert not warned(doctor.get("Observation?status=final"))
    assert warned(stopped.patient.get("Observation?status=final"))


def test_scopes_with_a_query_are_told_in_doubt(stopped):
    """The rows that would say whether they cover the write are what waits."""
    laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    bounded = api("doctor", f"user/Observation.rs?category={laboratory} user/Patient.rs")
    category = [{"coding": [dict(zip(("system", "code"), laboratory.split("|"), strict=True))]}]
    stopped.observation(code=BODY, category=category)
    assert warned(bounded.get("Observation?status=final"))
    stopped.observation(stopped.b, code=BODY, category=category)
    indexed()
    stopped.observation(stopped.b, code=BODY, category=category)
    assert not warned(bounded.get("Observation?status=final")), "of a record that is closed"


def test_in_a_flood_all_are_told_alike(stopped, monkeypatch):
    """Of more writes than are judged, of types that a search looks at: it says so to whoever asks."""
    monkeypatch.setattr("records.indexing.index.FLOOD", 3)
    assert FLOOD > 1000
    stopped.observation(stopped.b, code=BODY)
    stopped.observation(stopped.b, code=BODY)
    assert not warned(stopped.stranger.get("Observation?status=final"))
    stopped.observation(code=BODY)
    for who in (stopped.stranger, stopped.other, api("nurse", SCOPE)):
        assert warned(who.get("Observation?status=final"))
    assert not warned(stopped.stranger.get(f"Observation?patient={stopped.a}")), "of one record it is always judged"
