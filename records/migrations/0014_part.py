"""What is made of which parts, of the current rows too that are there already."""

from django.db import migrations, models

from records.definitions.structures import type_name, type_number
from records.formats.json import parse
from records.keys import identity
from records.resources.labels import PARTS, parts

SAY = "SELECT pk, type, body FROM resource WHERE type = ANY(%s) AND NOT deleted"
ADD = "INSERT INTO part (part, whole) VALUES (%s, %s) ON CONFLICT DO NOTHING"


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        types = list(map(type_number, PARTS))
        cursor.execute("DECLARE wholes NO SCROLL CURSOR FOR " + SAY, (types,))
        while True:
            cursor.execute("FETCH 500 FROM wholes")
            found = cursor.fetchall()
            if not found:
                break
            for pk, number, body in found:
                named, _ = parts(parse(bytes(body)), type_name(number))
                if named:
                    cursor.executemany(ADD, [(identity(*part), pk) for part in named])
        cursor.execute("CLOSE wholes")


class Migration(migrations.Migration):
    dependencies = [("records", "0013_superseded")]

    operations = [
        migrations.CreateModel(
            name="Part",
            fields=[
                ("pk", models.CompositePrimaryKey("part", "whole", blank=True, editable=False, primary_key=True, serialize=False)),
                ("part", models.BigIntegerField()),
                ("whole", models.BigIntegerField()),
            ],
            options={"db_table": "part", "indexes": [models.Index(fields=["whole"], name="part_whole")]},
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
