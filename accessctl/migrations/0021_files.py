"""A Binary of nobody goes into the record of a document: the row and its current version, by one function alone."""

from django.db import connections, migrations

from records.definitions.structures import type_number

# What the author's documents say of it must be about this one patient. The bytes and the version stay as they are.
PLACE = f"""
CREATE FUNCTION place_files(files bigint[], record bigint) RETURNS TABLE (id text, version integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$ BEGIN
  RETURN QUERY WITH found AS (
    SELECT r.pk FROM public.resource r WHERE r.identity = ANY(files) AND r.type = {type_number("Binary")}
      AND r.patient IS NULL AND NOT r.deleted AND EXISTS (SELECT FROM public.attached a
        WHERE a.file = r.identity AND a.patient = record)
      AND NOT EXISTS (SELECT FROM public.attached a
        WHERE a.file = r.identity AND a.author = r.author AND a.patient <> record)
    ORDER BY r.identity FOR NO KEY UPDATE OF r
  ), placed AS (
    UPDATE public.resource r SET patient = record FROM found WHERE r.pk = found.pk RETURNING r.pk, r.id, r.version
  ), told AS (
    UPDATE public.version v SET patient = record FROM placed p WHERE v.resource = p.pk AND v.version = p.version
  ) SELECT p.id::text, p.version FROM placed p;
END $$
"""
NAME = "place_files(bigint[], bigint)"


def build(apps, schema_editor):
    run = schema_editor.execute
    run(PLACE)
    run(f"REVOKE ALL ON FUNCTION {NAME} FROM PUBLIC")
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        run(f"GRANT EXECUTE ON FUNCTION {NAME} TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0020_naming")]

    operations = [migrations.RunPython(build, migrations.RunPython.noop)]
