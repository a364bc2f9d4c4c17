"""The tables that keep resources. SQL on the hot path is written by hand; the models carry schema and migrations."""

from django.db import models
from django.db.models.functions import Now

LIVE = models.Q(deleted=False)
NO_DATE = -(2**63)  # `occurred` of a row without a clinical date: sorts as the oldest


class ResourceColumns(models.Model):
    """What a right is judged by, on the row and on each of its versions alike."""

    type = models.SmallIntegerField()  # definitions.type_number
    patient = models.BigIntegerField(null=True)  # keys.identity of the (first) Patient it belongs to
    shared = models.BooleanField(default=False)  # belongs to several patients: see Compartment
    labels = models.BigIntegerField(default=0)  # bit set of security labels
    category = models.SmallIntegerField(null=True)  # class of data for the authorisation matrix
    author = models.BigIntegerField(null=True)  # actor that created it
    organization = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class Resource(ResourceColumns):
    """Current state of one logical resource; `body` is what a read returns, byte for byte."""

    number = models.BigAutoField(primary_key=True, db_column="pk")  # what index rows refer to
    id = models.CharField(max_length=64, db_collation="C")
    identity = models.BigIntegerField(unique=True)  # keys.identity(type, id)
    version = models.IntegerField()
    updated = models.DateTimeField()  # milliseconds
    deleted = models.BooleanField(default=False)
    body = models.BinaryField(null=True)  # null when deleted
    occurred = models.BigIntegerField(default=NO_DATE)  # clinical date, microseconds since 1970 UTC

    class Meta:
        db_table = "resource"
        indexes = [
            models.Index(fields=["patient", "type", "-occurred", "-number"], condition=LIVE, name="resource_patient"),
            models.Index(fields=["type", "-occurred", "-number"], condition=LIVE, name="resource_occurred"),
            models.Index(fields=["type", "updated", "number"], condition=LIVE, name="resource_updated"),
            models.Index(fields=["author", "type"], condition=LIVE & models.Q(patient=None), name="resource_of_nobody"),
        ]


class Version(ResourceColumns):
    """One write; append-only. (http.html#history)"""

    pk = models.CompositePrimaryKey("resource", "version")
    resource = models.BigIntegerField()
    version = models.IntegerField()
    method = models.SmallIntegerField()  # see store.METHODS
    updated = models.DateTimeField()
    body = models.BinaryField(null=True)
    sha256 = models.BinaryField(null=True)

    class Meta:
        db_table = "version"
        indexes = [
            models.Index(fields=["updated", "resource"], name="version_updated"),
            models.Index(fields=["type", "updated", "resource"], name="version_type_updated"),
        ]


class Compartment(models.Model):
    """All patients of a resource that belongs to several."""

    pk = models.CompositePrimaryKey("patient", "resource")
    patient = models.BigIntegerField()
    resource = models.BigIntegerField()

    class Meta:
        db_table = "compartment"
        indexes = [models.Index(fields=["resource"], name="compartment_resource")]


class Attached(models.Model):
    """A resource of a record names a Binary, now or in an earlier version; once for each patient. Append-only."""

    pk = models.CompositePrimaryKey("file", "patient", "resource")
    file = models.BigIntegerField()  # keys.identity of the Binary, which may come later
    patient = models.BigIntegerField()
    resource = models.BigIntegerField()
    type = models.SmallIntegerField()  # of the resource, as its author is
    author = models.BigIntegerField(null=True)
    since = models.DateTimeField()

    class Meta:
        db_table = "attached"


class Naming(models.Model):
    """A Provenance names a resource, now or in an earlier version. Append-only."""

    pk = models.CompositePrimaryKey("resource", "named")
    resource = models.BigIntegerField()
    named = models.BigIntegerField()  # keys.identity of what may not be there
    type = models.SmallIntegerField()  # of the named
    since = models.DateTimeField()

    class Meta:
        db_table = "naming"


class Part(models.Model):
    """A resource is made of another, which may come later: see labels.PARTS."""

    pk = models.CompositePrimaryKey("part", "whole")
    part = models.BigIntegerField()  # keys.identity
    whole = models.BigIntegerField()

    class Meta:
        db_table = "part"
        indexes = [models.Index(fields=["whole"], name="part_whole")]


class Pending(models.Model):
    """A write whose index rows are not made yet: the queue of the indexer, committed with the write."""

    seq = models.BigAutoField(primary_key=True)
    resource = models.BigIntegerField()
    type = models.SmallIntegerField()
    patient = models.BigIntegerField(null=True)
    since = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(db_default=0)
    retry_at = models.DateTimeField(null=True)
    reason = models.TextField(null=True)  # why the last attempt failed

    class Meta:
        db_table = "pending"
        indexes = [
            models.Index(fields=["type", "seq"], name="pending_type"),
            models.Index(fields=["patient", "type"], name="pending_patient"),
            models.Index(fields=["resource"], condition=models.Q(retry_at__isnull=False), name="pending_failed"),
        ]
