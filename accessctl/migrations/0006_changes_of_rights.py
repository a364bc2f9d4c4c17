"""Every change of what rights are made of is kept; `past` is the schema in which a query sees the rows of then.

In a transaction with search_path = past, pg_catalog, public the SQL of today finds these views, and this now(), by the
names it uses. Views are of the caller's rights (security_invoker).
"""

from django.db import connections, migrations, models
from django.db.models.functions import Now

# table -> (key, what it is about: a patient, a user or a group)
KEPT = {
    "person": ("user_id", "user_id"),
    "membership": ("id", "person_id"),
    "attending_doctor": ("id", "patient"),
    "proxy": ("id", "patient"),
    "block": ("id", "patient"),
    "opening": ("id", "patient"),
    "dossier": ("patient", "patient"),
    "consent_rule": ("id", "patient"),
    "dossier_user_permission": ("id", "user_id"),
    "dossier_group_permission": ("id", "group_id"),
    "resource_user_permission": ("id", "user_id"),
    "resource_group_permission": ("id", "group_id"),
    "auth_user_groups": ("id", "user_id"),
}
KEEP = """
CREATE FUNCTION keep_right_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE given jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
  IF TG_OP = 'UPDATE' AND OLD IS NOT DISTINCT FROM NEW THEN RETURN NULL; END IF;
  INSERT INTO public.right_change (relation, key, about, at, kept) VALUES (
    TG_TABLE_NAME, (given ->> TG_ARGV[0])::bigint, (given ->> TG_ARGV[1])::bigint, pg_catalog.clock_timestamp(),
    CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE given END);
  RETURN NULL;
END $$
"""
NOW = """
CREATE FUNCTION past.now() RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT coalesce(nullif(current_setting('fhirserver.at', true), '')::timestamptz, pg_catalog.now()) $$
"""
ABOUT = """
CREATE FUNCTION past.about() RETURNS bigint[] LANGUAGE sql STABLE AS
$$ SELECT coalesce(nullif(current_setting('fhirserver.about', true), ''), '{}')::bigint[] $$
"""
RESOURCE = """
CREATE VIEW past.resource WITH (security_invoker = true) AS
SELECT r.pk, r.type, r.id, r.identity, v.version, v.updated, v.body IS NULL AS deleted, v.body, r.occurred, v.patient,
  v.shared, v.labels, v.category, v.author, v.organization
FROM public.resource r JOIN LATERAL (SELECT * FROM public.version v WHERE v.resource = r.pk AND v.updated <= past.now()
  ORDER BY v.version DESC LIMIT 1) v ON TRUE
"""


def view(table):
    """The rows of a table as they were, of what `fhirserver.about` names."""
    return (
        f"CREATE VIEW past.{table} WITH (security_invoker = true) AS"
        f" SELECT (jsonb_populate_record(NULL::public.{table}, c.kept)).* FROM (SELECT DISTINCT ON (k.key) k.kept"
        f" FROM public.right_change k WHERE k.relation = '{table}' AND k.about = ANY(past.about())"
        " AND k.at <= past.now() ORDER BY k.key, k.seq DESC) c WHERE c.kept IS NOT NULL"
    )


def keep(apps, schema_editor):
    run = schema_editor.execute
    run(KEEP)
    for table, (key, about) in KEPT.items():
        run(
            f"INSERT INTO right_change (relation, key, about, at, kept)"
            f" SELECT '{table}', t.{key}, t.{about}, '-infinity', to_jsonb(t) FROM {table} t"
        )
        run(
            f"CREATE TRIGGER keep_right_change AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION keep_right_change('{key}', '{about}')"
        )
    run("CREATE SCHEMA past")
    for each in (NOW, ABOUT, RESOURCE, *map(view, KEPT)):
        run(each)
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        role = schema_editor.quote_name(role)
        run(f"GRANT USAGE ON SCHEMA past TO {role}")
        run(f"GRANT SELECT ON ALL TABLES IN SCHEMA past TO {role}")
        run(f"REVOKE UPDATE, DELETE, TRUNCATE ON right_change FROM {role}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0005_received_audit_events"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.CreateModel(
            "RightChange",
            fields=[
                ("seq", models.BigAutoField(primary_key=True, serialize=False)),
                ("relation", models.CharField(max_length=40)),
                ("key", models.BigIntegerField()),
                ("about", models.BigIntegerField()),
                ("at", models.DateTimeField(db_default=Now())),
                ("kept", models.JSONField(null=True)),
            ],
            options={
                "db_table": "right_change",
                "indexes": [models.Index(fields=["about", "relation", "key", "seq"], name="right_change_about")],
            },
        ),
        migrations.RunPython(keep, migrations.RunPython.noop),
    ]
