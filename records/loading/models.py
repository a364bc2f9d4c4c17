"""What has been loaded, so that a second run does only what is left."""

from django.db import models
from django.db.models.functions import Now


class LoadedInput(models.Model):
    """A file, known by its content wherever it lies."""

    sha256 = models.BinaryField(unique=True)
    path = models.TextField()  # where it was found last
    size = models.BigIntegerField()
    modified = models.BigIntegerField()  # nanoseconds
    finished = models.DateTimeField(null=True)  # everything in it was written
    since = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "loaded_input"


class LoadedRange(models.Model):
    """A part of an input, written in the transaction that wrote the part: bytes of NDJSON, entries of a Bundle."""

    pk = models.CompositePrimaryKey("input", "start")
    input = models.BigIntegerField()
    start = models.BigIntegerField()
    until = models.BigIntegerField()  # the first place after it

    class Meta:
        db_table = "loaded_range"
