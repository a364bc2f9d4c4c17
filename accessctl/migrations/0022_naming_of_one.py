"""What a row names is looked up one by one.

As one statement, PostgreSQL may join all of `resource` and judge every row of it, those that name others too: each asks
again, without an end. Where one identity is given, it is compared before the policy is asked, by whatever plan: the
comparison is leakproof, and cheaper.
"""

from django.db import migrations

from accessctl.groups import DIRECTORY
from records.definitions.structures import type_number
from records.resources.naming import NAMING


def numbers(types):
    return "'{" + ",".join(str(n) for n in sorted(map(type_number, types))) + "}'::int2[]"


# What names others itself is no step: two may name each other.
NAMED = f"""
CREATE OR REPLACE FUNCTION wall.shows_named(row_pk bigint) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE other bigint;
BEGIN
  FOR other IN SELECT nm.named FROM public.naming nm WHERE nm.resource = row_pk
    AND nm.type <> ALL({numbers(DIRECTORY)}) AND nm.type <> ALL({numbers(NAMING)})
  LOOP
    IF NOT EXISTS (SELECT FROM public.resource nr WHERE nr.identity = other) THEN RETURN false; END IF;
  END LOOP;
  RETURN true;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0021_files")]

    operations = [migrations.RunSQL(NAMED, migrations.RunSQL.noop)]
