"""A Consent as a resource: compiled by its own write, refused where it cannot be enforced, revoked at once."""

import pytest

from accessctl.labels import SENSITIVITY
from accessctl.rights import ConsentRule

from .people import REASON, actor, api, consent, provision

REFUSED = [
    ("Consent.provision.action", {"action": [{"text": "x"}]}),
    ("Consent.provision.class", {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}),
    ("Consent.provision.code", {"code": [{"text": "x"}]}),
    ("Consent.provision.extension", {"extension": [{"url": "http://x", "valueString": "x"}]}),
    ("Consent.provision.modifierExtension", {"modifierExtension": [{"url": "http://x", "valueString": "x"}]}),
    ("Consent.provision.securityLabel[0]", {"securityLabel": [{"system": "http://x", "code": "R"}]}),
    ("Consent.provision.purpose[0]", {"purpose": [{"system": "http://x", "code": "TREAT"}]}),
    ("Consent.provision.purpose[1]", {"purposes": ("TREAT", "NOSUCH")}),
    ("Consent.provision.purpose[0]", {"purposes": ("PurposeOfUse",)}),
    ("Consent.provision.actor[0].reference", {"actor": [actor("Device/1")]}),
    ("Consent.provision.actor[0].reference", {"actor": [actor("https://elsewhere.org/Practitioner/1")]}),
    ("Consent.provision.actor[0].role", {"actor": [{"role": {"text": "x"}, "reference": {"reference": "Group/1"}}]}),
    ("Consent.provision.data[0].reference",
     {"data": [{"meaning": "related", "reference": {"reference": "Observation/1"}}]}),
    ("Consent.provision.data[0].meaning",
     {"data": [{"meaning": "dependents", "reference": {"reference": "Encounter/1"}}]}),
    ("Consent.provision.data[0].reference",
     {"data": [{"meaning": "authoredby", "reference": {"reference": "Organization/1"}}]}),
    ("Consent.provision.provision[0].provision[0]",
     {"nested": [provision("deny", nested=[provision("permit")])]}),
]  # fmt: skip
ABOVE = [
    ("Consent.policyRule", {"policyRule": {"text": "OPTIN"}}),
    ("Consent.verification", {"verification": [{"verified": True}]}),
    ("Consent.implicitRules", {"implicitRules": "http://example.org/rules"}),
    ("Consent.modifierExtension", {"modifierExtension": [{"url": "http://x", "valueString": "x"}]}),
]
NEEDED = ("dateTime", "performer", "organization", "sourceAttachment", "policy", "provision", "patient")


@pytest.fixture(autouse=True)
def strict(settings):
    settings.FHIRSERVER_STRICT_CONSENT = True


def test_unless_strict_what_cannot_be_enforced_closes_the_record(world, settings):
    """Never enforced in part: nobody gets in by it or beside it, until it is replaced."""
    settings.FHIRSERVER_STRICT_CONSENT = False
    assert world.patient.post("Consent", consent(world.a)).status_code == 201
    assert world.doctor.get(f"Patient/{world.a}").status_code == 200
    half = consent(world.a, action=[{"text": "x"}])
    made = world.patient.post("Consent", half, prefer="return=OperationOutcome")
    assert made.status_code == 201, made.content
    said = {(i["severity"], *i.get("expression", ())) for i in made.tree["issue"]}
    assert ("warning", "Consent.provision.action") in said
    assert world.doctor.get(f"Patient/{world.a}").status_code == 404
    assert world.patient.get(f"Patient/{world.a}").status_code == 200
    id = made.headers["Location"].split("/Consent/")[1].split("/")[0]
    assert world.patient.put(f"Consent/{id}", {**half, "id": id, "status": "inactive"}).status_code == 200
    assert world.doctor.get(f"Patient/{world.a}").status_code == 200


def refused_at(answer):
    assert answer.status_code == 422, answer.content
    return {place for issue in answer.tree["issue"] for place in issue.get("expression", ())}


@pytest.mark.parametrize("place, more", REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_not_enforced_in_a_provision_is_refused(world, place, more):
    assert place in refused_at(world.patient.post("Consent", consent(world.a, **more)))
    assert not ConsentRule.objects.exists()


@pytest.mark.parametrize("place, more", ABOVE, ids=[p for p, _ in ABOVE])
def test_what_is_not_enforced_around_it_is_refused(world, place, more):
    assert place in refused_at(world.patient.post("Consent", consent(world.a) | more))


@pytest.mark.parametrize("key", NEEDED)
def test_the_shape_of_pcf(world, key):
    given = {k: v for k, v in consent(world.a).items() if k != key}
    assert any(key.removesuffix("Attachment") in p for p in refused_at(world.system.post("Consent", given)))


@pytest.mark.parametrize(
    "broken",
    [
        {"scope": "x"},
        {"scope": {"coding": ["x"]}},
        {"policy": ["x"]},
        {"provision": {"type": "permit", "actor": ["x"]}},
        {"provision": {"type": "permit", "period": {"start": 5}}},
        {"provision": {"type": "permit", "data": [5]}},
        {"provision": {"type": "permit", "provision": [5]}},
    ],
    ids=str,
)
def test_what_is_no_consent_at_all(world, broken):
    assert world.patient.post("Consent", consent(world.a) | broken).status_code == 400


def test_without_effect(world):
    """Of another scope, or not active: stored, said, no right."""
    row = world.observation()
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}
    for more in ({"status": "inactive"}, {"status": "draft"}, {"scope": scope}):
        told = world.patient.post("Consent", consent(world.a) | more, prefer="return=OperationOutcome")
        assert told.status_code == 201, told.content
        assert "no effect" in told.tree["issue"][0]["diagnostics"]
        assert told.tree["issue"][0]["severity"] == "information"
    assert world.doctor.get(f"Observation/{row}").status_code == 404
    assert not ConsentRule.objects.exists()


def test_grant_change_and_revocation_with_a_live_token(world):
    """0 before the Consent, n after, 0 after its end, whichever way it ends. (domain rule 1)"""
    row = world.observation()

    def sees():
        return world.doctor.get(f"Observation/{row}").status_code

    assert sees() == 404
    id = world.consents(to="Practitioner/dr-doctor")
    assert sees() == 200
    ended = consent(world.a, to="Practitioner/dr-doctor") | {"id": id, "status": "inactive"}
    assert world.patient.put(f"Consent/{id}", ended).status_code == 200
    assert sees() == 404
    assert world.patient.put(f"Consent/{id}", ended | {"status": "active"}).status_code == 200
    assert sees() == 200
    to_another = consent(world.a, to="Practitioner/dr-stranger") | {"id": id}
    assert world.patient.put(f"Consent/{id}", to_another).status_code == 200
    assert sees() == 404 and world.stranger.get(f"Observation/{row}").status_code == 200
    assert world.patient.delete(f"Consent/{id}").status_code == 204
    assert world.stranger.get(f"Observation/{row}").status_code == 404
    assert not ConsentRule.objects.exists()


def test_a_deny_is_heard_for_what_it_subsumes(world):
    """A deny of operations is one of care management, one of substance use one of alcohol; a permit is as it says."""
    row = world.observation()
    manager = api("doctor", purpose="CAREMGT")
    world.consents()
    assert manager.get(f"Observation/{row}").status_code == 200
    id = world.consents(type="deny", purposes=("HOPERAT",), nested=[provision("permit", to="Practitioner/nurse")])
    assert manager.get(f"Observation/{row}").status_code == 404
    assert world.doctor.get(f"Observation/{row}").status_code == 200
    assert api("nurse", purpose="CAREMGT").get(f"Observation/{row}").status_code == 200
    assert world.patient.delete(f"Consent/{id}").status_code == 204
    assert manager.get(f"Observation/{row}").status_code == 200
    alcohol = world.observation(security=[(SENSITIVITY, "ETHUD")])
    substance = [{"system": SENSITIVITY, "code": "SUD"}]
    world.consents(securityLabel=substance)
    assert world.doctor.get(f"Observation/{alcohol}").status_code == 404
    world.consents(securityLabel=[{"system": SENSITIVITY, "code": "ETHUD"}])
    assert world.doctor.get(f"Observation/{alcohol}").status_code == 200
    world.consents(type="deny", securityLabel=substance)
    assert world.doctor.get(f"Observation/{alcohol}").status_code == 404
    assert world.doctor.get(f"Observation/{row}").status_code == 200


def test_what_is_stored_changes_no_meaning(world):
    """A CodeSystem that somebody stores says nothing about the purposes of Consents."""
    row = world.observation()
    world.made({"resourceType": "CodeSystem", "url": REASON, "status": "active", "content": "complete",
                "concept": [{"code": "HOPERAT"}, {"code": "CAREMGT"}]})  # fmt: skip
    world.consents()
    world.consents(type="deny", purposes=("HOPERAT",))
    assert api("doctor", purpose="CAREMGT").get(f"Observation/{row}").status_code == 404


def test_A84_a_consent_that_multiplies(world):
    """Grantees times grantees times data, some kilobytes of text, would be a billion rules."""
    whom = [[f"{type}/{n}" for n in range(1000)] for type in ("Practitioner", "Organization")]
    data = [{"meaning": "instance", "reference": {"reference": f"Observation/{n}"}} for n in range(1000)]
    many = consent(world.a, to=whom[0], nested=[provision("permit", to=whom[1], data=data)])
    answer = world.patient.post("Consent", many)
    assert answer.status_code == 422 and refused_at(answer) == {"Consent.provision"}
    assert world.patient.post("Consent", consent(world.a, to=whom[0])).status_code == 201


def test_A84_many_consents(world):
    """Whoever meets the record in a search waits for all its rules: those of several Consents have an end, too."""

    def many(meaning, number, n=990):
        found = [{"meaning": meaning, "reference": {"reference": f"Encounter/{number}-{i}"}} for i in range(n)]
        return world.patient.post("Consent", consent(world.a, "deny", data=found))

    kept = [many("instance", number) for number in range(5)]
    assert {answer.status_code for answer in kept} == {201} and refused_at(many("instance", 5)) == {"Consent.provision"}
    assert world.patient.delete(f"Consent/{kept[0].tree['id']}").status_code == 204
    assert many("related", 6, 200).status_code == 201
    assert refused_at(many("related", 7, 1)) == {"Consent.provision"}


def test_one_resource_and_one_author(world):
    named, other = world.observation(), world.observation()
    deposited = world.observation(by=world.stranger)
    instance = {"meaning": "instance", "reference": {"reference": f"Observation/{named}"}}
    by_stranger = {"meaning": "authoredby", "reference": {"reference": "Practitioner/dr-stranger"}}
    world.consents(to="Practitioner/dr-doctor", data=[instance, by_stranger])
    found = {id: world.doctor.get(f"Observation/{id}").status_code for id in (named, other, deposited)}
    assert found == {named: 200, other: 404, deposited: 200}


def test_a_representative_consents_and_the_patient_takes_it_back(world):
    row = world.observation()
    id = world.consents(by=world.proxy)
    assert world.doctor.get(f"Observation/{row}").status_code == 200
    assert world.patient.delete(f"Consent/{id}").status_code == 204
    assert world.doctor.get(f"Observation/{row}").status_code == 404


def test_a_consent_of_a_transaction(world):
    row = world.observation()
    entry = {"resource": consent(world.a), "request": {"method": "POST", "url": "Consent"}}
    done = world.patient.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert done.status_code == 200, done.content
    assert world.doctor.get(f"Observation/{row}").status_code == 200


def test_feeding_is_not_reading(world):
    """A deposit without consent: 201 and nothing more; then not-found. (domain rule 27)"""
    made = world.doctor.post("Observation", {**OBSERVATION, "subject": {"reference": f"Patient/{world.a}"}},
                             prefer="return=representation")  # fmt: skip
    assert (made.status_code, made.content) == (201, b"")
    id = made.headers["Location"].split("/")[-3]
    assert world.doctor.get(f"Observation/{id}").status_code == 404
    assert world.patient.get(f"Observation/{id}").status_code == 200
    world.consents()
    assert world.doctor.get(f"Observation/{id}").status_code == 200


def test_the_author_sees_what_the_patient_masks(world):
    """Masking spares who deposited it (R1111-49); only the author deletes."""
    world.consents()
    id = world.observation(by=world.doctor)
    masked = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [MASK]}}]}
    assert world.patient.post(f"Observation/{id}/$meta-add", masked).status_code == 200
    assert world.doctor.get(f"Observation/{id}").status_code == 200
    assert world.stranger.get(f"Observation/{id}").status_code == 404
    assert world.stranger.get(f"Observation/{id}/_history/1").status_code == 404
    assert world.patient.post(f"Observation/{id}/$meta-delete", masked).status_code == 200
    assert world.stranger.get(f"Observation/{id}").status_code == 200
    assert world.stranger.delete(f"Observation/{id}").status_code == 204
    assert world.patient.get(f"Observation/{id}").status_code == 200
    assert world.doctor.delete(f"Observation/{id}").status_code == 204
    assert world.patient.get(f"Observation/{id}").status_code == 410


OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}
MASK = {
    "system": "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument",
    "code": "MASQUE_PS",
}


def test_what_is_related_to_an_encounter(world):
    """The encounter, what names it, and for a deny what it names; an Immunization too, whose encounter no index has."""
    of = {"reference": f"Patient/{world.a}"}
    finding, apart = (world.made({"resourceType": "Condition", "subject": of, "code": {"text": "x"}}) for _ in range(2))
    visit = world.made({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": of,
                        "diagnosis": [{"condition": {"reference": f"Condition/{finding}"}}]})  # fmt: skip
    here = {"reference": f"Encounter/{visit}"}
    shot = world.made({"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "x"},
                       "patient": of, "occurrenceDateTime": "2026-01-01", "encounter": here})  # fmt: skip
    value, other = world.observation(encounter=here), world.observation()
    about = [{"meaning": "related", "reference": here}]
    rows = (f"Encounter/{visit}", f"Immunization/{shot}", f"Observation/{value}", f"Condition/{finding}",
            f"Condition/{apart}", f"Observation/{other}")  # fmt: skip

    def seen():
        for row in rows:  # a version is judged as the row is
            assert world.doctor.get(row).status_code == world.doctor.get(f"{row}/_history/1").status_code
        return [world.doctor.get(row).status_code == 200 for row in rows]

    permit = world.consents(to="Practitioner/dr-doctor", data=about)
    assert seen() == [True, True, True, False, False, False]
    assert world.patient.delete(f"Consent/{permit}").status_code == 204
    assert seen() == [False] * 6
    world.consents(to="Practitioner/dr-doctor", nested=[provision("deny", data=about)])
    assert seen() == [False, False, False, False, True, True]
    assert world.doctor.get(f"Patient/{world.a}").status_code == 200, "whom every encounter names"
    moved = world.system.get(f"Observation/{other}").tree | {"encounter": here}
    assert world.system.put(f"Observation/{other}", moved).status_code == 200
    assert world.doctor.get(f"Observation/{other}").status_code == 404, "with the write, not with the index"
    assert world.doctor.get(f"Observation/{other}/_history/1").status_code == 404
