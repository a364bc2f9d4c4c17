"""Patient/[id]/$access-history in words; the ledger of rights behind its reasons."""

import pytest
from django.contrib.auth import get_user_model

from accessctl.audit.history import chosen
from accessctl.people import AttendingDoctor, Membership, Person
from accessctl.rights import Opening
from records.database import execute
from records.resources.validation import check

from .people import person
from .test_audit_event import about, officer
from .test_emergency import SYSTEM, glass


def history(who, path="$access-history", **headers):
    answer = who.get(f"Patient/{path}", **headers)
    assert answer.status_code == 200, answer.content
    return answer.tree


def texts(bundle):
    found = [e["resource"] for e in bundle.get("entry", ())]
    assert not [i for each in found for i in check(each, "AuditEvent") if i.severity == "error"]
    return [each["text"]["div"].split("<p>")[1].split("</p>")[0] for each in found]


@pytest.fixture
def seen(world):
    """A row of A that the doctor reads by consent."""
    user = Person.objects.get(user__username="doctor").user
    user.first_name, user.last_name = "Jeanne", "Martin"
    user.save()
    world.system.put("Organization/clinic", {"resourceType": "Organization", "id": "clinic", "name": "Clinic & Sons"})
    world.row = world.observation()
    world.consent = world.consents(to="Practitioner/dr-doctor")
    assert world.doctor.get(f"Observation/{world.row}").status_code == 200
    return world


def test_in_english_and_french(seen):
    answer = seen.patient.get("Patient/$access-history?others-only=true", accept_language="en")
    assert answer.headers["Content-Language"] == "en"
    first = texts(answer.tree)[0]
    assert first.endswith("Jeanne Martin (doctor), for Clinic &amp; Sons read a result or measurement."
                          " Reason: consent given to this professional.")  # fmt: skip
    french = texts(history(seen.patient, "$access-history?others-only=true", accept_language="fr-FR,en;q=0.5"))[0]
    assert french.endswith("Jeanne Martin (médecin), pour Clinic &amp; Sons, – consultation : un résultat ou une"
                           " mesure. Motif : consentement donné à ce professionnel.")  # fmt: skip


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("fr", "fr"), ("de, fr;q=0.3", "fr"), ("fr;q=0", "en"), ("en;q=0.2, fr-CA;q=0.9", "fr"),
     ("x;q=y", "en")],
)  # fmt: skip
def test_the_language(accepted, language):
    assert chosen(accepted) == language


def reason(world, who="alice"):
    """Of the newest access of that login."""
    for entry in history(world.patient, f"{world.a}/$access-history", accept_language="en")["entry"]:
        logins = [a["who"].get("reference", a["who"].get("identifier", {}).get("value")) for a in
                  entry["resource"]["agent"] if a["requestor"]]  # fmt: skip
        if who in logins:
            return entry["resource"]["purposeOfEvent"][0]["text"]
    return None


def test_why(seen):
    w = seen
    assert reason(w, "Practitioner/dr-doctor") == "consent given to this professional"
    w.patient.get(f"Observation/{w.row}")
    assert reason(w, f"Patient/{w.a}") == "it is the person's own record"
    w.proxy.get(f"Observation/{w.row}")
    assert reason(w, "paul") == "acting on behalf of the person as legal representative"
    w.made({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"Patient/{w.a}"}}, by=w.stranger)  # fmt: skip
    assert reason(w, "Practitioner/dr-stranger") == "adding to the record is part of care"
    assert reason(w, "test") == "operation of the service"
    nurse = Person.objects.get(user__username="nurse")
    Opening.objects.create(patient=w.key, person=nurse, mode="bris-de-glace", purpose="BTG", reason="Found <cold>")
    w.nurse.get(f"Observation/{w.row}")
    assert reason(w, "Practitioner/nurse") == "emergency (breaking the glass): Found <cold>"
    Opening.objects.update(until="2020-01-01T00:00:00Z")
    assert "emergency" not in reason(w, "Practitioner/nurse")  # the opening is said to have ended before
    Opening.objects.update(until="2999-01-01T00:00:00Z")
    ended = {"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueString": f"Patient/{w.a}"}]}  # fmt: skip
    assert w.nurse.post("Patient/$end-break-glass", ended).status_code == 200
    assert reason(w, "Practitioner/nurse") == "the emergency is over"


def test_the_reason_is_that_of_the_time(seen):
    """What was revoked since was still the reason; what is given since was not."""
    w = seen
    assert w.patient.delete(f"Consent/{w.consent}").status_code == 204
    Membership.objects.create(person=Person.objects.get(user__username="doctor"), party="CareTeam/t")
    w.consents(to="CareTeam/t")
    assert reason(w, "Practitioner/dr-doctor") == "consent given to this professional"
    w.doctor.get(f"Observation/{w.row}")
    assert reason(w, "Practitioner/dr-doctor") == "consent given to the care team"


def test_who_may_ask(seen):
    w = seen
    for who in (w.patient, w.proxy, w.system, officer()):
        assert texts(history(who, f"{w.a}/$access-history"))
    hidden = [w.other, w.doctor, w.stranger, w.clerk]
    for who in hidden:
        absent = who.get("Patient/nobody/$access-history")
        answer = who.get(f"Patient/{w.a}/$access-history")
        assert (answer.status_code, answer.content) == (404, absent.content.replace(b"nobody", w.a.encode()))
    AttendingDoctor.objects.create(patient=w.key, person=Person.objects.get(user__username="doctor"))
    assert texts(history(w.doctor, f"{w.a}/$access-history"))
    assert w.doctor.get("Patient/$access-history").status_code == 400
    assert texts(history(w.proxy))


def test_no_professional_is_told_what_the_patient_decides(seen):
    """Whom a patient keeps out, and that somebody was kept out: not even the attending doctor, by no way of asking."""
    doctor = Person.objects.get(user__username="doctor")
    AttendingDoctor.objects.create(patient=seen.key, person=doctor)
    seen.system.put("Practitioner/dr-stranger", {"resourceType": "Practitioner", "id": "dr-stranger"})
    patient = seen.system.get(f"Patient/{seen.a}").tree
    patient["identifier"] = [{"system": SYSTEM, "value": "4711"}]
    seen.system.put(f"Patient/{seen.a}", patient)

    def told():
        """All but the own requests, which these are."""
        found = texts(history(seen.doctor, f"{seen.a}/$access-history?others-only=true&_count=200"))
        by = [e["resource"] for e in seen.doctor.get("AuditEvent?_count=200").tree["entry"]]
        return found, [e["id"] for e in by if "doctor" not in str(e["agent"]) and "Martin" not in str(e["agent"])]

    before = told()
    for name, given in (("block", ("practitioner", "Practitioner/dr-stranger")), ("oppose-emergency", None),
                        ("name-proxy", ("login", "bob")), ("report-access", ("event", "1"))):  # fmt: skip
        body = [{"name": given[0], "valueString": given[1]}] if given else []
        seen.patient.post(f"Patient/{seen.a}/${name}", {"resourceType": "Parameters", "parameter": body})
    assert glass(seen.stranger).status_code == glass(seen.doctor).status_code == 404
    assert told() == before
    assert "entry" not in seen.doctor.get("AuditEvent?entity=Practitioner/dr-stranger").tree
    assert [said for said in texts(history(seen.patient)) if "blocked a professional" in said]
    assert seen.doctor.get("AuditEvent?outcome=4").tree.get("entry") is None


def test_pages_and_bounds(seen):
    w = seen
    for _ in range(4):
        w.doctor.get(f"Observation/{w.row}")
    all = history(w.patient, "$access-history?others-only=true&_count=50")
    found, following = [], f"Patient/{w.a}/$access-history?others-only=true&_count=2"
    while following:
        answer = w.patient.get(following).tree
        found += [e["resource"]["id"] for e in answer.get("entry", ())]
        following = next((x["url"].partition("/fhir/")[2] for x in answer["link"] if x["relation"] == "next"), None)
    assert found == [e["resource"]["id"] for e in all["entry"]] and len(found) >= 5
    assert not history(w.patient, "$access-history?end=2020").get("entry")
    assert history(w.patient, "$access-history?start=2020&end=2100").get("entry")
    body = {"resourceType": "Parameters", "parameter": [{"name": "end", "valueDate": "2020-01-01"}]}
    assert "entry" not in w.patient.post("Patient/$access-history", body).tree
    for wrong in ("start=x", "sort=1", "others-only=x"):
        assert w.patient.get(f"Patient/$access-history?{wrong}").status_code == 400


def test_asking_is_recorded_whatever_is_found(seen):
    seen.patient.get("Patient/$access-history?end=2020")
    assert execute("SELECT interaction, patient, entities FROM audit ORDER BY seq DESC LIMIT 1") == [
        ("$access-history", seen.key, f"Patient/{seen.a}")
    ]


def test_what_others_report(seen):
    seen.system.post("AuditEvent", about(seen))
    first = texts(history(seen.patient, accept_language="en"))[0]
    assert first.endswith("Practitioner/far read your identity. Reason: reported by another system.")


# -- the ledger ------------------------------------------------------------------------------------------------------


def test_each_change_of_a_right_is_kept_and_stays(world):
    someone = person("someone", "professional", profession="10")
    Person.objects.filter(pk=someone.pk).update(profession="60")
    Person.objects.filter(pk=someone.pk).update(profession="60")
    user = someone.pk
    get_user_model().objects.get(pk=user).delete()
    rows = execute("SELECT kept ->> 'profession' FROM right_change WHERE relation = 'person' AND key = %s ORDER BY seq",
                   (user,))  # fmt: skip
    assert rows == [("10",), ("60",), (None,)]
    for text in ("DELETE FROM right_change", "UPDATE right_change SET kept = NULL"):
        with pytest.raises(Exception, match="permission denied"):
            execute(text)
