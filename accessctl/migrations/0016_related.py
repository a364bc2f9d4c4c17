"""Consents about what is related to an encounter, care plan or episode; also at a past time."""

from importlib import import_module

from django.db import connections, migrations, models

view = import_module("accessctl.migrations.0006_changes_of_rights").view


def then(apps, schema_editor):
    """The view of past rules has the new column."""
    schema_editor.execute("DROP VIEW past.consent_rule")
    schema_editor.execute(view("consent_rule"))
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"GRANT SELECT ON past.consent_rule TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0015_consent_of_everybody")]

    operations = [
        migrations.AddField("consentrule", "related", models.CharField(max_length=90, null=True)),
        migrations.RunPython(then, migrations.RunPython.noop),
    ]
