"""`manage.py explain`: the reasons and the verdict, on the real database."""

import pytest
from django.core.management import CommandError, call_command

from accessctl.explain import actor_of, explain, verdict

from .people import SCOPE


def test_every_source_says_something_of_people(world):
    row = world.observation()
    said, whole = explain(actor_of("doctor", SCOPE), "Observation", row)
    assert not whole and not verdict(said)
    assert {s.source for s in said if s.holds} == {"scopes", "purpose", "matrix"}
    world.consents()
    said, whole = explain(actor_of("doctor", SCOPE), "Observation", row)
    assert whole and verdict(said) and ("consent", True) in {(s.source, s.holds) for s in said if s.kind == "permit"}
    assert all(s.sentence.endswith(".") for s in said)


@pytest.mark.parametrize("code", ["read", "search-type", "update", "delete", "create", "history-instance"])
def test_the_verdict_is_that_of_the_query(world, code):
    rows = [world.observation(), world.observation(world.b), world.observation(by=world.doctor)]
    world.consents(to="Practitioner/dr-doctor")
    for login in ("alice", "bob", "paul", "doctor", "stranger", "nurse", "clerk"):
        for row in rows:
            said, whole = explain(actor_of(login, SCOPE), "Observation", row, code)
            assert verdict(said) == whole


def test_who_and_what_is_not_there(world):
    assert actor_of("nobody", SCOPE) is None
    assert explain(actor_of("doctor", SCOPE), "Observation", "nothing") is None
    with pytest.raises(CommandError):
        call_command("explain", "doctor", "not a reference")
