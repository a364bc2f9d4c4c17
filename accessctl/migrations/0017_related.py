"""Consents about what is related to an encounter, care plan or episode; also at a past time."""

from importlib import import_module

from django.db import connections, migrations, models

view = import_module("accessctl.migrations.0006_changes_of_rights").view

# Of a row that the asker may not see too: what a hidden encounter names is denied with it. (second wall)
NAMES = """
CREATE FUNCTION related_names(hub bigint, row_pk bigint) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, public AS $$ BEGIN
  RETURN coalesce((SELECT position(convert_to('/' || o.id, 'UTF8') IN h.body) > 0
    FROM resource h, resource o WHERE h.identity = hub AND o.pk = row_pk), FALSE);
END $$
"""


def then(apps, schema_editor):
    """The view of past rules has the new column."""
    schema_editor.execute("DROP VIEW past.consent_rule")
    schema_editor.execute(view("consent_rule"))
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"GRANT SELECT ON past.consent_rule TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0016_second_wall")]

    operations = [
        migrations.RunSQL(NAMES, "DROP FUNCTION related_names(bigint, bigint)"),
        migrations.AddField("consentrule", "related", models.CharField(max_length=90, null=True)),
        migrations.RunPython(then, migrations.RunPython.noop),
    ]
