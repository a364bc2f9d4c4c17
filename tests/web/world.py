"""A record with something of everything, and the people around it, with passwords: what pages are tried on."""

from functools import cache

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission

from accessctl.models import Client
from accessctl.people import AttendingDoctor, Person
from accessctl.rights import StaffRole
from tests.accessctl.people import World, person
from tests.api import indexed

from .conftest import PASSWORD, Browser

BACKEND = "django.contrib.auth.backends.ModelBackend"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
ROLES = {
    "boss": {"operations", "identity"}, "officer": {"data-protection"}, "helper": {"support"}, "runner": {"operations"},
    "registrar": {"identity"}, "clerk": set(),
}  # fmt: skip
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Clinic(World):
    """Alice's record; her doctor may read it, another is a stranger, Bob has a record of his own."""

    def __init__(self):
        super().__init__()
        get_user_model().objects.update(password=hashed())
        self.practitioner = self.made(
            {"resourceType": "Practitioner", "name": [{"family": "Perrin", "given": ["Anne"]}]}
        )
        doctor = Person.objects.get(user__username="doctor")
        doctor.practitioner = self.practitioner
        doctor.save()
        self.doctor_user = doctor.user_id
        self.attending = AttendingDoctor.objects.create(patient=self.key, person=doctor)
        self.consents(to=f"Practitioner/{self.practitioner}")
        get_user_model().objects.get(username="clerk").groups.create(name="demo")
        demo = get_user_model().objects.get(username="clerk").groups.get()
        demo.user_set.set(get_user_model().objects.all())
        subject = {"reference": f"Patient/{self.a}"}
        self.allergy = self.made({
            "resourceType": "AllergyIntolerance", "patient": subject, "code": {"text": f"Penicillin {EVIL}"},
            "clinicalStatus": {"coding": [{"code": "active", "system":
                               "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"}]},
        })  # fmt: skip
        for day, value in (("2024-01-10", 11.2), ("2024-06-10", 12.5), ("2025-01-10", 17.9)):
            self.lab = self.observation(
                code={"coding": [{"system": LOINC, "code": "718-7", "display": "Haemoglobin"}]},
                category=[{"coding": [{"code": "laboratory"}]}], effectiveDateTime=f"{day}T08:00:00+01:00",
                valueQuantity={"value": value, "unit": "g/dL", "system": UCUM, "code": "g/dL"},
                referenceRange=[{"low": {"value": 12, "unit": "g/dL"}, "high": {"value": 16, "unit": "g/dL"}}],
            )  # fmt: skip
        self.document = self.made({
            "resourceType": "DocumentReference", "status": "current", "subject": subject,
            "date": "2025-02-01T10:00:00Z",
            "type": {"text": "Letter"}, "content": [
                {"attachment": {"contentType": "text/plain", "title": "letter.txt", "data": "QSBsZXR0ZXIu"}},
                {"attachment": {"contentType": "text/html", "title": f'x"{EVIL}.html', "data": "PHNjcmlwdD4="}},
            ],
        })  # fmt: skip
        self.foreign = self.observation(self.b)
        indexed()

    @property
    def root(self):
        return f"/me/{self.a}"


def staffed(clinic):
    """The clinic with a member of staff for each role."""
    demo = get_user_model().objects.get(username="alice").groups.get()
    for name, roles in ROLES.items():
        who = Person.objects.filter(user__username=name).first() or person(name, "staff")
        demo.user_set.add(who.user)
        for role in roles if name in ("helper", "runner", "registrar") else ():
            StaffRole.objects.create(person=who, role=role)
    get_user_model().objects.filter(username="boss").update(is_superuser=True)
    get_user_model().objects.update(password=hashed())
    officer = get_user_model().objects.get(username="officer")
    officer.user_permissions.set(Permission.objects.filter(codename__in=("view_auditrecord", "change_review")))
    clinic.app = Client.objects.get(name="app").pk
    return clinic


def signed_in(name):
    """A browser with a session; tests/web/test_login.py has the way to it."""
    browser = Browser()
    browser.force_login(get_user_model().objects.get(username=name), backend=BACKEND)
    return browser


@cache
def hashed():
    """PASSWORD as it is kept; made once, which takes as long as it should."""
    return make_password(PASSWORD)
