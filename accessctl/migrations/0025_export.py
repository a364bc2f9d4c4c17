"""Tables of exports: read by the client that asked for them and by the worker alone, whatever is asked of them.

`count_versions` tells the worker how long a walk is from the index alone: a policy would have each row fetched to be judged.
"""

from django.db import migrations, models

KIND = "current_setting('access.kind', true)"
MINE = "owner = nullif(current_setting('access.author', true), '')::bigint"
SEEN = {
    "export": f"{KIND} = 'system' OR ({KIND} = 'client' AND {MINE})",
    "export_chunk": f"{KIND} = 'system' OR ({KIND} = 'client' AND {MINE})",
    "export_content": f"{KIND} = 'system'",
    "export_patient": f"{KIND} = 'system'",
}
COUNT = """
CREATE FUNCTION count_versions(types smallint[], after timestamptz, until timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$ BEGIN
  IF coalesce(current_setting('access.kind', true), '') <> 'system' THEN
    RETURN 0;
  END IF;
  RETURN (SELECT count(*) FROM version v WHERE v.type = ANY(types) AND v.updated > after AND v.updated <= until);
END $$
"""


def walled(apps, schema_editor):
    run = schema_editor.execute
    run("ALTER TABLE export_chunk ALTER COLUMN data SET STORAGE EXTERNAL")  # it is packed already
    for table, seen in SEEN.items():
        run(f"CREATE POLICY seen ON {table} FOR SELECT USING ({seen})")
        run(f"CREATE POLICY insert ON {table} FOR INSERT WITH CHECK ({KIND} = 'system')")
        run(f"CREATE POLICY update ON {table} FOR UPDATE USING ({KIND} = 'system') WITH CHECK ({KIND} = 'system')")
        run(f"CREATE POLICY delete ON {table} FOR DELETE USING ({KIND} = 'system')")
        run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def key(*columns):
    return models.CompositePrimaryKey(*columns, blank=True, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0024_audit_row"), ("records", "0019_live_of")]

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("job", models.BigIntegerField(primary_key=True, serialize=False)),
                ("digest", models.BinaryField(unique=True)),
                ("client", models.CharField(max_length=200)),
                ("owner", models.BigIntegerField()),
                ("asked", models.TextField()),
                ("run", models.BigIntegerField(unique=True)),
                ("moment", models.DateTimeField(null=True)),
                ("place", models.TextField()),
            ],
            options={"db_table": "export", "indexes": [models.Index(fields=["client"], name="export_client")]},
        ),
        migrations.CreateModel(
            name="ExportChunk",
            fields=[
                ("pk", key("run", "file", "number")),
                ("run", models.BigIntegerField()),
                ("file", models.TextField()),
                ("number", models.IntegerField()),
                ("owner", models.BigIntegerField()),
                ("count", models.IntegerField()),
                ("size", models.BigIntegerField()),
                ("data", models.BinaryField()),
            ],
            options={"db_table": "export_chunk"},
        ),
        migrations.CreateModel(
            name="ExportContent",
            fields=[
                ("pk", key("run", "patient", "number")),
                ("run", models.BigIntegerField()),
                ("patient", models.BigIntegerField()),
                ("number", models.IntegerField()),
                ("entities", models.TextField()),
            ],
            options={"db_table": "export_content"},
        ),
        migrations.CreateModel(
            name="ExportPatient",
            fields=[
                ("pk", key("run", "patient")),
                ("run", models.BigIntegerField()),
                ("patient", models.BigIntegerField()),
            ],
            options={"db_table": "export_patient"},
        ),
        migrations.RunPython(walled, migrations.RunPython.noop),
        migrations.RunSQL(COUNT, "DROP FUNCTION count_versions(smallint[], timestamptz, timestamptz)"),
    ]
