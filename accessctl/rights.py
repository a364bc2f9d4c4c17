"""Tables of rights: what consents were compiled to, the matrix, grants on single objects, emergency openings.

Each change of them, and of the people they are about, is kept by a trigger: so one can ask what was so at a time.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from records.resources.models import Resource

from .people import Dated, Dossier, Person


class ConsentRule(models.Model):
    """One provision of an active privacy Consent for one grantee; made and unmade with the Consent's own write."""

    consent = models.BigIntegerField()  # Resource.number of the Consent
    patient = models.BigIntegerField()
    depth = models.SmallIntegerField()  # 1: an exception to the provision of depth 0
    permit = models.BooleanField()
    grantee = models.BigIntegerField()  # keys.identity of whom it is about; 0: everybody
    among = models.BigIntegerField()  # and who is also this one; 0: whoever
    purposes = ArrayField(models.CharField(max_length=40), null=True)  # null: every purpose
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    data_since = models.BigIntegerField(null=True)  # bounds of Resource.occurred
    data_until = models.BigIntegerField(null=True)
    cover = models.BigIntegerField(default=0)  # restricting labels that a permit reaches
    labelled = models.BigIntegerField(default=0)  # only rows with one of these labels; 0: all
    instance = models.BigIntegerField(null=True)  # only this resource
    authored = models.BigIntegerField(null=True)  # only what this Practitioner created
    related = models.CharField(max_length=90, null=True)  # "Encounter/1": the instance, and what is related to it

    class Meta:
        db_table = "consent_rule"
        indexes = [
            models.Index(fields=["patient", "grantee"], name="consent_rule_patient"),
            models.Index(fields=["consent"], name="consent_rule_consent"),
            models.Index(
                fields=["grantee", "patient"],
                condition=models.Q(permit=True) & ~models.Q(grantee=0),
                name="consent_rule_grantee",
            ),
            models.Index(fields=["patient"], condition=models.Q(permit=True, grantee=0), name="consent_rule_everybody"),
        ]


class MatrixCell(Dated):
    """May a profession see a class of data? What has no cell is refused."""

    matrix = models.CharField(max_length=40)  # version of the data file
    profession = models.CharField(max_length=20)  # TRE_G15
    category = models.SmallIntegerField()  # Resource.category
    permit = models.BooleanField()
    provenance = models.CharField(max_length=10)  # confirmed | assumed

    class Meta:
        db_table = "matrix"
        constraints = [models.UniqueConstraint(fields=["matrix", "profession", "category"], name="matrix_cell")]


class DossierUserObjectPermission(UserObjectPermissionBase):
    """view_dossier or hide_dossier for a user."""

    content_object = models.ForeignKey(Dossier, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        db_table = "dossier_user_permission"


class DossierGroupObjectPermission(GroupObjectPermissionBase):
    """view_dossier or hide_dossier for a group of users."""

    content_object = models.ForeignKey(Dossier, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        db_table = "dossier_group_permission"


class ResourceUserObjectPermission(UserObjectPermissionBase):
    """view_resource or hide_resource for a user: the exception, one document for one person."""

    content_object = models.ForeignKey(Resource, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        db_table = "resource_user_permission"


class ResourceGroupObjectPermission(GroupObjectPermissionBase):
    """view_resource or hide_resource for a group of users."""

    content_object = models.ForeignKey(Resource, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        db_table = "resource_group_permission"


class Opening(Dated):
    """One patient's record, opened to one professional in an emergency, for a time."""

    patient = models.BigIntegerField()
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    mode = models.CharField(max_length=14, choices=[("bris-de-glace", "bris de glace"), ("regulation", "regulation")])
    purpose = models.CharField(max_length=40)
    reason = models.TextField()

    class Meta:
        db_table = "opening"
        indexes = [models.Index(fields=["person", "patient"], name="opening_person")]


VERDICTS = [("justified", "justified"), ("unjustified", "unjustified")]


class Review(models.Model):
    """An opening that somebody must look at."""

    opening = models.OneToOneField(Opening, on_delete=models.CASCADE, primary_key=True)
    reviewed = models.DateTimeField(null=True)
    reviewer = models.ForeignKey(Person, on_delete=models.SET_NULL, null=True)
    verdict = models.CharField(max_length=12, null=True, choices=VERDICTS)
    conclusion = models.TextField(null=True)

    class Meta:
        db_table = "review"


class Notice(models.Model):
    """What a patient or an attending doctor must be told: an outbox, delivered at least once."""

    patient = models.BigIntegerField()  # whose record it is about
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True)  # the attending doctor; null: the patient
    kind = models.CharField(max_length=20)  # first-access, or the mode of the opening
    opening = models.ForeignKey(Opening, on_delete=models.CASCADE, null=True)
    about = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, related_name="+")  # who accessed first
    created = models.DateTimeField(db_default=Now())
    delivered = models.DateTimeField(null=True)
    attempts = models.SmallIntegerField(db_default=0)
    due = models.DateTimeField(db_default=Now())  # when it is tried next
    fault = models.CharField(max_length=200, null=True)  # why the last attempt failed

    class Meta:
        db_table = "notice"
        indexes = [
            models.Index(fields=["due"], condition=models.Q(delivered__isnull=True), name="notice_due"),
            models.Index(fields=["patient", "-id"], name="notice_patient"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "about"], condition=models.Q(kind="first-access"), name="notice_first_access"
            )
        ]


class StaffRole(Dated):
    """What a member of staff is charged with beside Django's permissions; support has an end."""

    ROLES = [("operations", "operations"), ("identity", "identity"), ("support", "support")]
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    role = models.CharField(max_length=20, choices=ROLES)

    class Meta:
        db_table = "staff_role"
        indexes = [models.Index(fields=["person", "role"], name="staff_role_person")]


class Doubt(models.Model):
    """An access that a patient finds doubtful, until a data-protection officer has answered."""

    patient = models.BigIntegerField()
    event = models.BigIntegerField()  # AuditRecord.seq
    text = models.TextField()
    person = models.ForeignKey(Person, on_delete=models.SET_NULL, null=True)  # who said so
    created = models.DateTimeField(db_default=Now())
    answered = models.DateTimeField(null=True)
    answer = models.TextField(null=True)

    class Meta:
        db_table = "doubt"
        indexes = [models.Index(fields=["answered", "created"], name="doubt_open"),
                   models.Index(fields=["patient"], name="doubt_patient")]  # fmt: skip


class RightChange(models.Model):
    """A row of a table of rights or people as it became, by a trigger; append-only. Read through the schema `past`."""

    seq = models.BigAutoField(primary_key=True)
    relation = models.CharField(max_length=40)  # the table
    key = models.BigIntegerField()  # its primary key
    about = models.BigIntegerField()  # key of a patient, id of a user or a group
    at = models.DateTimeField(db_default=Now())
    kept = models.JSONField(null=True)  # the row; null: deleted

    class Meta:
        db_table = "right_change"
        indexes = [models.Index(fields=["about", "relation", "key", "seq"], name="right_change_about")]
