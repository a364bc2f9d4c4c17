"""`manage.py explain`: the reasons and the verdict, on the real database."""

from contextlib import nullcontext
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from guardian.shortcuts import assign_perm, remove_perm

from accessctl.explain import actor_of, explain, verdict
from accessctl.labels import VISIBILITY
from accessctl.people import Block, Dossier, Membership, Person, Proxy
from records.database import atomic, execute

from .people import SCOPE, api


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


# -- the past --------------------------------------------------------------------------------------------------------


def now():
    return execute("SELECT clock_timestamp()")[0][0]


def then(login, row, at, code="read"):
    """The verdict of that time."""
    who = actor_of(login, SCOPE, at=at)
    found = explain(who, "Observation", row, code, at) if who else None
    if found:
        assert verdict(found[0]) == found[1]
    return None if found is None else found[1]


def test_rights_as_they_were(world):
    """Each step changes a right; at each moment between two steps the verdict is what the request got then."""
    w, moments, got = world, [], []
    early = now()
    row = w.observation()
    w.doctor_id = Person.objects.get(user__username="doctor")

    def step():
        got.append([who.get(f"Observation/{row}").status_code == 200 for who in (w.doctor, w.patient, w.proxy)])
        moments.append(now())

    step()
    consent = w.consents(to="Organization/clinic")
    step()
    membership = Membership.objects.get(person=w.doctor_id)
    membership.delete()
    step()
    Membership.objects.create(person=w.doctor_id, party="Organization/clinic")
    step()
    block = Block.objects.create(patient=w.key, person=w.doctor_id)
    step()
    block.delete()
    dossier = Dossier.objects.create(patient=w.key)
    assign_perm("hide_dossier", w.doctor_id.user, dossier)
    step()
    remove_perm("hide_dossier", w.doctor_id.user, dossier)
    step()
    mask = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [
        {"system": VISIBILITY, "code": "MASQUE_PS"}]}}]}  # fmt: skip
    assert w.patient.post(f"Observation/{row}/$meta-add", mask).status_code == 200
    step()
    assert w.patient.post(f"Observation/{row}/$meta-delete", mask).status_code == 200
    step()
    Person.objects.filter(pk=w.doctor_id.pk).update(profession=None)
    step()
    Person.objects.filter(pk=w.doctor_id.pk).update(profession="10")
    w.patient.delete(f"Consent/{consent}")
    step()
    Proxy.objects.all().delete()
    step()
    assert [each[0] for each in got] == [False, True, False, True, False, False, True, False, True, False, False, False]
    assert [[then(login, row, at) for login in ("doctor", "alice", "paul")] for at in moments] == got
    assert then("doctor", row, early) is None
    assert then("nobody", row, early) is None
    assert [then("doctor", row, None), then("paul", row, None)] == [False, False]


def test_the_past_ends_with_its_block(world):
    row = world.observation()
    before = now()
    with atomic():
        assert then("alice", row, before) is True
        assert execute("SELECT now() = pg_catalog.now(), current_schema()", prepare=False) == [(True, "public")]
    assert execute("SELECT current_schema()", prepare=False) == [("public",)]


def test_operation(world):
    row = world.observation()
    at = now().isoformat()
    consent = world.consents(to="Practitioner/dr-doctor")
    since = now().isoformat()
    world.patient.delete(f"Consent/{consent}")
    path = f"Observation/{row}/$explain-access?actor=doctor"

    def told(query):
        answer = world.system.get(path + query)
        assert answer.status_code == 200, answer.content
        return {p["name"]: p.get("valueBoolean") for p in answer.tree["parameter"]}["verdict"], answer.tree["parameter"]

    assert [told(f"&at={quote(t)}")[0] for t in (at, since)] == [False, True] and not told("")[0]
    sources = {part["part"][0]["valueString"] for part in told("")[1][1:]}
    assert {"consent", "labels", "matrix", "scopes", "emergency", "blocks"} <= sources
    for wrong, status in (("&at=x", 400), ("&scope=x", 400), ("&interaction=x", 400), ("&odd=1", 400), ("x", 404)):
        assert world.system.get(path + wrong).status_code == status
    assert execute("SELECT interaction, patient FROM audit ORDER BY seq DESC LIMIT 6")[-1] == (
        "$explain-access",
        world.key,
    )
    for who in (world.patient, world.doctor, world.clerk):
        assert who.get(path).status_code == 403
    for login in ("alice", "doctor"):  # whatever scope a service on their behalf was given
        assert api(login, "system/*.cruds").get(path).status_code == 403


def test_command(world, capsys, monkeypatch):
    monkeypatch.setattr("fhirserver.management.commands.explain.reach", lambda *_, **__: nullcontext())
    row = world.observation()
    call_command("explain", "alice", f"Observation/{row}", "--at", now().isoformat())
    assert "alice might read" in capsys.readouterr().out
    with pytest.raises(CommandError, match="at 2001"):
        call_command("explain", "alice", f"Observation/{row}", "--at", "2001")
