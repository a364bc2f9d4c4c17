"""What was attached at a past time, for `explain --at`."""

from django.db import connections, migrations

THEN = """
CREATE VIEW past.attached WITH (security_invoker = true) AS
SELECT a.* FROM public.attached a WHERE a.since <= past.now()
"""


def view(apps, schema_editor):
    schema_editor.execute(THEN)
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"GRANT SELECT ON past.attached TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0012_staff_roles"), ("records", "0010_attached")]

    operations = [migrations.RunPython(view, migrations.RunPython.noop)]
