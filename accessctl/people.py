"""The people behind logins, and what ties them to records: dated rows that no clinical resource can make.

They are changed by the patient, a representative, the import of a directory, or an administrator. CareTeam,
PractitionerRole, RelatedPerson, Group, `generalPractitioner` and `Patient.link` are stored, and confer nothing.
"""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from records.database import execute
from records.interactions.interaction import Touched
from records.keys import identity, key

from .majority import until_majority

KINDS = [("patient", "patient or proxy"), ("professional", "professional"), ("staff", "staff without clinical rights")]


class Dated(models.Model):
    """Holds from `since` until `until`, judged by the database's clock when it is asked."""

    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Person(models.Model):
    """Who a login is, in one capacity: a doctor's own record is under another login."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True)
    kind = models.CharField(max_length=12, choices=KINDS)
    profession = models.CharField(max_length=20, null=True)  # TRE_G15
    regulator = models.BooleanField(default=False)  # regulating doctor of a SAMU
    practitioner = models.CharField(max_length=64, null=True)  # id of the Practitioner that this person is
    patient = models.CharField(max_length=64, null=True)  # id of the Patient that this person is
    practitioner_key = models.BigIntegerField(null=True, unique=True, editable=False)
    patient_key = models.BigIntegerField(null=True, unique=True, editable=False)
    author_key = models.BigIntegerField(unique=True, editable=False)  # Resource.author of what this person creates

    class Meta:
        db_table = "person"

    def save(self, *args, **named):
        self.practitioner_key = identity("Practitioner", self.practitioner) if self.practitioner else None
        self.patient_key = identity("Patient", self.patient) if self.patient else None
        self.author_key = key("user", self.user.get_username())
        super().save(*args, **named)


class Membership(Dated):
    """A person acts for an organization, in a role, or in a team, as its directory confirmed."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    party = models.CharField(max_length=90)  # "Organization/1": also PractitionerRole, CareTeam, Group
    party_key = models.BigIntegerField(editable=False)

    class Meta:
        db_table = "membership"
        indexes = [models.Index(fields=["person", "party_key"], name="membership_person")]

    def save(self, *args, **named):
        self.party_key = identity(*self.party.split("/"))
        super().save(*args, **named)


class AttendingDoctor(Dated):
    """The doctor whom a patient declared as attending (medecin traitant)."""

    patient = models.BigIntegerField()
    person = models.ForeignKey(Person, on_delete=models.CASCADE)

    class Meta:
        db_table = "attending_doctor"
        indexes = [models.Index(fields=["patient", "person"], name="attending_patient")]


class Proxy(Dated):
    """A person acts for a patient: a legal representative, whom that one named, or whom the patient named.

    Whom a representative names has no more than the representative: neither what is kept from representatives, nor
    anything after the majority.
    """

    KINDS = [("representative", "representative"), ("delegated", "delegated"), ("mandated", "mandated")]

    patient = models.BigIntegerField()
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    kind = models.CharField(max_length=14, choices=KINDS)

    class Meta:
        db_table = "proxy"
        indexes = [models.Index(fields=["person", "patient"], name="proxy_person")]

    def save(self, *args, **named):
        if self.kind != "mandated":
            since = self.since if isinstance(self.since, datetime) else None
            self.until = until_majority(self.patient, self.until, since)
        super().save(*args, **named)


class Dossier(models.Model):
    """The record of one patient as such: open or closed, and what the patient opposes."""

    patient = models.BigIntegerField(primary_key=True)  # keys.identity of the Patient
    closed = models.DateTimeField(null=True)
    opposes_emergency = models.BooleanField(default=False)
    opposes_regulation = models.BooleanField(default=False)
    policy_version = models.IntegerField(default=1)

    class Meta:
        db_table = "dossier"
        permissions = [("hide_dossier", "Is refused the record")]  # beside Django's own view_dossier


class Block(Dated):
    """A patient keeps a professional out of the record, in every mode."""

    patient = models.BigIntegerField()
    person = models.ForeignKey(Person, on_delete=models.CASCADE)

    class Meta:
        db_table = "block"
        indexes = [models.Index(fields=["patient", "person"], name="block_patient")]


def records_of(user):
    """The own record of a login: its patient reads in the history what was done to the login."""
    rows = execute("SELECT patient, patient_key FROM person WHERE user_id = %s AND patient IS NOT NULL", (user,))
    return [Touched("Patient", id, None, key) for id, key in rows]
