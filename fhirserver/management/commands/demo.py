"""`manage.py demo`: forty synthetic people and the demo logins, once."""

import contextlib
import json
import secrets
import time
from datetime import date

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError

from accessctl.people import Person
from accessctl.smart.registration import LOOPBACK, register
from fhirserver import demonstration
from fhirserver.embedded.folder import Folder, FolderError, write_private
from fhirserver.embedded.reach import add_data_argument, reach
from fhirserver.system import execute
from records import search
from records.access import Everything
from records.database import as_system
from records.database import execute as execute_sql
from records.errors import FHIRError
from records.interactions.interaction import Conditions, Interaction
from records.population import people

PEOPLE = 40
SEED = 1
EVERY = 2.0  # seconds between two progress lines
DOMAIN = "demo.example"  # of their addresses: it is nobody's (RFC 2606)
SAID = "urn:fhirserver:demo|consent"  # identifier of the patient's consent
APP = "openid fhirUser launch launch/patient offline_access online_access patient/*.cruds user/*.cruds"
MARK = "demo"  # the group of the demo logins: it exists once all the people do
MINOR = (12, 17)  # years: old enough for a login


class Command(BaseCommand):
    help = (
        "Write a small synthetic French population and demo logins with generated passwords; a second run does nothing."
    )

    def add_arguments(self, parser):
        add_data_argument(parser)

    def handle(self, *, data, **_):
        logins = Folder.at(data).secrets / "demo.json"
        try:
            with reach(data, holder="demo", create=True), demo_environment():
                if Group.objects.filter(name=MARK).exists() and logins.exists():
                    behind_logins()
                    self.stdout.write("The demo people are here already.")
                    return
                empty = not execute_sql("SELECT EXISTS (SELECT FROM version)")[0][0]
                written = self.population()
                passwords = {login: self.account(login, given, family) for login, given, family in accounts()}
                Folder.at(data).create()
                write_private(logins, json.dumps(passwords, indent=1) + "\n")
                behind_logins()
                clients(Folder.at(data))
                mark(passwords)
                if empty:  # all that is here is for trying: it may be put back
                    Folder.at(data).note(**{demonstration.MARK: True})
        except (FolderError, FHIRError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{PEOPLE} people, {written:,} resources, {len(passwords)} logins.")

    def population(self):
        """Every person as the transaction that a client would send; what is there already stays as it is."""
        written, said = 0, time.monotonic()
        for number, bundle in enumerate(people(PEOPLE, SEED, method="PUT"), 1):
            outcome = execute(Interaction("transaction", "system", method="POST", body=bundle, prefer_return="minimal"))
            written += len(outcome.touched)
            if time.monotonic() - said >= EVERY:
                said = time.monotonic()
                self.stdout.write(f"  {number} of {PEOPLE} people, {written:,} resources")
                self.stdout.flush()
        return written

    def account(self, login, given, family):
        """The user with a new password, which only its owner's file knows."""
        password = secrets.token_urlsafe(12)
        user, _ = get_user_model().objects.get_or_create(username=login)
        user.first_name, user.last_name, user.email = given, family, f"{login}@{DOMAIN}"
        user.is_staff = user.is_superuser = login == "administrator"
        user.set_password(password)
        user.save()
        return password


def cast():
    """The patient, her doctor and another one: those of the first adult woman; and the youngest who has a login."""
    persons = [named(bundle) for bundle in people(PEOPLE, SEED, method="PUT")]
    at = next(
        n for n, (patient, _) in enumerate(persons) if patient["gender"] == "female" and patient["birthDate"] < "2000"
    )
    patient, doctor = persons[at]
    another = next(d for p, d in persons if d["identifier"] != doctor["identifier"])
    oldest, youngest = (f"{date.today().year - years:04}" for years in (MINOR[1], MINOR[0]))
    minors = [p for p, _ in persons if oldest <= p["birthDate"][:4] <= youngest]
    return patient, doctor, another, max(minors, key=lambda p: p["birthDate"], default=None)


def accounts():
    """(login, given name, family name)."""
    patient, doctor, another, minor = cast()
    family = patient["name"][0]["family"]
    yield "patient", *of(patient)
    yield "proxy", "Solène", family
    if minor:
        yield "minor", *of(minor)
        yield "parent", "Maryam", of(minor)[1]
    yield "doctor", *of(doctor)
    yield "doctor2", *of(another)
    yield "emergency", "Loïc", "Kermarrec"
    yield "dpo", "Agnès", "Sauvageot"
    yield "administrator", "Noël", "d'Aubigné"


def named(bundle):
    """(Patient, her general practitioner) of a person's transaction."""
    by_url = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    patient = next(resource for resource in by_url.values() if resource["resourceType"] == "Patient")
    return patient, by_url[patient["generalPractitioner"][0]["reference"]]


def of(resource):
    """(given name, family name) as people are called, who may be named otherwise at birth."""
    official = resource["name"][0]
    usual = next((n for n in resource["name"] if n.get("use") == "usual" and n.get("family")), official)
    return official["given"][0], usual["family"]


def behind_logins():
    """The person behind each login: the doctor attends the patient, who consents to him and blocks the other doctor."""
    if Person.objects.filter(user__username="administrator").exists():
        return
    patient, doctor, another, minor = (resource and found(resource) for resource in cast())
    person("patient", "patient", patient=patient)
    person("proxy", "patient")
    if minor:
        person("minor", "patient", patient=minor)
        person("parent", "patient")
    person("doctor", "professional", profession="10", practitioner=doctor)
    person("doctor2", "professional", profession="10", practitioner=another)
    person("emergency", "professional", profession="10", regulator=True)
    demonstration.rights()
    execute(
        Interaction(
            "create", "type", "Consent", method="POST", body=consent(patient, doctor),
            conditions=Conditions(if_none_exist=f"identifier={SAID}"),
        )
    )  # fmt: skip
    officer = person("dpo", "staff")
    officer.user.user_permissions.add(*Permission.objects.filter(codename__in=("view_auditrecord", "change_review")))
    person("administrator", "staff")


def person(login, kind, **named):
    user = get_user_model().objects.get(username=login)
    return Person.objects.update_or_create(user=user, defaults={"kind": kind, **named})[0]


def found(resource):
    """The id under which one of the population was written."""
    each = resource["identifier"][0]
    with as_system():
        matches = search.select(
            resource["resourceType"], [("identifier", f"{each['system']}|{each['value']}")], Everything(), 1
        )
    return matches[0].id


def consent(patient, doctor):
    """The patient permits her doctor everything but what is labelled as restricted. (IHE PCF, basic)"""
    return {
        "resourceType": "Consent",
        "identifier": [dict(zip(("system", "value"), SAID.split("|"), strict=True))],
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"display": "Mon espace santé"}],
        "sourceAttachment": {"title": "Said in the demonstration"},
        "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
        "provision": {
            "type": "permit",
            "actor": [
                {
                    "role": {
                        "coding": [
                            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
                        ]
                    },
                    "reference": {"reference": f"Practitioner/{doctor}"},
                }
            ],
        },
    }


def clients(folder):
    """An application on any port of this machine, and a backend service with its key in the folder."""
    from joserfc.jwk import ECKey

    register("demo-app", title="Demonstration", scopes=APP, redirects=[f"http://{h}/callback" for h in LOOPBACK],
             launch_url="http://127.0.0.1/launch")  # fmt: skip
    key = ECKey.generate_key("P-384", {"kid": "demo", "alg": "ES384", "use": "sig"})
    write_private(folder.secrets / "demo-service.pem", key.as_pem(private=True).decode())
    register("demo-service", title="Demonstration service", scopes="system/*.cruds",
             jwks={"keys": [key.as_dict(private=False)]})  # fmt: skip


def mark(logins):
    """The group that says that the demo people are complete."""
    group, _ = Group.objects.get_or_create(name=MARK)
    group.user_set.set(get_user_model().objects.filter(username__in=logins))


@contextlib.contextmanager
def demo_environment():
    """Matricules for tests are accepted where demo people are, and only there."""
    before, settings.FHIRSERVER_ENVIRONMENT = settings.FHIRSERVER_ENVIRONMENT, "demo"
    try:
        yield
    finally:
        settings.FHIRSERVER_ENVIRONMENT = before
