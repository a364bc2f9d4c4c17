"""Audit records carry a MAC; tables of the Merkle tree that seals them, to which the application role only adds."""

from django.db import connections, migrations, models

from accessctl.audit import encoding

ADDED = ("audit_leaf", "audit_node", "audit_seal")
BATCH = 5000
# The columns of this time: later ones are not there yet, and are NULL in what is MACed here.
SELECTED = (
    'a.seq, (extract(epoch FROM a.at) * 1000000)::int8, a.request, a.client, a.interaction, a.entities, a.status,'
    ' a."user", a.purpose, a.type, a.patient, a.query'
)


def mac_of_what_is_there(apps, schema_editor):
    """Records written before this migration get the MAC that they would have had."""
    with schema_editor.connection.cursor() as cursor:
        last = 0
        while True:
            cursor.execute(
                f"SELECT {SELECTED} FROM audit a WHERE seq > %s ORDER BY seq LIMIT {BATCH}", [last]
            )
            found = [encoding.Record(*row) for row in cursor.fetchall()]
            if not found:
                return
            cursor.execute(
                "UPDATE audit SET mac = m FROM unnest(%s::int8[], %s::bytea[]) AS t(s, m) WHERE seq = s",
                [[r.seq for r in found], [encoding.mac(r) for r in found]],
            )
            last = found[-1].seq


def append_only(apps, schema_editor):
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        for table in ADDED:
            schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0002_append_only")]

    operations = [
        migrations.AddField("auditrecord", "mac", models.BinaryField(null=True)),
        migrations.RunPython(mac_of_what_is_there, migrations.RunPython.noop, elidable=True),
        migrations.AlterField("auditrecord", "mac", models.BinaryField()),
        # Which transaction wrote it: by this the sealer finds the records that a snapshot had not seen.
        migrations.RunSQL(
            "ALTER TABLE audit ADD COLUMN xact xid8 NOT NULL DEFAULT pg_current_xact_id();"
            "CREATE INDEX audit_xact ON audit (xact, seq)",
            "ALTER TABLE audit DROP COLUMN xact",
        ),
        migrations.CreateModel(
            "AuditLeaf",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(unique=True)),
                ("hash", models.BinaryField()),
            ],
            options={"db_table": "audit_leaf"},
        ),
        migrations.CreateModel(
            "AuditNode",
            fields=[
                ("pk", models.CompositePrimaryKey(
                    "level", "index", blank=True, editable=False, primary_key=True, serialize=False)),
                ("level", models.SmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
            options={"db_table": "audit_node"},
        ),
        migrations.CreateModel(
            "AuditSeal",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("size", models.BigIntegerField(unique=True)),
                ("frontier", models.BinaryField()),
                ("note", models.TextField()),
                ("seen", models.TextField()),
                ("cluster", models.BigIntegerField()),
            ],
            options={"db_table": "audit_seal"},
        ),
        migrations.RunPython(append_only, migrations.RunPython.noop),
    ]
