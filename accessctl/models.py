"""Clients, their access tokens, and the audit records."""

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now

from . import external, people, rights  # noqa: F401  (tables of their own files)
from .export.tables import Export, ExportChunk, ExportContent, ExportPatient  # noqa: F401
from .smart.tables import Authorization, Client, Launch, RefreshToken, SeenAssertion, SigningKey  # noqa: F401


class Token(models.Model):
    """An access token; the table knows its SHA-256 only."""

    digest = models.BinaryField(unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    scopes = models.TextField()
    purpose = models.CharField(max_length=40, null=True)
    patient = models.CharField(max_length=64, null=True)  # id of the Patient in context
    issued = models.DateTimeField(db_default=Now())
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True)
    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE, null=True)  # its family

    class Meta:
        db_table = "token_access"


class AuditRecord(models.Model):
    """Who did what to whose record: one row for each patient and request; append-only."""

    seq = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    request = models.UUIDField()
    client = models.CharField(max_length=200)
    user = models.CharField(max_length=150, null=True)
    purpose = models.CharField(max_length=40, null=True)
    interaction = models.CharField(max_length=20)
    type = models.SmallIntegerField(null=True)
    patient = models.BigIntegerField(null=True)
    entities = models.TextField()  # references of what was shown or changed, a space between two
    query = models.TextField(null=True)
    status = models.SmallIntegerField()
    mac = models.BinaryField()
    received = models.TextField(null=True)  # the AuditEvent that somebody else sent
    # and `xact xid8 DEFAULT pg_current_xact_id()`, which the database alone writes and the sealer reads

    class Meta:
        db_table = "audit"
        indexes = [
            models.Index(fields=["patient", "seq"], name="audit_patient"),
            BrinIndex(fields=["at"], name="audit_at"),  # rows are in the order of time, or nearly
            models.Index(fields=["seq"], condition=models.Q(received__isnull=False), name="audit_received"),
        ]


class AuditLeaf(models.Model):
    """The place of an audit record in the Merkle tree; append-only."""

    position = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField(unique=True)
    hash = models.BinaryField()

    class Meta:
        db_table = "audit_leaf"


class AuditNode(models.Model):
    """The root of 256**level leaves from position index * 256**level on; append-only."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "audit_node"


class AuditSeal(models.Model):
    """A signed checkpoint over the first `size` leaves; append-only."""

    number = models.BigIntegerField(primary_key=True)
    size = models.BigIntegerField(unique=True)
    frontier = models.BinaryField()  # roots of the complete subtrees, largest first
    note = models.TextField()
    seen = models.TextField()  # the snapshot that it was made in
    cluster = models.BigIntegerField()  # and of which cluster's transactions that speaks

    class Meta:
        db_table = "audit_seal"


class Replay(models.Model):
    """The answer given under an Idempotency-Key, to be given again."""

    principal = models.CharField(max_length=400)
    key = models.CharField(max_length=255)
    digest = models.BinaryField()  # SHA-256 of the request
    status = models.SmallIntegerField()
    headers = models.JSONField()
    body = models.BinaryField(null=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "replay"
        constraints = [models.UniqueConstraint(fields=["principal", "key"], name="replay_key")]
        indexes = [models.Index(fields=["at"], name="replay_at")]


class Ins(models.Model):
    """Which Patient a qualified INS is; reached through the functions claim_ins and resolve_ins alone."""

    digest = models.BinaryField(primary_key=True)  # SHA-256 of system|value
    resource = models.BigIntegerField()

    class Meta:
        db_table = "ins"
        indexes = [models.Index(fields=["resource"], name="ins_resource")]


class InsResolution(models.Model):
    """How often somebody was told, in a minute, which Patient an INS is."""

    pk = models.CompositePrimaryKey("principal", "minute")
    principal = models.CharField(max_length=400)
    minute = models.DateTimeField()
    count = models.IntegerField()

    class Meta:
        db_table = "ins_resolution"
