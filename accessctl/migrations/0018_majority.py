"""Representatives of minors who are there already: until the majority."""

from django.db import migrations

from accessctl.majority import majority
from records.formats.json import parse

SAY = (
    "SELECT px.id, r.body FROM proxy px JOIN resource r ON r.identity = px.patient AND NOT r.deleted"
    " WHERE px.kind = 'representative'"
)
END = "UPDATE proxy SET until = least(until, %s) WHERE id = %s AND since < %s"


def until_majority(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(SAY)
        for id, body in cursor.fetchall():
            if end := majority(parse(bytes(body)).get("birthDate")):
                cursor.execute(END, (end, id, end))


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0017_related"), ("records", "0014_part")]

    operations = [migrations.RunPython(until_majority, migrations.RunPython.noop)]
