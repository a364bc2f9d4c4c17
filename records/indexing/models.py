"""Work on the index that outlives a process."""

from django.db import models
from django.db.models.functions import Now


class Job(models.Model):
    """A walk over resources, most often to make their index rows anew: where it is, seen alike from every node."""

    kind = models.TextField()  # reindex | parameter | removal | those of jobs.OTHERS
    parameters = models.TextField()  # JSON: types, resources, keys, and how it was asked
    state = models.TextField(db_default="waiting")  # waiting | running | done | cancelled | failed
    principal = models.TextField()  # who asked
    asked = models.DateTimeField(db_default=Now())
    started = models.DateTimeField(null=True)
    heartbeat = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    barrier = models.BigIntegerField(null=True)  # transactions before it must be over: they may know older parameters
    total = models.BigIntegerField(null=True)
    done = models.BigIntegerField(db_default=0)
    failed = models.BigIntegerField(db_default=0)  # resources that could not be indexed
    cursor = models.BigIntegerField(db_default=0)  # pk of the last resource done
    error = models.TextField(null=True)

    class Meta:
        db_table = "job"
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state__in=("waiting", "running")), name="job_unfinished")
        ]
