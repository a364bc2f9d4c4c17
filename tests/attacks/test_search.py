"""Attacks through search: what comes along, what a criterion infers, what a link carries. (A09-A40)"""

import zlib
from base64 import urlsafe_b64decode
from urllib.parse import parse_qs, urlsplit

import pytest

from accessctl.scopes import InvalidScope
from records.database.session import Session
from tests.accessctl.people import api, observation
from tests.api import indexed

ABSENT = "00000000-0000-4000-8000-000000000000"
VITAL, LAB = (
    [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": code}]}]
    for code in ("vital-signs", "laboratory")
)


def ids(answer):
    """Ids of the resources of a page."""
    assert answer.status_code == 200, answer.content
    return {e["resource"]["id"] for e in answer.tree.get("entry", ()) if e["search"]["mode"] != "outcome"}


def test_A09_wildcards_and_steps_keep_to_the_record(world):
    """Each hop is judged by the same predicate, so that a hidden resource is never stepped over."""
    hidden = world.observation()
    own = world.observation(world.b, focus=[{"reference": f"Patient/{world.a}"}])
    bridge = world.observation(focus=[{"reference": f"Patient/{world.b}"}, {"reference": f"Observation/{hidden}"}])
    indexed()
    for path in (
        f"Observation?_id={own}&_include=*&_include:iterate=*",
        f"Observation?_id={own}&_revinclude=*&_revinclude:iterate=*",
        f"Observation?_id={own}&_include:iterate=*&_revinclude:iterate=*",
        f"Patient?_id={world.b}&_revinclude=*&_include:iterate=*",
        "?_type=Observation,Patient&_include=*&_revinclude:iterate=*",
    ):
        found = ids(world.other.get(path))
        assert found <= {own, world.b} and not found & {bridge, hidden, world.a}, path


def test_A09_steps_and_rows_are_capped(world, monkeypatch):
    from records.search import includes

    first = before = world.observation(world.b)
    for _ in range(4):
        before = world.observation(world.b, hasMember=[{"reference": f"Observation/{before}"}])
    indexed()
    path = f"Observation?_id={before}&_include:iterate=Observation:has-member"
    assert first in ids(world.other.get(path))
    monkeypatch.setattr(includes, "DEEPEST", 2)
    assert first not in ids(world.other.get(path))
    monkeypatch.setattr(includes, "MOST", 1)
    page = world.other.get(path).tree
    assert [e["search"]["mode"] for e in page["entry"]] == ["match", "include", "outcome"]


def test_A10_hidden_rows_do_not_starve_a_page(world):
    """Many hidden matches before few visible ones: the page is full, none is skipped, no more pages than needed."""
    for _ in range(30):
        world.observation(effectiveDateTime="2026-01-02")
    own = {world.observation(world.b, effectiveDateTime="2026-01-01") for _ in range(3)}
    indexed()
    page = world.other.get("Observation?_count=2&_sort=-date").tree
    seen = [e["resource"]["id"] for e in page["entry"]]
    assert len(seen) == 2
    following = next(li["url"] for li in page["link"] if li["relation"] == "next").partition("/fhir/")[2]
    page = world.other.get(following).tree
    seen += [e["resource"]["id"] for e in page["entry"]]
    assert set(seen) == own and len(seen) == 3
    assert not any(li["relation"] == "next" for li in page["link"])


def test_A11_A12_nothing_comes_along_beyond_the_scopes(world):
    own = world.observation(world.b)
    indexed()
    narrow = api("bob", "user/Observation.rs")
    for path in ("Observation?_include=Observation:subject", "Observation?_include=*", "Observation?_revinclude=*"):
        assert ids(narrow.get(path)) == {own}
    for path in ("Observation?subject:Patient.family=Blanc", "Observation?patient.name=Blanc",
                 "Observation?_filter=subject.name eq Blanc"):  # fmt: skip
        assert ids(narrow.get(path)) == set(), path
        assert ids(world.other.get(path)) == {own}, path
    assert ids(narrow.get("Observation?_has:Provenance:target:_id=x")) == set()
    assert narrow.get("Patient").status_code == 403
    assert narrow.get(f"Patient/{world.b}").status_code == 403
    assert narrow.get(f"Patient/{world.b}/*").status_code == 200
    assert ids(narrow.get(f"Patient/{world.b}/*")) == {own}


def test_A16_words_that_only_a_hidden_row_has(world):
    """Filters and full text: a word of a hidden row and one of none are answered alike."""
    world.observation(code={"text": "zephyrine"}, note=[{"text": "zephyrine"}])
    world.observation(world.b)
    indexed()
    for path in ("Observation?_filter=code co {}", "Observation?_filter=not (code co {})", "Observation?_text={}",
                 "Observation?_content={}", "Observation?_query={}", "Observation?code:text={}",
                 "Patient?_filter=name co {}", "Patient?_text={}"):  # fmt: skip
        for who in (world.other, world.doctor, world.stranger):
            told = [who.get(path.format(word)) for word in ("zephyrine", "zephyrinf")]
            assert told[0].status_code == told[1].status_code < 500
            assert told[0].content.replace(b"zephyrine", b"zephyrinf") == told[1].content, path


def test_A17_lists(world):
    """A list that one may not read names nothing; of one's own only the members that one may see count."""
    hidden, own = world.observation(), world.observation(world.b)
    items = [{"item": {"reference": f"Observation/{id}"}} for id in (hidden, own)]
    kept = {"resourceType": "List", "status": "current", "mode": "working", "entry": items}
    foreign, mine = world.made(kept), world.made(kept, world.other)
    indexed()
    assert ids(world.other.get(f"Observation?_list={foreign}")) == set()
    assert ids(world.other.get(f"Observation?_list={mine}")) == {own}
    told = [world.other.get(f"Observation?_list={id}") for id in (foreign, ABSENT)]
    assert told[0].content.replace(foreign.encode(), b"") == told[1].content.replace(ABSENT.encode(), b"")


def granular(scope, world):
    """Who has a scope with a query; None where such scopes are refused, which is as closed."""
    try:
        return api("alice", scope, patient=world.a)
    except InvalidScope:
        return None


@pytest.fixture
def categories(world):
    found = world.observation(category=VITAL), world.observation(category=LAB)
    indexed()
    return found


def test_A21_no_criterion_leaves_a_granular_scope(world, categories):
    vital, lab = categories
    if who := granular(f"patient/Observation.rs?category={VITAL[0]['coding'][0]['system']}|vital-signs", world):
        for query in ("category=laboratory", "category=vital-signs,laboratory", "category=vital-signs\\,laboratory",
                      "category:not=vital-signs", "category:missing=false", "_filter=category eq laboratory", "",
                      f"_id={lab}", "_summary=count"):  # fmt: skip
            answer = who.get(f"Observation?{query}")
            assert answer.status_code in (200, 403)
            assert answer.status_code == 403 or (lab not in ids(answer) and answer.tree.get("total", 0) <= 1), query
        assert vital in ids(who.get("Observation"))


def test_A22_a_granular_scope_holds_for_instances(world, categories):
    vital, lab = categories
    if who := granular(f"patient/Observation.rs?category={VITAL[0]['coding'][0]['system']}|vital-signs", world):
        for rest in ("", "/_history", "/_history/1", "/$meta"):
            assert who.get(f"Observation/{lab}{rest}").status_code == 404
            assert who.get(f"Observation/{vital}{rest}").status_code == 200


def test_A23_a_granular_scope_holds_before_and_after_a_write(world, categories):
    vital, lab = categories
    if who := granular(f"patient/Observation.cruds?category={VITAL[0]['coding'][0]['system']}|vital-signs", world):
        for id, category in ((vital, LAB), (lab, VITAL)):
            body = observation(world.a) | {"id": id, "category": category}
            assert who.put(f"Observation/{id}", body).status_code in (403, 404)
        assert who.post("Observation", observation(world.a) | {"category": LAB}).status_code == 403
        assert world.patient.get(f"Observation/{vital}").tree["category"] == VITAL


@pytest.mark.parametrize(
    "scope",
    ["patient/observation.rs", "patient/Observation.sr", "patient/Observation.rsx", "patient/Observation.rs?nosuch=1",
     "patient/Observation.", "patient/Observation", "Patient/Observation.rs", "patient/*.rr", "patient/Nothing.rs",
     "patient/Observation.dus", "patient/Observation.read.write", "admin/*.cruds", "patient/*/Observation.rs",
     "patient/Observation.rs?category:in=http://x", "patient/Observation.rs?subject.name=x",
     "patient/Observation.rs?_filter=status eq final", "patient/Observation.rs\x00", "patient/Ðbservation.rs"],
)  # fmt: skip
def test_A24_a_scope_that_is_none_is_refused_and_never_guessed(database, scope):
    with pytest.raises(InvalidScope):
        api_of_nobody(scope)
    with pytest.raises(InvalidScope):
        api_of_nobody(f"patient/Patient.rs {scope}")


def api_of_nobody(scope):
    from tests.api import Api

    return Api(scope)


def test_A37_hidden_and_absent_take_the_same_way(world, monkeypatch):
    """What differs in time differs in work: both send the same statements, in as many round trips."""
    hidden = world.observation()
    indexed()
    sent, run = [], Session.run

    def noted(self, statements):
        sent.append([text for text, *_ in statements])
        return run(self, statements)

    paths = ("Observation/ID", "Observation/ID/_history", "Observation/ID/_history/1", "Observation?_id=ID",
             "Observation/ID/$meta")  # fmt: skip
    for who in (world.other, world.doctor, world.stranger):
        for path in paths:
            who.get(path.replace("ID", ABSENT))  # what is remembered of a token is remembered now
            ways = []
            monkeypatch.setattr(Session, "run", noted)
            for id in (hidden, ABSENT):
                sent.clear()
                assert who.get(path.replace("ID", id)).status_code in (200, 404)
                ways.append([trip for trip in sent if not any("audit" in text for text in trip)])
            monkeypatch.setattr(Session, "run", run)
            assert ways[0] == ways[1] and ways[0]


def next_of(answer):
    return next(li["url"] for li in answer.tree["link"] if li["relation"] == "next").partition("/fhir/")[2]


def test_A39_a_page_link_is_for_who_received_it_as_it_is(world):
    for _ in range(3):
        world.observation()
        world.observation(world.b)
    indexed()
    link = next_of(world.patient.get("Observation?_count=1"))
    assert world.patient.get(link).status_code == 200
    for who in (world.other, world.doctor, world.system):
        assert who.get(link).status_code == 400
    assert api("alice").get(link).status_code == 200  # another token of the same person and application
    head, _, token = link.partition("_page=")
    for changed in (token[:-2], token[:-1] + ("A" if token[-1] != "A" else "B"), "." + token, "x" + token, ""):
        assert world.patient.get(f"{head}_page={changed}").status_code == 400, changed
    assert world.patient.get(link.replace("_count=1", "_count=2")).status_code == 400
    assert world.patient.get(link.replace("Observation?", "Observation?status=final&")).status_code == 400
    assert world.patient.get(link.replace("Observation?", "Patient?")).status_code == 400


def test_A39_a_page_link_tells_nothing_of_the_rows_around(world):
    """Row numbers are given in the order of writing: to read two of them is to count what others wrote between."""
    for _ in range(3):
        world.observation(effectiveDateTime="2026-01-01")
    indexed()
    link = next_of(world.patient.get("Observation?_count=1"))
    token = parse_qs(urlsplit(link).query)["_page"][0]
    data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for plain in (token.encode(), data, *(urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in token.split(":"))):
        for each in (plain, inflated(plain)):
            assert not each.startswith((b"[", b"{")), each
    assert next_of(world.patient.get("Observation?_count=1")) == link  # and an equal page has an equal link


def inflated(data):
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


def test_A39_the_link_of_a_form_is_followed_by_get(world):
    for _ in range(2):
        world.observation()
    indexed()
    form = {"type": "application/x-www-form-urlencoded"}
    link = next_of(world.patient.post("Observation/_search", b"_count=1&status=final", **form))
    assert len(ids(world.patient.get(link))) == 1
    assert world.doctor.get(link).status_code == 400


def test_A40_two_people_ask_the_same(world):
    """No result is remembered for another: one after the other, and again after a consent."""
    mine, own = world.observation(), world.observation(world.b)
    indexed()
    for _ in range(2):
        assert ids(world.patient.get("Observation?status=final")) == {mine}
        assert ids(world.other.get("Observation?status=final")) == {own}
        assert ids(world.doctor.get("Observation?status=final")) == set()
    consent = world.consents()
    assert ids(world.doctor.get("Observation?status=final")) == {mine}
    assert world.patient.delete(f"Consent/{consent}").status_code == 204
    assert ids(world.doctor.get("Observation?status=final")) == set()
