"""Notices: of the first access of each professional too, with what their delivery needs; the verdict of a review."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0007_smart")]

    operations = [
        migrations.AddField(
            "notice",
            "about",
            models.ForeignKey(
                "accessctl.person", on_delete=django.db.models.deletion.CASCADE, null=True, related_name="+"
            ),
        ),
        migrations.AddField("notice", "attempts", models.SmallIntegerField(db_default=0)),
        migrations.AddField("notice", "due", models.DateTimeField(db_default=Now())),
        migrations.AddField("notice", "fault", models.CharField(max_length=200, null=True)),
        migrations.RemoveIndex("notice", "notice_due"),
        migrations.AddIndex(
            "notice", models.Index(fields=["due"], condition=models.Q(delivered__isnull=True), name="notice_due")
        ),
        migrations.AddIndex("notice", models.Index(fields=["patient", "-id"], name="notice_patient")),
        migrations.AddConstraint(
            "notice",
            models.UniqueConstraint(
                fields=["patient", "about"], condition=models.Q(kind="first-access"), name="notice_first_access"
            ),
        ),
        migrations.AddField(
            "review",
            "verdict",
            models.CharField(
                max_length=12, null=True, choices=[("justified", "justified"), ("unjustified", "unjustified")]
            ),
        ),
    ]
