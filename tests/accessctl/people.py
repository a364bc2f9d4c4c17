"""People for tests: a patient, her proxy, doctors, a stranger; and minimal valid resources."""

from django.contrib.auth import get_user_model

from accessctl.people import Membership, Person, Proxy
from records.keys import identity
from tests.api import Api

SCOPE = "user/*.cruds"
IRCP = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def person(login, kind, **named):
    """A login and the person behind it."""
    user, _ = get_user_model().objects.get_or_create(username=login)
    return Person.objects.create(user=user, kind=kind, **named)


def api(login, scope=SCOPE, **named):
    """What that person asks, through an application."""
    return Api(scope, name="app", user=login, **named)


class World:
    """Two patients with a record each, and people around them."""

    def __init__(self):
        self.system = Api()
        self.a, self.b = (self.made({"resourceType": "Patient", "name": [{"family": f}]}) for f in ("Aubert", "Blanc"))
        self.patient = api(person("alice", "patient", patient=self.a).user.username)
        self.other = api(person("bob", "patient", patient=self.b).user.username)
        proxy = person("paul", "patient")
        Proxy.objects.create(patient=self.key, person=proxy, kind="representative")
        self.proxy = api("paul")
        doctor = person("doctor", "professional", profession="10", practitioner="dr-doctor")
        Membership.objects.create(person=doctor, party="Organization/clinic")
        self.doctor = api("doctor")
        person("stranger", "professional", profession="10", practitioner="dr-stranger")
        self.stranger = api("stranger")
        person("nurse", "professional", profession="60", practitioner="nurse")
        self.nurse = api("nurse")
        person("clerk", "staff")
        self.clerk = api("clerk")

    @property
    def key(self):
        return identity("Patient", self.a)

    def made(self, resource, by=None):
        """The id of a resource that the system, or somebody, creates."""
        answer = (by or self.system).post(resource["resourceType"], resource)
        assert answer.status_code == 201, answer.content
        return answer.headers["Location"].split("/")[-3]

    def observation(self, patient=None, security=(), by=None, **more):
        return self.made(observation(patient or self.a, security, **more), by)

    def consents(self, *, by=None, patient=None, **provision):
        return self.made(consent(patient or self.a, **provision), by or self.patient)


def observation(patient, security=(), **more):
    meta = {"meta": {"security": [{"system": s, "code": c} for s, c in security]}} if security else {}
    return {"resourceType": "Observation", **meta, "status": "final", "code": {"text": "weight"},
            "subject": {"reference": f"Patient/{patient}"}, **more}  # fmt: skip


def actor(reference):
    return {"role": {"coding": IRCP}, "reference": {"reference": reference}}


def consent(patient, type="permit", to=None, nested=(), **more):
    """An active privacy Consent; `to` and the rest are of its provision."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": "Organization/clinic"}],
        "sourceAttachment": {"title": "The paper that was signed"},
        "policy": [{"uri": "https://example.org/policy"}],
        "provision": provision(type, to, nested, **more),
    }


def provision(type, to=None, nested=(), purposes=(), **more):
    found = {"type": type, **more}
    if to:
        found["actor"] = [actor(t) for t in ([to] if isinstance(to, str) else to)]
    if purposes:
        found["purpose"] = [{"system": REASON, "code": p} for p in purposes]
    if nested:
        found["provision"] = list(nested)
    return found
