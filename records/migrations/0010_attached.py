"""Which Binaries the resources name that are there already, earlier versions included; kept from now on by the store."""

from django.db import connections, migrations, models

from records.definitions.structures import type_number
from records.resources.attached import COLUMNS, TYPES, named

SAY = (
    "SELECT v.resource, v.type, v.body, v.patient, v.shared, v.author, v.updated FROM version v"
    " WHERE v.type <> %s AND v.patient IS NOT NULL AND position('Binary/'::bytea IN v.body) > 0 ORDER BY v.resource, v.version"
)
MEMBERS = "SELECT patient FROM compartment WHERE resource = %s"


def fill(apps, schema_editor):
    """A row for each Binary, patient and resource, from the first version that says so."""
    places = ", ".join(f"%s::{type}" for type in TYPES)
    add = f"INSERT INTO attached ({', '.join(COLUMNS)}) VALUES ({places}) ON CONFLICT DO NOTHING"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DECLARE naming NO SCROLL CURSOR FOR " + SAY, (type_number("Binary"),))
        while True:
            cursor.execute("FETCH 500 FROM naming")
            found = cursor.fetchall()
            if not found:
                break
            for resource, type, body, patient, shared, author, updated in found:
                patients = {patient}
                if shared:
                    cursor.execute(MEMBERS, (resource,))
                    patients |= {each for (each,) in cursor.fetchall()}
                rows = [(b, p, resource, type, author, updated) for b in named(bytes(body)) for p in patients]
                if rows:
                    cursor.executemany(add, rows)
        cursor.execute("CLOSE naming")


def append_only(apps, schema_editor):
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON attached FROM {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("records", "0009_composite_high")]

    operations = [
        migrations.CreateModel(
            name="Attached",
            fields=[
                ("pk", models.CompositePrimaryKey("file", "patient", "resource", blank=True, editable=False, primary_key=True, serialize=False)),
                ("file", models.BigIntegerField()),
                ("patient", models.BigIntegerField()),
                ("resource", models.BigIntegerField()),
                ("type", models.SmallIntegerField()),
                ("author", models.BigIntegerField(null=True)),
                ("since", models.DateTimeField()),
            ],
            options={"db_table": "attached"},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(append_only, migrations.RunPython.noop),
    ]
