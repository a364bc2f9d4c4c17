"""Whose consent names a professional or an organisation is found without looking at every consent."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0013_attached_then")]

    operations = [
        migrations.AddIndex(
            "consentrule",
            models.Index(
                fields=["grantee", "patient"],
                condition=models.Q(("permit", True), models.Q(("grantee", 0), _negated=True)),
                name="consent_rule_grantee",
            ),
        ),
    ]
