"""A record of a page of fifty stays one row: its ids do not compress, and were moved to a table apart for nothing."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0023_delegated")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE audit SET (toast_tuple_target = 8160)", "ALTER TABLE audit RESET (toast_tuple_target)"
        )
    ]
