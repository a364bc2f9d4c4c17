"""The clinical date beside a value, as it is beside a code: who looks for values above a bound reads one index."""

from django.db import migrations, models
from django.db.models import F, Q

VALUES = "resource, patient, param, n, key, low, high"
COLUMNS = {"quantity": VALUES, "composite": f"{VALUES}, unit, unit_low, unit_high, low2, high2, folded"}
INCLUDED = {"quantity": [], "composite": ["unit", "unit_low", "unit_high"]}


def dated(table):
    """The table written anew, as an UPDATE would leave each row twice."""
    columns = COLUMNS[table]
    away = (
        f"CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT v.*, coalesce(r.occurred, c.occurred) AS occurred"
        f" FROM {table} v LEFT JOIN resource r ON r.pk = v.resource LEFT JOIN contained c ON c.resource = v.resource"
        f" WHERE r.pk IS NOT NULL OR c.resource IS NOT NULL",
        f"TRUNCATE {table}",
    )
    back = (
        f"INSERT INTO {table} (occurred, {columns}) SELECT occurred, {columns} FROM kept ORDER BY resource",
        "DROP TABLE kept",
    )
    return [
        migrations.RemoveIndex(table, f"{table}_low"),
        migrations.RemoveIndex(table, f"{table}_high"),
        migrations.RunSQL(list(away), migrations.RunSQL.noop),
        migrations.AddField(table, "occurred", models.BigIntegerField(default=0), preserve_default=False),
        migrations.RunSQL(list(back), migrations.RunSQL.noop),
        migrations.AddIndex(
            table,
            models.Index(
                fields=["key", "low", "resource"], include=["high", "occurred", *INCLUDED[table]], name=f"{table}_low"
            ),
        ),
        migrations.AddIndex(
            table,
            models.Index(
                fields=["key", "high"], include=["low", "resource", "occurred"], condition=Q(high__gt=F("low")),
                name=f"{table}_high",
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("records", "0017_live_rows")]

    operations = [*dated("quantity"), *dated("composite")]
