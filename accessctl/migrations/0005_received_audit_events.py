"""AuditEvents that others send go into the audit; records are found by their time."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0004_people")]

    operations = [
        migrations.AddField("auditrecord", "received", models.TextField(null=True)),
        migrations.AddIndex("auditrecord", BrinIndex(fields=["at"], name="audit_at")),
        migrations.AddIndex(
            "auditrecord",
            models.Index(fields=["seq"], condition=models.Q(received__isnull=False), name="audit_received"),
        ),
    ]
