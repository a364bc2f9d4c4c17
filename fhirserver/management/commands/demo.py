"""`manage.py demo`: forty synthetic people and the demo logins, once."""

import contextlib
import json
import secrets
import time

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError

from fhirserver.embedded.folder import Folder, FolderError, write_private
from fhirserver.embedded.reach import add_data_argument, reach
from fhirserver.system import execute
from records.errors import FHIRError
from records.interactions.interaction import Interaction
from records.population import people

PEOPLE = 40
SEED = 1
EVERY = 2.0  # seconds between two progress lines
MARK = "demo"  # the group of the demo logins: it exists once all the people do


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
                    self.stdout.write("The demo people are here already.")
                    return
                written = self.population()
                passwords = {login: self.account(login, given, family) for login, given, family in accounts()}
                Folder.at(data).create()
                write_private(logins, json.dumps(passwords, indent=1) + "\n")
                mark(passwords)
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
        user.first_name, user.last_name = given, family
        user.is_staff = user.is_superuser = login == "administrator"
        user.set_password(password)
        user.save()
        return password


def accounts():
    """(login, given name, family name): the patient and her doctor are those of the first adult woman."""
    persons = [named(bundle) for bundle in people(PEOPLE, SEED, method="PUT")]
    at = next(
        n for n, (patient, _) in enumerate(persons) if patient["gender"] == "female" and patient["birthDate"] < "2000"
    )
    patient, doctor = persons[at]
    another = next(d for p, d in persons if d["identifier"] != doctor["identifier"])
    family = patient["name"][0]["family"]
    yield "patient", *of(patient)
    yield "proxy", "Solène", family
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
    name = resource["name"][0]
    return name["given"][0], name["family"]


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
