"""What the server remembers of itself."""

from django.db import models


class Sample(models.Model):
    """How one node did in a minute: what the dashboard draws. A day of them is kept."""

    pk = models.CompositePrimaryKey("at", "node")
    at = models.DateTimeField()  # the minute it ended in
    node = models.TextField()
    requests = models.IntegerField(null=True)  # of /fhir; null: nobody counted, as just after a start
    errors = models.IntegerField(null=True)  # of these, answers of 500 and above
    seconds = models.FloatField(null=True)  # that the answers took together
    slow = models.FloatField(null=True)  # seconds within which 95 of 100 were given, as far as the buckets tell
    waiting = models.IntegerField()  # writes that waited for the index
    lag = models.FloatField()  # seconds that the oldest of them had waited

    class Meta:
        db_table = "sample"
