"""Row-level security on what resources are kept in, and on the audit. (docs/explanation/second-wall.md)

`access.kind` and what else names who asks are settings of the transaction (records/database/asking.py); without them
nobody sees a row. Policies show what the predicate of accessctl may show, and more, never less. What decides most rows
stands in the policy itself, so that the planner sees it; what is asked of few rows is in functions of the schema
`wall`. Those that read `compartment` run as the owner: the members of a row are told to nobody by them, and a policy
that read the table under its own policy would not end.
"""

from django.db import connections, migrations

from accessctl.groups import DIRECTORY, REST
from accessctl.labels import FROM_PATIENT, FROM_REPRESENTATIVES, MASKED
from records.definitions.structures import type_number


def numbers(types):
    return "'{" + ",".join(str(n) for n in sorted(map(type_number, types))) + "}'::int2[]"


OPEN = "('system', 'client')"
KIND = "current_setting('access.kind', true)"
UNBOUND = "current_setting('access.bound', true) = ''"
ME = "nullif(current_setting('access.author', true), '')::bigint"  # the planner asks too, whoever is named
NOW = "pg_catalog.now()"
DATED = f"{{0}}.since <= {NOW} AND ({{0}}.until IS NULL OR {{0}}.until > {NOW})"
DIRECTORIES, OF_AUTHORS, CONSENT = numbers(DIRECTORY), numbers(REST), type_number("Consent")
INVOKER = "LANGUAGE plpgsql STABLE PARALLEL SAFE"
DEFINER = f"{INVOKER} SECURITY DEFINER SET search_path = pg_catalog, public"

# what is so of the person who asks: evaluated once in a statement
OF_PERSON = [
    # the parties for whom a consent may be: everybody, oneself, those whom one belongs to
    f"""CREATE FUNCTION wall.grantees() RETURNS bigint[] {INVOKER} AS $$ BEGIN
  RETURN ARRAY(SELECT mb.party_key FROM public.membership mb
    WHERE mb.person_id = nullif(current_setting('access.person', true), '')::integer AND {DATED.format("mb")}
    UNION ALL VALUES (0::bigint), (nullif(current_setting('access.practitioner', true), '')::bigint));
END $$""",
    # the own record and those represented, of who is a patient
    f"""CREATE FUNCTION wall.own() RETURNS bigint[] {INVOKER} AS $$ BEGIN
  IF {KIND} <> 'patient' THEN RETURN '{{}}'; END IF;
  RETURN ARRAY(SELECT nullif(current_setting('access.patient', true), '')::bigint
    UNION ALL SELECT px.patient FROM public.proxy px
    WHERE px.person_id = nullif(current_setting('access.person', true), '')::integer AND {DATED.format("px")});
END $$""",
    # these, and records that are open in an emergency, or by a grant on the whole of them
    f"""CREATE FUNCTION wall.opened() RETURNS bigint[] {INVOKER} AS $$
DECLARE me integer := nullif(current_setting('access.person', true), '')::integer;
BEGIN
  RETURN wall.own() || ARRAY(SELECT op.patient FROM public.opening op WHERE op.person_id = me AND {DATED.format("op")}
    UNION ALL SELECT gu.content_object_id FROM public.dossier_user_permission gu
      JOIN public.auth_permission gp ON gp.id = gu.permission_id
      WHERE gu.user_id = me AND gp.codename = 'view_dossier'
    UNION ALL SELECT gg.content_object_id FROM public.auth_user_groups ag
      JOIN public.dossier_group_permission gg ON gg.group_id = ag.group_id
      JOIN public.auth_permission gp ON gp.id = gg.permission_id
      WHERE ag.user_id = me AND gp.codename = 'view_dossier');
END $$""",
    # records whose patients keep the person out, who is a professional
    f"""CREATE FUNCTION wall.blocked() RETURNS bigint[] {INVOKER} AS $$
DECLARE me integer := nullif(current_setting('access.person', true), '')::integer;
BEGIN
  IF {KIND} <> 'professional' THEN RETURN '{{}}'; END IF;
  RETURN ARRAY(SELECT bl.patient FROM public.block bl WHERE bl.person_id = me AND {DATED.format("bl")}
      AND NOT (strpos(current_setting('access.policy', true), 'b') > 0 AND EXISTS (SELECT FROM public.opening op
        WHERE op.patient = bl.patient AND op.person_id = me AND {DATED.format("op")})));
END $$""",
    # single resources that a grant opens
    f"""CREATE FUNCTION wall.granted() RETURNS bigint[] {INVOKER} AS $$
DECLARE me integer := nullif(current_setting('access.person', true), '')::integer;
BEGIN
  RETURN ARRAY(SELECT gu.content_object_id FROM public.resource_user_permission gu
      JOIN public.auth_permission gp ON gp.id = gu.permission_id
      WHERE gu.user_id = me AND gp.codename = 'view_resource'
    UNION ALL SELECT gg.content_object_id FROM public.auth_user_groups ag
      JOIN public.resource_group_permission gg ON gg.group_id = ag.group_id
      JOIN public.auth_permission gp ON gp.id = gg.permission_id
      WHERE ag.user_id = me AND gp.codename = 'view_resource');
END $$""",
]
CONSENTED = f"""EXISTS (SELECT FROM public.consent_rule wc WHERE wc.patient = {{patient}} AND wc.permit
  AND wc.grantee = ANY((SELECT wall.grantees())::bigint[]) AND (wc.since IS NULL OR wc.since <= {NOW})
  AND (wc.until IS NULL OR wc.until > {NOW}))"""
CLOSED = f"EXISTS (SELECT FROM public.dossier wd WHERE wd.patient = {{patient}} AND wd.closed <= {NOW})"
BLOCKED = "{patient} = ANY((SELECT wall.blocked())::bigint[])"
OPENED = "{patient} = ANY((SELECT wall.opened())::bigint[])"
OWN = "{patient} = ANY((SELECT wall.own())::bigint[])"
GRANTED = "{pk} = ANY((SELECT wall.granted())::bigint[])"

# what is asked of few rows: of those with several patients, with visibility codes, of versions
OF_ROWS = [
    f"""CREATE FUNCTION wall.has_member(row_pk bigint, whose bigint[]) RETURNS boolean {DEFINER} AS $$ BEGIN
  RETURN EXISTS (SELECT FROM compartment cm WHERE cm.resource = row_pk AND cm.patient = ANY(whose));
END $$""",
    # may a professional see what is in this record?
    f"""CREATE FUNCTION wall.reaches(whose bigint) RETURNS boolean {INVOKER} AS $$ BEGIN
  RETURN NOT {BLOCKED.format(patient="whose")} AND NOT {CLOSED.format(patient="whose")}
    AND ({OPENED.format(patient="whose")} OR {CONSENTED.format(patient="whose")});
END $$""",
    # does no member of the row keep the person out?
    f"""CREATE FUNCTION wall.shut(row_pk bigint) RETURNS boolean {DEFINER} AS $$ BEGIN
  RETURN EXISTS (SELECT FROM compartment cm WHERE cm.resource = row_pk
    AND ({BLOCKED.format(patient="cm.patient")} OR {CLOSED.format(patient="cm.patient")}));
END $$""",
    # may a professional see what is in the records of all members?
    f"""CREATE FUNCTION wall.reaches_all(row_pk bigint) RETURNS boolean {DEFINER} AS $$ BEGIN
  RETURN NOT EXISTS (SELECT FROM compartment cm WHERE cm.resource = row_pk AND NOT wall.reaches(cm.patient));
END $$""",
    # a row of several patients
    f"""CREATE FUNCTION wall.shows_shared(row_pk bigint, of_type smallint, whose bigint, by bigint) RETURNS boolean
{INVOKER} AS $$ BEGIN
  IF {KIND} = 'patient' THEN RETURN wall.has_member(row_pk, wall.opened()) OR {GRANTED.format(pk="row_pk")}; END IF;
  IF wall.shut(row_pk) THEN RETURN false; END IF;
  RETURN whose = ANY(wall.opened()) OR {GRANTED.format(pk="row_pk")} OR ({KIND} = 'professional'
    AND (wall.reaches_all(row_pk) OR coalesce(by = {ME} AND of_type = ANY({OF_AUTHORS}), false)));
END $$""",
    # whom the policy spares what the patient masks
    f"""CREATE FUNCTION wall.unmasked(whose bigint) RETURNS boolean {INVOKER} AS $$
DECLARE me integer := nullif(current_setting('access.person', true), '')::integer;
BEGIN
  RETURN (strpos(current_setting('access.policy', true), 'a') > 0 AND EXISTS (SELECT FROM public.attending_doctor ad
      WHERE ad.patient = whose AND ad.person_id = me AND {DATED.format("ad")}))
    OR (strpos(current_setting('access.policy', true), 'e') > 0 AND EXISTS (SELECT FROM public.opening op
      WHERE op.patient = whose AND op.person_id = me AND {DATED.format("op")}));
END $$""",
    # what a minor keeps from the representatives: of a row that is not in one's own record
    f"""CREATE FUNCTION wall.from_representative(row_pk bigint, whose bigint, several boolean) RETURNS boolean
{INVOKER} AS $$
DECLARE of_mine bigint[] := ARRAY[nullif(current_setting('access.patient', true), '')::bigint];
  children bigint[] := ARRAY(SELECT px.patient FROM public.proxy px WHERE px.kind = 'representative'
    AND px.person_id = nullif(current_setting('access.person', true), '')::integer);
BEGIN
  IF whose = ANY(of_mine) OR (several AND wall.has_member(row_pk, of_mine)) THEN RETURN false; END IF;
  RETURN coalesce(whose = ANY(children), false) OR (several AND wall.has_member(row_pk, children));
END $$""",
    # is the row in the record of the one patient whom the token is about?
    f"""CREATE FUNCTION wall.within_bound(row_pk bigint, whose bigint, several boolean) RETURNS boolean
{INVOKER} AS $$
DECLARE bound text := coalesce(current_setting('access.bound', true), '');
BEGIN
  RETURN bound = '' OR coalesce(whose = bound::bigint, false)
    OR (several AND wall.has_member(row_pk, ARRAY[bound::bigint]));
END $$""",
    f"""CREATE FUNCTION wall.shows(row_pk bigint) RETURNS boolean {INVOKER} AS $$ BEGIN
  RETURN EXISTS (SELECT FROM public.resource r WHERE r.pk = row_pk);
END $$""",
    # of a past version only the first patient is known, of one of several none for certain
    f"""CREATE FUNCTION wall.shows_version(row_pk bigint, number integer, of_type smallint, whose bigint,
  several boolean, by bigint) RETURNS boolean {INVOKER} AS $$
DECLARE kind text := {KIND};
BEGIN
  IF kind IS NULL OR kind = '' OR NOT wall.shows(row_pk) THEN RETURN false; END IF;
  IF several THEN RETURN true; END IF;
  IF NOT (whose IS NULL AND of_type = ANY({DIRECTORIES})) AND NOT wall.within_bound(row_pk, whose, several) THEN
    RETURN false;
  END IF;
  IF kind = 'bound' THEN RETURN true; END IF;
  IF whose IS NULL THEN
    RETURN of_type = ANY({DIRECTORIES}) OR coalesce(kind <> 'staff' AND by = {ME}, false)
      OR {GRANTED.format(pk="row_pk")};
  END IF;
  IF kind = 'patient' THEN
    RETURN {OWN.format(patient="whose")} OR {OPENED.format(patient="whose")} OR {GRANTED.format(pk="row_pk")};
  END IF;
  IF {CLOSED.format(patient="whose")} OR (kind = 'professional' AND {BLOCKED.format(patient="whose")}) THEN
    RETURN false;
  END IF;
  RETURN {OPENED.format(patient="whose")} OR {GRANTED.format(pk="row_pk")} OR (kind = 'professional' AND (
    {CONSENTED.format(patient="whose")} OR coalesce(by = {ME} AND of_type = ANY({OF_AUTHORS}), false)));
END $$""",
    # is the person a data-protection officer?
    f"""CREATE FUNCTION wall.officer() RETURNS boolean {INVOKER} AS $$
DECLARE me integer := nullif(current_setting('access.person', true), '')::integer;
BEGIN
  RETURN EXISTS (SELECT FROM public.auth_permission p JOIN public.django_content_type c ON c.id = p.content_type_id
    WHERE c.app_label = 'accessctl' AND p.codename = 'view_auditrecord' AND (
      EXISTS (SELECT FROM public.auth_user_user_permissions u WHERE u.permission_id = p.id AND u.user_id = me)
      OR EXISTS (SELECT FROM public.auth_group_permissions g JOIN public.auth_user_groups m ON m.group_id = g.group_id
        WHERE g.permission_id = p.id AND m.user_id = me)));
END $$""",
    # patients whose audit the person may read
    f"""CREATE FUNCTION wall.attended() RETURNS bigint[] {INVOKER} AS $$ BEGIN
  RETURN ARRAY(SELECT ad.patient FROM public.attending_doctor ad
    WHERE ad.person_id = nullif(current_setting('access.person', true), '')::integer AND {DATED.format("ad")});
END $$""",
]

BOUND = f"{UNBOUND} OR (patient IS NULL AND type = ANY({DIRECTORIES})) OR wall.within_bound(pk, patient, shared)"
# what hides a row from the person, whatever permits
HIDDEN = f"""CASE {KIND}
    WHEN 'professional' THEN labels & {MASKED} <> 0 AND author IS DISTINCT FROM {ME} AND NOT wall.unmasked(patient)
      OR type = {CONSENT} AND patient IS NOT NULL
    WHEN 'patient' THEN labels & {FROM_PATIENT} <> 0
      OR labels & {FROM_REPRESENTATIVES} <> 0 AND wall.from_representative(pk, patient, shared)
    ELSE false END"""
# each question is asked in one place of the text: what it costs to plan is paid by all who ask, whoever they are
SEEN = {
    "resource": f"""CASE WHEN {KIND} IN {OPEN} THEN true
  WHEN {KIND} = 'bound' THEN {BOUND}
  WHEN {KIND} IN ('professional', 'patient', 'staff') THEN ({BOUND}) AND NOT {HIDDEN} AND CASE
    WHEN shared THEN wall.shows_shared(pk, type, patient, author)
    ELSE ({KIND} = 'patient' OR NOT ({CLOSED.format(patient="resource.patient")}
        OR coalesce({BLOCKED.format(patient="patient")}, false)))
      AND (patient IS NULL AND type = ANY({DIRECTORIES})
        OR {KIND} = 'professional' AND {CONSENTED.format(patient="resource.patient")}
        OR {OPENED.format(patient="patient")}
        OR {KIND} <> 'staff' AND author = {ME} AND (patient IS NULL OR type = ANY({OF_AUTHORS}))
        OR {GRANTED.format(pk="pk")})
    END
  ELSE false END""",
    "version": f"""CASE WHEN {KIND} IN {OPEN} THEN true
  ELSE wall.shows_version(resource, version, type, patient, shared, author) END""",
    # who sees the row sees all its members: else "no patient of the row refuses" were true of what is hidden
    "compartment": f"CASE WHEN {KIND} IN {OPEN} THEN true ELSE wall.shows(resource) END",
    "audit": f"""CASE {KIND} WHEN 'client' THEN true WHEN 'system' THEN true
  WHEN 'bound' THEN patient = nullif(current_setting('access.bound', true), '')::bigint
  WHEN 'patient' THEN {OWN.format(patient="patient")}
  WHEN 'professional' THEN patient = ANY((SELECT wall.attended())::bigint[])
  WHEN 'staff' THEN (SELECT wall.officer())
  ELSE false END""",
}
WRITES = {
    "resource": ("INSERT", "UPDATE"),
    "version": ("INSERT",),
    "compartment": ("INSERT", "DELETE"),
    "audit": (),
}


def build(apps, schema_editor):
    run = schema_editor.execute
    run("CREATE SCHEMA wall")
    for each in (*OF_PERSON, *OF_ROWS):
        run(each)
    for table, condition in SEEN.items():
        run(f"CREATE POLICY seen ON {table} FOR SELECT USING ({condition})")
        for verb in WRITES[table]:  # rows are written, and locked, by the store alone
            clauses = [f"USING ({KIND} = 'system')"] if verb != "INSERT" else []
            clauses += [f"WITH CHECK ({KIND} = 'system')"] if verb != "DELETE" else []
            run(f"CREATE POLICY {verb.lower()} ON {table} FOR {verb} {' '.join(clauses)}")
    run("CREATE POLICY appended ON audit FOR INSERT WITH CHECK (true)")
    for table in SEEN:
        run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    role = connections.settings["default"]["USER"]
    if role and role != connections.settings["owner"]["USER"]:
        run(f"GRANT USAGE ON SCHEMA wall TO {schema_editor.quote_name(role)}")


class Migration(migrations.Migration):
    dependencies = [("accessctl", "0015_consent_of_everybody"), ("records", "0013_superseded")]

    operations = [migrations.RunPython(build, migrations.RunPython.noop)]
