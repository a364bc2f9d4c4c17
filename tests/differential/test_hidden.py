"""Hidden is absent: with and without one resource that the rule hides, every answer is the same, byte for byte.

Two databases, one clock, one source of ids; status, headers, body, totals, links, ETags. Only Date and the request's id
are left out. Every form of request that the CapabilityStatement lists, as each person from whom the item is hidden.
"""

import random

import pytest

from accessctl.labels import CONFIDENTIALITY, SENSITIVITY, VISIBILITY
from accessctl.people import Block
from accessctl.rights import Opening
from tests.accessctl.people import World, api, person
from tests.api import indexed
from tests.conftest import sweep
from tests.differential.clones import Clones, leave
from tests.differential.requests import CODE, DATE, SYSTEM, Request, of_record

ITEM = "5f0f9d6e-1111-4222-8333-944445555666"
HIDDEN = {  # label of the item -> those whom it hides it from
    "masked": ((VISIBILITY, "MASQUE_PS"), ("doctor", "blocked", "stranger", "emergency")),
    "invisible": ((VISIBILITY, "INVISIBLE_PATIENT"), ("patient", "proxy", "blocked", "stranger")),
    "minor": ((VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX"), ("proxy", "blocked", "stranger")),
    "restricted": ((CONFIDENTIALITY, "R"), ("doctor", "blocked", "stranger", "emergency")),
    "sensitive": ((SENSITIVITY, "HIV"), ("doctor", "blocked", "stranger", "emergency")),
}
SEES = {"masked": "patient", "invisible": "doctor", "minor": "patient", "restricted": "patient", "sensitive": "patient"}
SHORT, LONG = 25, 800  # requests for each label and person


def item_of(type, a, encounter, label):
    """The resource that makes the difference, full of what one can search by."""
    common = {
        "resourceType": type, "id": ITEM, "subject": {"reference": f"Patient/{a}"},
        "meta": {"security": [{"system": label[0], "code": label[1]}], "tag": [{"system": SYSTEM, "code": CODE}]},
        "identifier": [{"system": SYSTEM, "value": CODE}], "text": {"status": "generated", "div":
            f'<div xmlns="http://www.w3.org/1999/xhtml">{CODE}</div>'},
    }  # fmt: skip
    code = {"coding": [{"system": SYSTEM, "code": CODE}], "text": CODE}
    seen = {"reference": f"Encounter/{encounter}"}
    return common | {
        "Observation": {"status": "final", "code": code, "effectiveDateTime": DATE, "encounter": seen,
                        "valueQuantity": {"value": 7331, "system": SYSTEM, "code": "x"},
                        "performer": [{"reference": "Practitioner/dr-doctor"}], "note": [{"text": CODE}]},
        "Condition": {"code": code, "onsetDateTime": DATE, "encounter": seen, "note": [{"text": CODE}]},
        "DocumentReference": {"status": "current", "type": code, "date": f"{DATE}T10:00:00Z", "description": CODE,
                              "content": [{"attachment": {"url": f"{SYSTEM}:{CODE}", "title": CODE}}],
                              "context": {"encounter": [seen]}},
    }[type]  # fmt: skip


def record(world, type, label):
    """A record with the item, and the people around it; the ids that requests name."""
    named = {"resourceType": "Patient", "id": world.a, "name": [{"family": "Aubert", "given": ["Anne"]}],
             "identifier": [{"system": SYSTEM, "value": "a"}], "birthDate": "1980-01-01"}  # fmt: skip
    assert world.system.put(f"Patient/{world.a}", named).status_code == 200
    doctor = {"resourceType": "Practitioner", "id": "dr-doctor", "name": [{"family": "Durand"}]}
    assert world.system.put("Practitioner/dr-doctor", doctor).status_code == 201
    visit = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
             "subject": {"reference": f"Patient/{world.a}"}, "period": {"start": "2026-02-01"}}  # fmt: skip
    encounter = world.made(visit)
    own = [world.observation(effectiveDateTime=f"2026-0{n}-03", code={"coding": [{"system": SYSTEM, "code": f"c{n}"}]},
                             valueQuantity={"value": n}) for n in range(1, 5)]  # fmt: skip
    world.observation(effectiveDateTime=DATE, encounter={"reference": f"Encounter/{encounter}"})
    world.observation(world.b)
    world.consents(to=["Practitioner/dr-doctor", "Practitioner/dr-blocked"])
    world.blocked = api(person("blocked", "professional", profession="10", practitioner="dr-blocked").user.username)
    world.emergency = api(person("emergency", "professional", profession="10", practitioner="dr-em").user.username)
    Block.objects.create(patient=world.key, person_id=user_of("blocked"))
    Opening.objects.create(patient=world.key, person_id=user_of("emergency"), mode="bris-de-glace", purpose="BTG",
                           reason="unconscious", until="2099-01-01T00:00:00Z")  # fmt: skip
    item = item_of(type, world.a, encounter, label)
    assert world.system.put(f"{type}/{ITEM}", item).status_code == 201
    assert world.system.put(f"{type}/{ITEM}", item | {"language": "fr"}).status_code == 200
    indexed()
    return {"a": world.a, "item": ITEM, "encounter": encounter, "own": own[0], "type": type}


def user_of(login):
    from accessctl.people import Person

    return Person.objects.get(user__username=login).pk


@pytest.fixture
def pair(addresses, django_db_setup, django_db_blocker):
    """A function (type, label) -> (Clones, world, ids)."""
    made = []

    def build(type, label):
        sweep()
        world = World()
        ids = record(world, type, label)
        made.append(Clones(addresses, (type, ITEM)))
        return made[-1], world, ids

    with django_db_blocker.unblock():
        yield build
        for clones in made:
            clones.close()
        leave()
        sweep()


def told(answer):
    """All of an answer but what names the moment and the request."""
    headers = {k: v for k, v in answer.headers.items() if k not in ("Date", "X-Request-Id")}
    return answer.status_code, headers, answer.content


def compare(clones, who, request):
    """Both answers are one, and so is the page that each leads to; how many requests that were."""
    one, other = clones.ask(who, request)
    assert told(one) == told(other), request
    assert one.status_code < 500, (request, one.content)
    links = one.tree.get("link", ()) if one.tree and one.tree.get("resourceType") == "Bundle" else ()
    for link in links:
        if link["relation"] == "next":
            following = Request("GET", link["url"].partition("/fhir/")[2])
            one, other = clones.ask(who, following)
            assert told(one) == told(other) and one.status_code == 200, following
            return 2
    return 1


def run(pair, kind, type, people, most, seed):
    label, hidden = HIDDEN[kind]
    clones, world, ids = pair(type, label)
    seen = Request("GET", f"{type}/{ITEM}")
    assert [a.status_code for a in clones.ask(getattr(world, SEES[kind]), seen)] == [200, 404]  # there is a difference
    rng, done = random.Random(seed), 0
    reads, writes = of_record(ids)
    for name in people or hidden:
        who = getattr(world, name)
        # what changes something comes last, on both sides alike
        chosen = rng.sample(reads, most * 3 // 4) + rng.sample(writes, min(most // 4, len(writes)))
        done += sum(compare(clones, who, request) for request in chosen)
    assert [a.status_code for a in clones.ask(getattr(world, SEES[kind]), seen)] == [200, 404]  # and there still is
    return done


@pytest.mark.parametrize(
    "n, kind, type",
    [(0, "masked", "Observation"), (1, "invisible", "Condition"), (2, "sensitive", "DocumentReference")],
)
def test_hidden_is_absent(pair, n, kind, type):
    hidden = HIDDEN[kind][1]
    assert run(pair, kind, type, [hidden[0], hidden[n + 1]], SHORT, n) >= 2 * SHORT - 2


@pytest.mark.long
@pytest.mark.parametrize("type", ["Observation", "Condition", "DocumentReference"])
@pytest.mark.parametrize("kind", HIDDEN)
def test_hidden_is_absent_whatever_is_asked(pair, kind, type):
    done = run(pair, kind, type, None, LONG, f"{kind}{type}")
    print(f"{done} requests of {type}, {kind}, compared")
    assert done >= 2000
