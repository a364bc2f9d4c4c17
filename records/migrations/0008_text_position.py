from django.db import migrations, models

WORDS = "(to_tsvector('french'::regconfig, folded) || to_tsvector('english'::regconfig, folded))"


def row(*more):
    return [
        ("resource", models.BigIntegerField()),
        ("patient", models.BigIntegerField(null=True)),
        ("pk", models.CompositePrimaryKey("resource", "param", "n", blank=True, editable=False, primary_key=True, serialize=False)),
        ("param", models.BigIntegerField()),
        ("n", models.SmallIntegerField()),
        *more,
    ]


class Migration(migrations.Migration):

    dependencies = [("records", "0007_pending_failed")]

    operations = [
        migrations.CreateModel(
            name="FullText",
            fields=row(("folded", models.TextField(db_collation="C"))),
            options={"db_table": "fulltext"},
        ),
        migrations.CreateModel(
            name="Position",
            fields=row(("latitude", models.FloatField()), ("longitude", models.FloatField())),
            options={
                "db_table": "position",
                "indexes": [models.Index(fields=["param", "latitude", "resource"], name="position_latitude")],
            },
        ),
        migrations.RunSQL(f"CREATE INDEX fulltext_words ON fulltext USING gin ({WORDS})", "DROP INDEX fulltext_words"),
        # :contains: every place in a text
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS pg_trgm", migrations.RunSQL.noop),
        migrations.RunSQL(
            "CREATE INDEX string_trigram ON string USING gin (folded gin_trgm_ops)", "DROP INDEX string_trigram"
        ),
        # how long dates last, which the planner cannot guess from their two ends
        migrations.RunSQL("CREATE STATISTICS date_span ON (high - low) FROM date", "DROP STATISTICS date_span"),
    ]
