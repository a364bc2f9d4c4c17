"""A qualified INS names one Patient, by a primary key; it is asked for and claimed through two functions alone."""

import logging

from django.db import connections, migrations, models

log = logging.getLogger("accessctl.identities")
BATCH = 1000

CLAIM = """
CREATE FUNCTION claim_ins(written bigint[], claimed_by bigint[], claimed bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE held bigint;
BEGIN
  DELETE FROM public.ins i WHERE i.resource = ANY(written) AND NOT (i.digest = ANY(claimed));
  INSERT INTO public.ins (digest, resource) SELECT DISTINCT ON (c.digest) c.digest, c.resource
    FROM unnest(claimed, claimed_by) AS c(digest, resource) ORDER BY c.digest, c.resource ON CONFLICT DO NOTHING;
  SELECT count(*) INTO held FROM unnest(claimed, claimed_by) AS c(digest, resource)
    JOIN public.ins i ON i.digest = c.digest AND i.resource = c.resource;
  RETURN held;
END $$
"""
RESOLVE = """
CREATE FUNCTION resolve_ins(asking text, asked bytea[], most integer) RETURNS TABLE (id text, allowed boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE found_id text; made integer;
BEGIN
  SELECT r.id INTO found_id FROM public.ins i JOIN public.resource r ON r.pk = i.resource
    WHERE i.digest = ANY(asked) AND NOT r.deleted LIMIT 1;
  IF found_id IS NULL THEN RETURN; END IF;
  INSERT INTO public.ins_resolution AS n (principal, minute, count)
    VALUES (asking, date_trunc('minute', clock_timestamp()), 1)
    ON CONFLICT (principal, minute) DO UPDATE SET count = n.count + 1 RETURNING n.count INTO made;
  RETURN QUERY SELECT CASE WHEN made <= most THEN found_id END, made <= most;
END $$
"""
FORGET = """
CREATE FUNCTION forget_ins_resolutions() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$ DELETE FROM public.ins_resolution WHERE minute < now() - interval '1 hour' $$
"""
FUNCTIONS = ("claim_ins(bigint[], bigint[], bytea[])", "resolve_ins(text, bytea[], integer)",
             "forget_ins_resolutions()")  # fmt: skip


def functions(apps, schema_editor):
    run = schema_editor.execute
    for each in (CLAIM, RESOLVE, FORGET):
        run(each)
    for each in FUNCTIONS:
        run(f"REVOKE ALL ON FUNCTION {each} FROM PUBLIC")
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        role = schema_editor.quote_name(role)
        run(f"REVOKE ALL ON ins, ins_resolution FROM {role}")
        for each in FUNCTIONS:
            run(f"GRANT EXECUTE ON FUNCTION {each} TO {role}")


def those_that_are_there(apps, schema_editor):
    """Of two Patients with one INS the older keeps it; which the other one is, is said."""
    from accessctl.identities import digests
    from records.definitions.structures import type_number
    from records.formats.json import parse

    with schema_editor.connection.cursor() as cursor:
        last = 0
        while True:
            cursor.execute(
                "SELECT pk, id, body FROM resource WHERE type = %s AND NOT deleted AND pk > %s ORDER BY pk LIMIT %s",
                [type_number("Patient"), last, BATCH],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            for pk, id, body in rows:
                found = digests(parse(bytes(body)))
                cursor.execute("SELECT claim_ins(%s, %s, %s)", [[pk], [pk] * len(found), found])
                if cursor.fetchone()[0] != len(found):
                    log.warning("Patient/%s has the INS of another Patient", id)
            last = rows[-1][0]


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0009_doubts"), ("records", "0009_composite_high")]

    operations = [
        migrations.CreateModel(
            "Ins",
            fields=[
                ("digest", models.BinaryField(primary_key=True, serialize=False)),
                ("resource", models.BigIntegerField()),
            ],
            options={"db_table": "ins", "indexes": [models.Index(fields=["resource"], name="ins_resource")]},
        ),
        migrations.CreateModel(
            "InsResolution",
            fields=[
                ("pk", models.CompositePrimaryKey(
                    "principal", "minute", blank=True, editable=False, primary_key=True, serialize=False)),
                ("principal", models.CharField(max_length=400)),
                ("minute", models.DateTimeField()),
                ("count", models.IntegerField()),
            ],
            options={"db_table": "ins_resolution"},
        ),  # fmt: skip
        migrations.RunPython(functions, migrations.RunPython.noop),
        migrations.RunPython(those_that_are_there, migrations.RunPython.noop, elidable=True),
    ]
