"""A Provenance is as hidden as what it names, under the second wall too; and what one named at a past time."""

from django.db import connections, migrations

from accessctl.groups import DIRECTORY
from records.definitions.structures import type_number
from records.resources.naming import NAMING

OPEN = "('system', 'client', 'bound')"
KIND = "current_setting('access.kind', true)"


def numbers(types):
    return "'{" + ",".join(str(n) for n in sorted(map(type_number, types))) + "}'::int2[]"


THEN = """
CREATE VIEW past.naming WITH (security_invoker = true) AS
SELECT n.* FROM public.naming n WHERE n.since <= past.now()
"""
# Who asks is shown all that the row names. What names others itself is no step: two may name each other.
NAMED = f"""
CREATE FUNCTION wall.shows_named(row_pk bigint) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN
  RETURN NOT EXISTS (SELECT FROM public.naming nm WHERE nm.resource = row_pk
    AND nm.type <> ALL({numbers(DIRECTORY)}) AND nm.type <> ALL({numbers(NAMING)})
    AND NOT EXISTS (SELECT FROM public.resource nr WHERE nr.identity = nm.named));
END $$
"""


def build(apps, schema_editor):
    run = schema_editor.execute
    run(THEN)
    run(NAMED)
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT qual FROM pg_policies WHERE tablename = 'resource' AND policyname = 'seen'")
        ((seen,),) = cursor.fetchall()
    run(f"ALTER POLICY seen ON resource USING (({seen}) AND (type <> ALL({numbers(NAMING)}) OR {KIND} IN {OPEN}"
        " OR wall.shows_named(pk)))")  # fmt: skip
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        run(f"GRANT SELECT ON past.naming TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0019_purposes"), ("records", "0016_naming")]

    operations = [migrations.RunPython(build, migrations.RunPython.noop)]
