"""What each Provenance names that is there already, earlier versions included; kept from now on by the store."""

from django.db import connections, migrations, models

from records.definitions.structures import type_number
from records.formats.json import parse
from records.resources.naming import COLUMNS, NAMING, TYPES, named

SAY = "SELECT v.resource, v.body, v.updated FROM version v WHERE v.type = ANY(%s) AND v.body IS NOT NULL ORDER BY v.resource, v.version"


def fill(apps, schema_editor):
    """A row for each, from the first version that says so."""
    places = ", ".join(f"%s::{type}" for type in TYPES)
    add = f"INSERT INTO naming ({', '.join(COLUMNS)}) VALUES ({places}) ON CONFLICT DO NOTHING"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DECLARE naming_versions NO SCROLL CURSOR FOR " + SAY, (list(map(type_number, NAMING)),))
        while True:
            cursor.execute("FETCH 500 FROM naming_versions")
            found = cursor.fetchall()
            if not found:
                break
            rows = [(pk, *each, updated) for pk, body, updated in found for each in named(parse(bytes(body)))]
            if rows:
                cursor.executemany(add, rows)
        cursor.execute("CLOSE naming_versions")


def append_only(apps, schema_editor):
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON naming FROM {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("records", "0015_date_first")]

    operations = [
        migrations.CreateModel(
            name="Naming",
            fields=[
                ("pk", models.CompositePrimaryKey("resource", "named", blank=True, editable=False, primary_key=True, serialize=False)),
                ("resource", models.BigIntegerField()),
                ("named", models.BigIntegerField()),
                ("type", models.SmallIntegerField()),
                ("since", models.DateTimeField()),
            ],
            options={"db_table": "naming"},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(append_only, migrations.RunPython.noop),
    ]
