"""When the version after one was written: of it the history must know the time also where it may not show it."""

from django.db import migrations

SUPERSEDED = """
CREATE FUNCTION superseded(of_row bigint, number integer) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, public AS $$ BEGIN
  RETURN (SELECT v.updated FROM version v WHERE v.resource = of_row AND v.version = number + 1);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("records", "0012_contained")]

    operations = [migrations.RunSQL(SUPERSEDED, "DROP FUNCTION superseded(bigint, integer)")]
