"""What a process knows of a person's standing is asked again with each request: a change counts at the next one.

Nobody is told to come again for it. (accessctl/standing.py)
"""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

from accessctl import actor
from accessctl.people import AttendingDoctor, Block, Dossier, Membership, Person, Proxy
from accessctl.rights import DossierGroupObjectPermission, DossierUserObjectPermission, MatrixCell, Opening
from records.database import as_system

from .people import api
from .test_emergency import MASK, SYSTEM, glass


def who(login="doctor"):
    return Person.objects.get(user__username=login)


def permission(codename):
    return Permission.objects.get(codename=codename)


def of_clinic(w):
    w.consents(to="Organization/clinic")


def membership(w):
    of_clinic(w)
    return Membership.objects.create(person=who("stranger"), party="Organization/clinic")


def opening(w):
    return Opening.objects.create(patient=w.key, person=who("stranger"), mode="bris-de-glace", purpose="BTG",
                                  reason="x", until="2100-01-01T00:00:00Z")  # fmt: skip


def grant(w):
    Dossier.objects.get_or_create(patient=w.key)
    return DossierUserObjectPermission.objects.create(
        permission=permission("view_dossier"), user=who("stranger").user, content_object_id=w.key
    )


def group(w):
    """The grant is the group's; it is the user's by joining."""
    Dossier.objects.get_or_create(patient=w.key)
    board = Group.objects.create(name="board")
    DossierGroupObjectPermission.objects.create(
        permission=permission("view_dossier"), group=board, content_object_id=w.key
    )
    return get_user_model().groups.through.objects.create(user=who("stranger").user, group=board)


OPENS = [membership, opening, grant, group]


@pytest.mark.parametrize("change", OPENS)
def test_what_opens_counts_at_the_next_request(world, change):
    row = world.observation()
    asked = f"Observation/{row}"
    assert world.stranger.get(asked).status_code == 404
    assert world.stranger.get("Observation").tree["total"] == 0
    made = change(world)
    assert world.stranger.get(asked).status_code == 200
    assert world.stranger.get("Observation").tree["total"] == 1
    made.delete()
    assert world.stranger.get("Observation").tree["total"] == 0
    assert world.stranger.get(asked).status_code == 404


def blocked(w):
    return Block.objects.create(patient=w.key, person=who())


def withheld(w):
    Dossier.objects.get_or_create(patient=w.key)
    return DossierUserObjectPermission.objects.create(
        permission=permission("hide_dossier"), user=who().user, content_object_id=w.key
    )


@pytest.mark.parametrize("change", [blocked, withheld])
def test_what_shuts_counts_at_the_next_request(world, change):
    asked = f"Observation/{world.observation()}"
    world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(asked).status_code == 200
    made = change(world)
    assert world.doctor.get(asked).status_code == 404
    assert world.doctor.get("Observation").tree["total"] == 0
    made.delete()
    assert world.doctor.get(asked).status_code == 200


def test_a_profession_that_loses_a_class(world):
    asked = f"Observation/{world.observation()}"
    world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(asked).status_code == 200
    cells = MatrixCell.objects.filter(profession="10")
    assert cells.update(until="2020-01-01T00:00:00Z")
    assert world.doctor.get(asked).status_code == 404
    cells.update(until=None)
    assert world.doctor.get(asked).status_code == 200


def test_a_proxy_and_an_attending_doctor(world):
    row, masked = world.observation(), world.observation(security=[MASK])
    world.consents(to="Practitioner/dr-doctor")
    assert world.other.get(f"Observation/{row}").status_code == 404
    Proxy.objects.create(patient=world.key, person=who("bob"), kind="mandated")
    assert world.other.get(f"Observation/{row}").status_code == 200
    assert world.doctor.get(f"Observation/{masked}").status_code == 404
    AttendingDoctor.objects.create(patient=world.key, person=who())
    assert world.doctor.get(f"Observation/{masked}").status_code == 200


def test_within_a_batch_too(world):
    """Who breaks the glass by an entry reads by the next."""
    world.system.put(f"Patient/{world.a}", {
        "resourceType": "Patient", "id": world.a, "identifier": [{"system": SYSTEM, "value": "4711"}],
        "name": [{"family": "Aubert", "given": ["Anne"]}], "gender": "female", "birthDate": "1960-02-03",
    })  # fmt: skip
    asked = {"method": "GET", "url": f"Observation/{world.observation()}"}
    said = [("identifier", f"{SYSTEM}|4711"), ("purpose", "BTG"), ("reason", "Unconscious")]
    entries = [
        {"request": asked},
        {"request": {"method": "POST", "url": "Patient/$break-glass"},
         "resource": {"resourceType": "Parameters",
                      "parameter": [{"name": name, "valueString": value} for name, value in said]}},
        {"request": asked},
    ]  # fmt: skip
    answer = world.doctor.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert [e["response"]["status"][:3] for e in answer.tree["entry"]] == ["404", "200", "200"]


def test_nothing_of_it_is_believed_before_it_is_confirmed(world):
    """A process that knows the doctor as of before answers by what is so now; what it knew is not told."""
    asked = f"Observation/{world.observation()}"
    world.consents(to="Organization/clinic")
    assert world.doctor.get(asked).status_code == 200
    before = dict(actor._known)
    Membership.objects.filter(person=who()).delete()
    assert world.doctor.get(asked).status_code == 404
    actor._known.update(before)
    assert world.doctor.get(asked).status_code == 404
    with as_system():
        assert actor._known != before


def test_a_refusal_by_old_rights_is_no_answer(world):
    """What would be refused by what was so a moment ago is done by what is so now."""
    assert glass(world.doctor, identifier=f"{SYSTEM}|nobody").status_code == 404
    clerk = api("clerk")
    assert clerk.get("Observation").tree["total"] == 0
    person = who("clerk")
    person.kind, person.patient = "patient", world.a
    Person.objects.filter(kind="patient", patient=world.a).delete()
    person.save()
    world.observation()
    assert clerk.get("Observation").tree["total"] == 1
