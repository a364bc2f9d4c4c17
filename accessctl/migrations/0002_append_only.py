"""The application role adds audit records and can neither change nor remove one."""

from django.db import connections, migrations


def append_only(apps, schema_editor):
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0001_initial")]

    operations = [migrations.RunPython(append_only, migrations.RunPython.noop)]
