"""Whom a legal representative names sees what the representative sees, and no more."""

from django.db import migrations, models

# what a minor keeps from the representatives: of a row that is not in one's own record
KEPT = """
CREATE OR REPLACE FUNCTION wall.from_representative(row_pk bigint, whose bigint, several boolean) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE of_mine bigint[] := ARRAY[nullif(current_setting('access.patient', true), '')::bigint];
  children bigint[] := ARRAY(SELECT px.patient FROM public.proxy px WHERE px.kind <> 'mandated'
    AND px.person_id = nullif(current_setting('access.person', true), '')::integer);
BEGIN
  IF whose = ANY(of_mine) OR (several AND wall.has_member(row_pk, of_mine)) THEN RETURN false; END IF;
  RETURN coalesce(whose = ANY(children), false) OR (several AND wall.has_member(row_pk, children));
END $$
"""
KINDS = [("representative", "representative"), ("delegated", "delegated"), ("mandated", "mandated")]


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0022_naming_of_one")]

    operations = [
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
        migrations.AlterField("proxy", "kind", models.CharField(choices=KINDS, max_length=14)),
    ]
