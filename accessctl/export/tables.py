"""Exports and what they contain, in PostgreSQL: every node sends it, and it is committed with what made it.

Rows of a `run` are of one walk over one moment; an export that begins anew has another, and what is of none is purged.
"""

from django.db import models


class Export(models.Model):
    """Who asked for what, of which moment, and where the walk is."""

    job = models.BigIntegerField(primary_key=True)
    digest = models.BinaryField(unique=True)  # SHA-256 of the name that its addresses have
    client = models.CharField(max_length=200)
    owner = models.BigIntegerField()  # Actor.author of the client, as the policies know it
    asked = models.TextField()  # asked.Asked as JSON
    run = models.BigIntegerField(unique=True)
    moment = models.DateTimeField(null=True)  # transactionTime
    place = models.TextField()  # job.Place as JSON

    class Meta:
        db_table = "export"
        indexes = [models.Index(fields=["client"], name="export_client")]


class ExportChunk(models.Model):
    """Some lines of a file, as a member of gzip."""

    pk = models.CompositePrimaryKey("run", "file", "number")
    run = models.BigIntegerField()
    file = models.TextField()  # Patient-1, deleted-1, error-1
    number = models.IntegerField()
    owner = models.BigIntegerField()
    count = models.IntegerField()  # lines
    size = models.BigIntegerField()  # bytes of them, unpacked
    data = models.BinaryField()

    class Meta:
        db_table = "export_chunk"


class ExportContent(models.Model):
    """What of a patient a slice has put into files, until the patient is told."""

    pk = models.CompositePrimaryKey("run", "patient", "number")
    run = models.BigIntegerField()
    patient = models.BigIntegerField()
    number = models.IntegerField()  # of the slice
    entities = models.TextField()  # references, a space between two

    class Meta:
        db_table = "export_content"


class ExportPatient(models.Model):
    """A patient whose record is asked for, of an export that is not about all."""

    pk = models.CompositePrimaryKey("run", "patient")
    run = models.BigIntegerField()
    patient = models.BigIntegerField()

    class Meta:
        db_table = "export_patient"
