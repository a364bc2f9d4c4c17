"""The application role adds versions and cannot change one; the queue is vacuumed as often as it is worked off."""

from django.db import connections, migrations


def append_only(apps, schema_editor):
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON version FROM {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("records", "0001_initial")]

    operations = [
        migrations.RunPython(append_only, migrations.RunPython.noop),
        migrations.RunSQL(
            "ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
            " autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,"
            " autovacuum_analyze_threshold = 10000, autovacuum_vacuum_cost_delay = 0)",
            migrations.RunSQL.noop,
        ),
    ]
