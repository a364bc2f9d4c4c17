"""Each patient is told of an export, before it can be fetched; a worker that dies at any moment changes nothing."""

import pytest

from accessctl.export import kept, told, walk
from accessctl.labels import VISIBILITY
from accessctl.models import AuditRecord
from records.indexing import jobs
from records.keys import identity
from tests.accessctl.people import World, observation

from .exports import below, exported, kicked, manifest, named, resources, robot, worked


@pytest.fixture
def world(database):
    world = World()
    world.of_a, world.of_b = world.observation(), world.observation(world.b)
    world.shared = world.observation(performer=[{"reference": f"Patient/{world.b}"}])
    return world


def records(status=200):
    """patient -> entities of the records of exports that were given out."""
    found = {}
    for each in AuditRecord.objects.filter(interaction="$export", status=status, patient__isnull=False):
        found.setdefault(each.patient, []).append(each)
    return found


def entities(found, id):
    (record,) = found[identity("Patient", id)]
    return set(record.entities.split())


def test_one_record_of_each_patient(world):
    """What is of several patients is told to each; what is of nobody to none."""
    world.system.put("Organization/o", {"resourceType": "Organization", "id": "o", "name": "O"})
    absent = world.made({"resourceType": "Patient"})
    world.system.delete(f"Patient/{absent}")
    exported(robot())
    found = records()
    assert set(found) == {identity("Patient", world.a), identity("Patient", world.b)}
    assert entities(found, world.a) == {
        f"Patient/{world.a}",
        f"Observation/{world.of_a}",
        f"Observation/{world.shared}",
    }
    assert entities(found, world.b) == {
        f"Patient/{world.b}",
        f"Observation/{world.of_b}",
        f"Observation/{world.shared}",
    }
    each = found[identity("Patient", world.a)][0]
    assert (each.client, each.user, each.status) == ("robot", None, 200) and "transactionTime=" in each.query
    assert len({each.request for records in found.values() for each in records}) == 1


def test_only_of_whom_it_contains_something(world):
    exported(robot(), f"$export?_type=Observation&_since={exported(robot())['transactionTime']}")
    assert len(AuditRecord.objects.filter(interaction="$export", status=200, patient__isnull=False)) == 2
    since = exported(robot(), "$export?_type=Observation")["transactionTime"]
    world.system.delete(f"Observation/{world.of_b}")
    before = AuditRecord.objects.filter(interaction="$export", status=200).count()
    exported(robot(), f"$export?_since={since}")
    (told_of,) = AuditRecord.objects.filter(interaction="$export", status=200).order_by("seq")[before:]
    assert (told_of.patient, told_of.entities) == (identity("Patient", world.b), f"Observation/{world.of_b}")


def test_of_more_than_one_record_names_there_are_more(world, monkeypatch):
    monkeypatch.setattr(told, "MOST_NAMED", 2)
    monkeypatch.setattr(told, "PATIENTS", 1)
    exported(robot())
    found = records()
    assert {len(each) for each in found.values()} == {2}
    assert {len(r.entities.split()) for r in found[identity("Patient", world.a)]} == {1, 2}


def test_told_before_it_can_be_reached(world, monkeypatch):
    """At no moment a file is there without the records of all whom it is about."""
    monkeypatch.setattr(walk, "WINDOW", 2)
    monkeypatch.setattr(told, "PATIENTS", 1)
    api = robot()
    status = kicked(api)
    name = status.partition("?")[2]
    while jobs.unfinished():
        for file in ("Patient-1", "Observation-1"):
            assert api.get(f"$export-file?{name}&file={file}").status_code == 404
        jobs.advance()
    assert len(records()) == 2 and api.get(f"$export-file?{name}&file=Patient-1").status_code == 200


def test_an_export_that_is_cancelled_was_given_to_nobody(world, monkeypatch):
    monkeypatch.setattr(walk, "WINDOW", 2)
    api = robot()
    status = kicked(api)
    for _ in range(4):
        jobs.advance()
    api.delete(status)
    worked()
    assert not records()


def test_in_the_access_history_in_both_languages(world):
    """Who, when, what kind and why."""
    exported(robot())
    for language, who, did, why in (
        ("en", "The application robot", "exported 2 results or measurements", "authorised to export it"),
        ("fr", "L'application robot", "– export : 2 résultats ou mesures", "autorisé à les exporter"),
    ):
        page = world.patient.get("Patient/$access-history?others-only=true", accept_language=language).tree
        (event,) = [e["resource"] for e in page["entry"] if "export" in e["resource"]["text"]["div"]]
        text = event["text"]["div"].split("<p>")[1].split("</p>")[0]
        assert who in text and did in text and why in text and " 20" in text, text
        assert f"Observation/{world.of_b}" not in str(event)
    assert "robot" not in str(world.doctor.get(f"Patient/{world.a}/$access-history").tree)


def test_what_is_hidden_from_the_reader_is_not_told_by_an_export(world):
    """A record of the export names what its reader may see."""
    hidden = world.observation(security=[(VISIBILITY, "INVISIBLE_PATIENT")])
    exported(robot())
    assert f"Observation/{hidden}" in entities(records(), world.a)
    page = str(world.patient.get("Patient/$access-history?others-only=true").tree)
    assert f"Observation/{world.of_a}" in page and f"Observation/{hidden}" not in page


def test_kick_off_status_file_and_cancel_leave_their_records(world):
    api = robot()
    status = kicked(api)
    worked()
    found = manifest(api, status)
    list(api.get(below(found["output"][0]["url"])).streaming_content)
    api.delete(status)
    api.get(status)
    told = list(AuditRecord.objects.filter(client="robot", patient=None).order_by("seq")
                .values_list("interaction", "status"))  # fmt: skip
    assert told == [("$export", 202), ("$export-status", 200), ("$export-file", 200), ("$export-cancel", 202),
                    ("$export-status", 404)]  # fmt: skip


def test_a_patient_who_is_named_is_told_that_it_was_asked_for(world):
    body = {"resourceType": "Parameters",
            "parameter": [{"name": "patient", "valueReference": {"reference": f"Patient/{world.a}"}}]}  # fmt: skip
    kicked(robot(), "Patient/$export", body)
    assert set(records(202)) == {identity("Patient", world.a)}
    page = world.patient.get("Patient/$access-history?others-only=true", accept_language="en").tree
    assert "asked for an export of your identity" in page["entry"][0]["resource"]["text"]["div"]


class Killed(KeyboardInterrupt):
    """As if the process had ended, before its commit."""


def test_F34_killed_in_each_slice(world, monkeypatch):
    """Once in each of them, at its end: whole lines, counts that agree, each patient told once, no part reached."""
    monkeypatch.setattr(walk, "WINDOW", 2)
    monkeypatch.setattr(told, "PATIENTS", 1)
    for n in range(7):
        world.system.put(f"Observation/o{n}", observation(world.a) | {"id": f"o{n}"})
    world.system.put("Group/g", {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [
        {"entity": {"reference": f"Patient/{id}"}} for id in (world.a, world.b)]})  # fmt: skip
    control = named(resources(robot(), exported(robot(), "Group/g/$export")))
    AuditRecord.objects.all()._raw_delete("owner")
    sound, killed = kept.moved, []

    def dying(export):
        sound(export)
        if len(killed) < export.place.slices:
            killed.append(export.place.slices)
            raise Killed

    monkeypatch.setattr(kept, "moved", dying)
    api = robot()
    status = kicked(api, "Group/g/$export")
    while jobs.unfinished():
        try:
            jobs.advance()
        except Killed:
            assert api.get(status).status_code == 202
    assert len(killed) > 12
    assert named(resources(api, manifest(api, status))) == control
    assert sorted(len(each) for each in records().values()) == [1, 1]
    assert entities(records(), world.a) >= {f"Observation/o{n}" for n in range(7)}
