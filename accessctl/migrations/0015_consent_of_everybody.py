from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0014_consent_of_grantee")]

    operations = [
        migrations.AddIndex(
            "consentrule",
            models.Index(fields=["patient"], condition=models.Q(permit=True, grantee=0), name="consent_rule_everybody"),
        ),
    ]
