"""What is decided about one record beside Consents, now and before: who may, who may not, since when, and who said so.

Data protection gives and ends grants on a record or on one of its resources (django-guardian's rows); identity names
representatives and attending doctors, as a directory would. A patient's own decisions - blocks, mandates - are ended by
nobody here. Whatever is changed shows in the history of the record.
"""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accessctl.decisions import DOSSIER
from accessctl.majority import until_majority
from accessctl.pieces import dated
from records.database import as_system, atomic, execute
from records.definitions.structures import type_name
from records.interactions.interaction import Touched
from records.keys import identity
from records.resources.references import local

from .staff import day, noted, number, shown, staff

NAME = "coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username)"
OF_PEOPLE = {  # table -> (what it is, further column)
    "attending_doctor": (gettext_lazy("attending doctor"), "''"),
    "proxy": (gettext_lazy("acts for the patient"), "t.kind"),
    "block": (gettext_lazy("blocked"), "''"),
    "opening": (gettext_lazy("emergency"), "t.reason"),
}
GRANTS = {  # table -> the permissions that it may hold
    "dossier_user_permission": ("view_dossier", "hide_dossier"),
    "dossier_group_permission": ("view_dossier", "hide_dossier"),
    "resource_user_permission": ("view_resource", "hide_resource"),
    "resource_group_permission": ("view_resource", "hide_resource"),
}
DECIDED = (
    *DOSSIER, "block", "unblock", "name-proxy", "end-proxy", "break-glass", "end-break-glass", "give-grant",
    "end-grant", "name-representative", "end-representative", "name-attending", "end-attending", "make-login",
    "describe-person",
)  # fmt: skip
NAMED = {"representative": "proxy", "attending": "attending_doctor"}  # by identity
MOST = 100


@staff("data-protection", "identity")
def rights(request):
    """Everything about the record of one patient, whose content is not shown."""
    asked, found, wrong = request.GET.get("patient", "").strip(), {}, ""
    if asked:
        named = local(asked if "/" in asked else f"Patient/{asked}")
        if named and named[0] == "Patient" and known(*named):
            key = identity(*named)
            found = {"id": named[1], "people": people(key), "grants": grants(key), "consents": consents(key),
                     "decided": decided(key), "record": record(key)}  # fmt: skip
            if "data-protection" not in request.roles:
                silenced(found)
            noted(request, "look-at-rights", touched(named[1]))
        else:
            wrong = _("There is no such patient.")
    return shown(request, "rights", "rights/", asked=asked, wrong=wrong, grants="data-protection" in request.roles,
                 names="identity" in request.roles, found=found)  # fmt: skip


def silenced(found):
    """Why a record was opened in an emergency, and what was asked with a decision, is not for identity."""
    for each in found["people"]:
        each["more"] = "" if each["table"] == "opening" else each["more"]
    for each in found["decided"]:
        each["query"] = ""


@as_system()
def known(type, id):
    return bool(execute("SELECT FROM resource WHERE identity = %s", (identity(type, id),)))


def touched(id):
    return [Touched("Patient", id, None, identity("Patient", id))]


def record(key):
    """The record as such."""
    rows = execute("SELECT closed, opposes_emergency, opposes_regulation FROM dossier WHERE patient = %s", (key,))
    names = ("closed", "emergency", "regulation")
    return dict(zip(names, rows[0], strict=True)) if rows else dict.fromkeys(names)


def people(key):
    """Rows about people, those that hold now first."""
    parts = [
        f"SELECT '{table}', t.id, {NAME}, u.username, {more}, t.since, t.until, {dated('t')} FROM {table} t"
        " JOIN auth_user u ON u.id = t.person_id WHERE t.patient = %s"
        for table, (_name, more) in OF_PEOPLE.items()
    ]
    rows = execute(f"{' UNION ALL '.join(parts)} ORDER BY 8 DESC, 6 DESC LIMIT {MOST}", (key,) * len(parts))
    names = ("table", "id", "name", "login", "more", "since", "until", "holds")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    ends = {"proxy": "representative", "attending_doctor": "attending"}
    return [
        each | {"what": OF_PEOPLE[each["table"]][0],
                "ends": ends.get(each["table"]) if each["holds"] and each["more"] != "mandated" else None}
        for each in found
    ]  # fmt: skip


@as_system()
def grants(key):
    """Rows of django-guardian, since when as the trigger kept it."""
    parts = []
    for table in GRANTS:
        of_user, of_record = "user" in table, table.startswith("dossier")
        who, join = ("u.username", "auth_user u ON u.id = t.user_id") if of_user else (
            "g.name", "auth_group g ON g.id = t.group_id")  # fmt: skip
        what = ("NULL::smallint, ''", "", "t.content_object_id") if of_record else (
            "r.type, r.id", " JOIN resource r ON r.pk = t.content_object_id", "r.patient")  # fmt: skip
        parts.append(
            f"SELECT '{table}', t.id, {who}, p.codename, {what[0]}, (SELECT min(nullif(k.at, '-infinity'))"
            f" FROM right_change k WHERE k.relation = '{table}' AND k.key = t.id AND k.about ="
            f" t.{'user' if of_user else 'group'}_id) FROM {table} t JOIN {join}"
            f" JOIN auth_permission p ON p.id = t.permission_id{what[1]} WHERE {what[2]} = %s"
        )
    rows = execute(f"{' UNION ALL '.join(parts)} ORDER BY 3 LIMIT {MOST}", (key,) * len(parts))
    return [
        {"table": table, "id": id, "who": who, "group": "group" in table, "permit": codename.startswith("view"),
         "about": f"{type_name(type)}/{rid}" if type is not None else "", "since": since}
        for table, id, who, codename, type, rid, since in rows
    ]  # fmt: skip


@as_system()
def consents(key):
    """What Consents were compiled to: not their text."""
    rows = execute(
        f"SELECT r.id, c.permit, c.depth, c.since, c.until, c.purposes, c.grantee = 0, {NAME} FROM consent_rule c"
        " JOIN resource r ON r.pk = c.consent LEFT JOIN person p ON p.practitioner_key = c.grantee"
        " LEFT JOIN auth_user u ON u.id = p.user_id WHERE c.patient = %s AND coalesce(c.until > now(), TRUE)"
        " ORDER BY r.id, c.depth LIMIT %s",
        (key, MOST),
    )
    names = ("consent", "permit", "depth", "since", "until", "purposes", "everybody", "name")
    return [dict(zip(names, row, strict=True)) for row in rows]


@as_system()
def decided(key):
    """Who decided what, by the audit."""
    rows = execute(
        'SELECT a.at, a."user", a.interaction, a.query, a.status < 400 FROM audit a WHERE a.patient = %s'
        " AND a.interaction = ANY(%s) ORDER BY a.seq DESC LIMIT %s",
        (key, [f"${name}"[:20] for name in DECIDED], MOST),
    )
    return [dict(zip(("at", "who", "what", "query", "done"), row, strict=True)) for row in rows]


@as_system()
def in_record(named, key):
    """The row of a resource, if it is in this record."""
    return execute("SELECT pk FROM resource WHERE identity = %s AND patient = %s", (identity(*named), key))


def login_of(request):
    """The id of the login that a form names: not one's own."""
    name = request.POST.get("login", "").strip()
    rows = execute("SELECT u.id FROM auth_user u JOIN person p ON p.user_id = u.id WHERE u.username = %s", (name,))
    if rows and rows[0][0] == request.user.pk:
        raise PermissionDenied
    return rows[0][0] if rows else None


def back(request, id, done, otherwise):
    if done:
        messages.success(request, _("Done."))
    else:
        messages.error(request, otherwise)
    return HttpResponseRedirect(f"/admin/rights/?patient=Patient/{id}")


@require_POST
@staff("data-protection")
def grant(request, id):
    """Give one person the record, or one of its resources, or withhold it."""
    codename, about = request.POST.get("permission", ""), request.POST.get("about", "").strip()
    table = "resource_user_permission" if about else "dossier_user_permission"
    if not known("Patient", id) or codename not in ("view", "hide"):
        raise Http404
    key, user, named = identity("Patient", id), login_of(request), local(about) if about else None
    codename = f"{codename}_{table.partition('_')[0]}"
    if user is None or (about and named is None):
        return back(request, id, False, _("There is no such person or resource."))
    with atomic():
        if about:
            rows = in_record(named, key)
        else:
            execute(
                "INSERT INTO dossier (patient, opposes_emergency, opposes_regulation, policy_version)"
                " VALUES (%s, FALSE, FALSE, 1) ON CONFLICT (patient) DO NOTHING",
                (key,),
            )
            rows = [(key,)]
        done = rows and execute(
            f"INSERT INTO {table} (user_id, permission_id, content_object_id) SELECT %s, p.id, %s"
            " FROM auth_permission p WHERE p.codename = %s ON CONFLICT DO NOTHING RETURNING id",
            (user, rows[0][0], codename),
        )
        noted(request, "give-grant", touched(id), login=request.POST["login"], permission=codename, about=about)
    return back(request, id, done, _("There is no such resource in this record, or it is given already."))


@require_POST
@staff("data-protection")
def end_grant(request, id):
    """Take a grant back, also a withholding one."""
    table, row = request.POST.get("table", ""), request.POST.get("row", "")
    if table not in GRANTS:
        raise Http404
    object = "content_object_id = %s" if table.startswith("dossier") else (
        "content_object_id IN (SELECT pk FROM resource WHERE patient = %s)")  # fmt: skip
    with as_system(), atomic():
        who = ("SELECT username FROM auth_user WHERE id = user_id" if "_user_" in table
               else "SELECT name FROM auth_group WHERE id = group_id")  # fmt: skip
        done = execute(f"DELETE FROM {table} WHERE id = %s AND {object} RETURNING ({who})",
                       (number(row), identity("Patient", id)))  # fmt: skip
        noted(request, "end-grant", touched(id), login=done[0][0] if done else "", row=f"{table}/{row}")
    return back(request, id, done, _("There is no such grant."))


@require_POST
@staff("identity")
def name(request, id, kind):
    """A legal representative, or the attending doctor, from now on."""
    if kind not in NAMED or not known("Patient", id):
        raise Http404
    key, user = identity("Patient", id), login_of(request)
    of_kind = "patient" if kind == "representative" else "professional"
    until = day(request.POST.get("until", ""))
    with atomic():
        columns, values = ("patient, person_id, until", "%s, p.user_id, %s::timestamptz")
        if kind == "representative":
            columns, values = columns + ", kind", values + ", 'representative'"
            until = until_majority(key, until)
        done = execute(
            f"INSERT INTO {NAMED[kind]} ({columns}) SELECT {values} FROM person p WHERE p.user_id = %s"
            " AND p.kind = %s AND p.patient_key IS DISTINCT FROM %s AND NOT EXISTS (SELECT FROM"
            f" {NAMED[kind]} t WHERE t.patient = %s AND t.person_id = p.user_id AND {dated('t')}) RETURNING id",
            (key, until, user, of_kind, key, key),
        )
        noted(request, f"name-{kind}", touched(id), login=request.POST.get("login"), until=until)
    return back(request, id, done, _("No login of the right kind has this name, or it is so already."))


@require_POST
@staff("identity")
def end(request, id, kind):
    """End a representation, or an attendance. What patients mandated themselves stays theirs to end."""
    if kind not in NAMED:
        raise Http404
    row = request.POST.get("row", "")
    only = " AND t.kind <> 'mandated'" if kind == "representative" else ""
    with atomic():
        done = execute(
            f"UPDATE {NAMED[kind]} t SET until = now() WHERE t.id = %s AND t.patient = %s AND {dated('t')}{only}"
            " RETURNING id",
            (number(row), identity("Patient", id)),
        )
        noted(request, f"end-{kind}", touched(id), row=row)
    return back(request, id, done, _("It is over already."))
