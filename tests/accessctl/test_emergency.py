"""Breaking the glass: who, whom, how long, and who is told. (domain rules 5, 6, 7, 12)"""

import pytest

from accessctl.people import AttendingDoctor, Block, Dossier, Person
from accessctl.rights import Notice, Opening, Review
from records.database import execute

from .people import api, person

SYSTEM = "urn:oid:1.2.3"
WHY = "Unconscious, immediate danger"


@pytest.fixture
def emergency(world):
    world.system.put(f"Patient/{world.a}", {
        "resourceType": "Patient", "id": world.a, "identifier": [{"system": SYSTEM, "value": "4711"}],
        "name": [{"family": "Aubert", "given": ["Anne"]}], "gender": "female", "birthDate": "1960-02-03",
    })  # fmt: skip
    return world


def glass(who, name="$break-glass", **named):
    asked = {"identifier": f"{SYSTEM}|4711", "purpose": "BTG", "reason": WHY} | named
    body = [{"name": k, "valueString": v} for k, v in asked.items() if v is not None]
    return who.post(f"Patient/{name}", {"resourceType": "Parameters", "parameter": body})


def test_open_see_end(emergency):
    w = emergency
    row, masked = w.observation(), w.observation(security=[MASK])
    AttendingDoctor.objects.create(patient=w.key, person=Person.objects.get(user__username="stranger"))
    assert w.doctor.get(f"Observation/{row}").status_code == 404
    told = glass(w.doctor)
    assert told.status_code == 200, told.content
    assert told.tree["parameter"][0]["valueReference"]["reference"] == f"Patient/{w.a}"
    assert w.doctor.get(f"Observation/{row}").status_code == 200
    assert [e["resource"]["id"] for e in w.doctor.get("Observation").tree["entry"]] == [row]
    assert w.doctor.get(f"Observation/{masked}").status_code == 404
    assert w.stranger.get(f"Observation/{row}").status_code == 404
    opening = Opening.objects.get()
    assert (opening.mode, opening.reason) == ("bris-de-glace", WHY) and Review.objects.get().opening == opening
    assert sorted(n.person_id or 0 for n in Notice.objects.all()) == sorted(
        [0, Person.objects.get(user__username="stranger").pk]
    )
    assert glass(w.doctor, "$end-break-glass", patient=f"Patient/{w.a}").status_code == 200
    assert w.doctor.get(f"Observation/{row}").status_code == 404


def test_time_ends_it(emergency):
    row = emergency.observation()
    glass(emergency.doctor)
    Opening.objects.update(until="2026-01-01T00:00:00Z", since="2025-01-01T00:00:00Z")
    assert emergency.doctor.get(f"Observation/{row}").status_code == 404


def test_unknown_and_refused_alike(emergency):
    """Unknown, opposed, blocked, closed: one answer, and nothing is kept."""
    w = emergency
    unknown = glass(w.doctor, identifier=f"{SYSTEM}|nobody")
    assert unknown.status_code == 404
    for more in ({"opposes_emergency": True}, {"closed": "2026-01-01T00:00:00Z"}):
        dossier = Dossier.objects.create(patient=w.key, **more)
        answer = glass(w.doctor)
        assert (answer.status_code, answer.content) == (404, unknown.content)
        dossier.delete()
    Block.objects.create(patient=w.key, person=Person.objects.get(user__username="doctor"))
    answer = glass(w.doctor)
    assert (answer.status_code, answer.content) == (404, unknown.content)
    tried = execute("SELECT patient, status FROM audit WHERE interaction = '$break-glass' ORDER BY seq")
    assert tried == [(None, 404), *3 * [(w.key, 404)]]  # the patient is told who tried
    assert not (Opening.objects.exists() or Notice.objects.exists() or Review.objects.exists())


def test_a_block_made_later_counts(emergency):
    row = emergency.observation()
    glass(emergency.doctor)
    Block.objects.create(patient=emergency.key, person=Person.objects.get(user__username="doctor"))
    assert emergency.doctor.get(f"Observation/{row}").status_code == 404


def test_an_opposition_made_later_counts_for_its_mode(emergency):
    row, nothing = emergency.observation(), {"resourceType": "Parameters"}
    glass(emergency.doctor)
    assert emergency.patient.post(f"Patient/{emergency.a}/$oppose-regulation", nothing).status_code == 200
    assert emergency.doctor.get(f"Observation/{row}").status_code == 200
    assert emergency.patient.post(f"Patient/{emergency.a}/$oppose-emergency", nothing).status_code == 200
    assert emergency.doctor.get(f"Observation/{row}").status_code == 404
    assert glass(emergency.doctor).status_code == 404


def test_regulation_is_for_regulators_and_has_its_own_opposition(emergency):
    w = emergency
    assert glass(w.doctor, mode="regulation").status_code == 403
    person("samu", "professional", profession="10", regulator=True)
    samu = api("samu")
    dossier = Dossier.objects.create(patient=w.key, opposes_emergency=True)
    assert glass(samu, mode="regulation").status_code == 200
    dossier.opposes_regulation = True
    dossier.save()
    assert glass(samu, mode="regulation").status_code == 404


@pytest.mark.parametrize("wrong", [{"reason": None}, {"reason": "x"}, {"purpose": "TREAT"}, {"mode": "other"},
                                   {"identifier": "4711"}, {"identifier": None}])  # fmt: skip
def test_what_it_needs(emergency, wrong):
    assert glass(emergency.doctor, **wrong).status_code == 400


def test_not_for_patients_nor_for_tokens_without_a_person(emergency):
    for who in (emergency.patient, emergency.proxy, emergency.clerk, emergency.system):
        assert glass(who).status_code == 403


def test_a_purpose_in_the_token_breaks_no_glass(emergency):
    row = emergency.observation()
    emergency.consents(to="Practitioner/dr-doctor", purposes=["BTG"])
    hurried = api("doctor", purpose="BTG")
    assert hurried.get(f"Observation/{row}").status_code == 404
    glass(emergency.doctor)
    assert emergency.doctor.get(f"Observation/{row}").status_code == 200


def test_restricted_data_by_a_consent_for_emergencies(emergency):
    from accessctl.labels import CONFIDENTIALITY

    row = emergency.observation(security=[(CONFIDENTIALITY, "R")])
    glass(emergency.doctor)
    assert emergency.doctor.get(f"Observation/{row}").status_code == 404
    emergency.consents(purposes=["BTG"], securityLabel=[{"system": CONFIDENTIALITY, "code": "R"}])
    assert emergency.doctor.get(f"Observation/{row}").status_code == 200


def test_the_ordinary_no_gives_way_the_one_by_name_does_not(emergency):
    row = emergency.observation()
    emergency.consents(type="deny")
    glass(emergency.doctor)
    assert emergency.doctor.get(f"Observation/{row}").status_code == 200
    emergency.consents(type="deny", to="Practitioner/dr-doctor")
    assert emergency.doctor.get(f"Observation/{row}").status_code == 404


MASK = (
    "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument",
    "MASQUE_PS",
)
