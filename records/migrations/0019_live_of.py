"""All rows of a type from its index alone, to be put in order before they are judged.

It tells what the index tables tell, which have no policy either: that there is a row, and its clinical date.
"""

from django.db import migrations

LIVE_OF = """
CREATE FUNCTION live_of(of smallint) RETURNS TABLE (occurred bigint, resource bigint)
LANGUAGE sql STABLE ROWS 1000000 SECURITY DEFINER SET search_path = pg_catalog, public AS $$
  SELECT r.occurred, r.pk FROM resource r WHERE r.type = of AND NOT r.deleted
$$
"""


class Migration(migrations.Migration):
    dependencies = [("records", "0018_dated_values")]

    operations = [migrations.RunSQL(LIVE_OF, "DROP FUNCTION live_of(smallint)")]
