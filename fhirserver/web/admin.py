"""The administration: four roles, each with its pages; none of them shows what a record says.

operations       jobs, clients, settings        identity   people, roles, second factors
data-protection  audit, why, reviews, doubts    support    second factors and passwords, until a day

What is asked of records goes through the access of the member of staff, who sees the directory and no patient. What is
changed here, and what is looked up about somebody, leaves an audit record. Stock Django admin would do neither.
"""

import csv
import secrets
from functools import wraps
from urllib.parse import urlencode

from django.conf import settings as configured
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accessctl import matrix, reviews
from accessctl.audit import record as noted_in_audit
from accessctl.audit.readers import holds
from accessctl.explain import actor_of, moment
from accessctl.explain import explain as why
from accessctl.people import Person
from accessctl.pieces import dated
from accessctl.rights import StaffRole
from records import errors
from records.database import atomic, execute
from records.indexing import jobs as reindexing
from records.indexing.index import state
from records.interactions.interaction import Interaction, Outcome, Touched
from records.keys import identity
from records.resources.references import local

from .. import formats
from ..settings import SETTINGS
from . import readable
from .ask import space

OFFICER = ("view_auditrecord", "change_review")  # Django's permissions of data protection
NAMES = {
    "operations": gettext_lazy("operations"), "data-protection": gettext_lazy("data protection"),
    "identity": gettext_lazy("identity"), "support": gettext_lazy("support"),
}  # fmt: skip
TABS = (  # address, name, roles that open it; () all
    ("", gettext_lazy("Dashboard"), ()),
    ("resources/", gettext_lazy("Resources"), ()),
    ("audit/", gettext_lazy("Audit"), ("data-protection",)),
    ("why/", gettext_lazy("Who sees what"), ("data-protection",)),
    ("reviews/", gettext_lazy("Emergencies"), ("data-protection",)),
    ("doubts/", gettext_lazy("Doubts"), ("data-protection",)),
    ("people/", gettext_lazy("People"), ("identity", "support")),
    ("matrix/", gettext_lazy("Matrix"), ("data-protection", "operations")),
    ("clients/", gettext_lazy("Applications"), ("operations",)),
    ("jobs/", gettext_lazy("Jobs"), ("operations",)),
    ("settings/", gettext_lazy("Settings"), ("operations",)),
)
SECRET = ("KEY", "DATABASE_URL", "REDIS_URL", "MAIL_URL")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PAGE = 50


def roles_of(user, person):
    """The roles that hold now."""
    rows = execute(f"SELECT sr.role FROM staff_role sr WHERE sr.person_id = %s AND {dated('sr')}", (user.pk,))
    found = {role for (role,) in rows}
    if user.is_superuser:
        found |= {"operations", "identity"}
    if holds(person, OFFICER[0]):
        found.add("data-protection")
    return found


def staff(*roles):
    """Decorator: a page for staff with one of these roles; () for all staff."""

    def decorate(view):
        @space("staff")
        @wraps(view)
        def page(request, *args, **named):
            request.roles = roles_of(request.user, request.asking.person)
            if not request.roles or (roles and not request.roles & set(roles)):
                raise PermissionDenied
            return view(request, *args, **named)

        return page

    return decorate


def shown(request, template, here, **more):
    tabs = [
        (f"/admin/{url}", name, url == here) for url, name, needs in TABS if not needs or request.roles & set(needs)
    ]
    roles = [NAMES[r] for r in NAMES if r in request.roles]
    return render(request, f"admin/{template}.html", {"tabs": tabs, "roles": roles, **more})


def noted(request, what, touched=(), **said):
    """An audit record of what was done or looked up here, committed with it."""
    interaction = Interaction("operation", "system", operation=what, method="POST",
                              parameters=tuple((k, str(v)) for k, v in said.items() if v))  # fmt: skip
    outcome = Outcome(200, touched=list(touched))
    noted_in_audit(request.asking.visitor.actor, interaction, outcome, request.asking.request_id)
    request.asking.recorded += outcome.recorded


# the state of the server


@staff()
def dashboard(request):
    waiting, failed, lag = state()
    rows = execute(
        "SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'resource'::regclass),"
        " pg_database_size(current_database()), (SELECT count(*) FROM review WHERE reviewed IS NULL),"
        " (SELECT count(*) FROM doubt WHERE answered IS NULL),"
        " (SELECT count(*) FROM job WHERE state IN ('waiting', 'running')),"
        " (SELECT max(number) FROM audit_seal), (SELECT max(size) FROM audit_seal),"
        " (SELECT count(*) FROM notice WHERE delivered IS NULL)"
    )
    names = ("resources", "bytes", "reviews", "doubts", "jobs", "seal", "sealed", "notices")
    from accessctl.audit.seal import head_age

    numbers = dict(zip(names, rows[0], strict=True)) | {"waiting": waiting, "failed": failed, "lag": round(lag, 1)}
    return shown(request, "dashboard", "", **numbers, unsealed=round(head_age(), 1), requests=requests())


def requests():
    """[(interaction, answers, of these errors of the server, mean milliseconds)] since the start, all processes."""
    import os

    from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    found = {}
    for family in registry.collect():
        for sample in family.samples:
            row = found.setdefault(sample.labels.get("interaction"), [0, 0, 0.0])
            if sample.name == "fhir_requests_total":
                row[0] += int(sample.value)
                row[1] += int(sample.value) if sample.labels["status"].startswith("5") else 0
            elif sample.name == "fhir_request_seconds_sum":
                row[2] += sample.value
    return [
        (name, n, bad, round(1000 * s / n, 1)) for name, (n, bad, s) in sorted(found.items(), key=str) if name and n
    ]


@staff("operations")
def settings(request):
    """What is in force, without secrets."""
    rows = []
    for name, (default, what) in SETTINGS.items():
        value = getattr(configured, name, None)
        hidden = any(each in name for each in SECRET)
        rows.append((name, _("set, not shown") if hidden else default if value is None else value, what))
    return shown(request, "settings", "settings/", rows=rows)


@staff("operations")
def jobs(request):
    if request.method == "POST":
        with atomic():
            if id := request.POST.get("cancel", ""):
                done = id.isdigit() and reindexing.cancel(int(id))
                noted(request, "cancel-job", job=id)
            else:
                done = reindexing.ask("reindex", request.asking.visitor.actor.principal)
                noted(request, "reindex", job=done)
        if done:
            messages.success(request, _("Done."))
        else:
            messages.error(request, _("There is no such job."))
        return HttpResponseRedirect("/admin/jobs/")
    return shown(request, "jobs", "jobs/", rows=reindexing.listed(50))


@staff("operations")
def clients(request):
    """Applications: who they are, what they may at most; switched off and on."""
    if request.method == "POST":
        with atomic():
            rows = execute(
                "UPDATE client SET active = NOT active WHERE id = %s RETURNING name, active",
                (int(request.POST["id"]) if request.POST.get("id", "").isdigit() else 0,),
            )
            if not rows:
                raise Http404
            noted(request, "switch-client", client=rows[0][0], active=rows[0][1])
        messages.success(request, _("Done."))
        return HttpResponseRedirect("/admin/clients/")
    rows = execute(
        "SELECT c.id, c.name, c.title, c.active, c.scopes, c.jwks IS NOT NULL OR c.jwks_uri IS NOT NULL, c.redirects,"
        " c.created, (SELECT count(*) FROM token_access t WHERE t.client_id = c.id AND t.expires > now()"
        " AND t.revoked IS NULL) FROM client c ORDER BY c.name LIMIT 500"
    )
    names = ("id", "name", "title", "active", "scopes", "confidential", "redirects", "created", "tokens")
    return shown(request, "clients", "clients/", rows=[dict(zip(names, row, strict=True)) for row in rows])


# resources: by the search of FHIR, as far as the member of staff may see them


@staff()
def resources(request):
    query = request.GET.get("q", "").strip() or "Organization?_count=20"
    wrong, rows, further = "", [], None
    try:
        bundle = request.asking.send("GET", query, prefer="handling=strict")  # a slip of the pen is told
        if bundle.get("resourceType") == "Bundle":
            rows = [readable.item(e["resource"]) | {"title": readable.title(e["resource"])
                    if not e["resource"].get("name") else readable.name(e["resource"])}
                    for e in bundle.get("entry") or () if e.get("resource", {}).get("id")]  # fmt: skip
            further = next((link["url"] for link in bundle.get("link") or () if link["relation"] == "next"), None)
            further = further.removeprefix(request.asking.base).lstrip("/") if further else None
        else:
            rows = [readable.item(bundle)]
    except errors.FHIRError as error:
        wrong = str(error)
    return shown(request, "resources", "resources/", q=query, rows=rows, wrong=wrong, more=further)


@staff()
def resource(request, type, rid):
    """One resource: readable, as JSON, its versions and what the newest changed."""
    from difflib import unified_diff

    tree = request.asking.get(f"{type}/{rid}")
    versions = [
        e["resource"] for e in request.asking.get(f"{type}/{rid}/_history").get("entry") or () if "resource" in e
    ]
    texts = [pretty(v).splitlines() for v in versions[:2]]
    changed = list(unified_diff(texts[1], texts[0], "before", "now", lineterm="")) if len(texts) == 2 else []
    body = pretty(tree)
    return shown(request, "resource", "resources/", type=type, id=rid, facts=readable.facts(tree), body=body,
                 versions=[v["meta"] for v in versions], changed=changed)  # fmt: skip


def pretty(tree):
    return formats.rendered(tree, formats.Wanted(pretty=True)).decode()


# data protection


@staff("data-protection")
def audit(request):
    """The audit, by the search for AuditEvents; every look is in the audit, too."""
    given = {k: request.GET.get(k, "").strip() for k in ("patient", "agent", "from", "to", "action")}
    query = [("_count", str(1000 if request.GET.get("csv") else PAGE))]
    if given["patient"]:
        query.append(("patient", given["patient"]))
    if given["agent"]:
        query.append(("agent", given["agent"]))
    if given["action"]:
        query.append(("action", given["action"]))
    query += [("date", f"{prefix}{given[k]}") for k, prefix in (("from", "ge"), ("to", "le")) if given[k]]
    asked = any(given.values()) or "_page" in request.GET
    rows, wrong = [], ""
    if asked:
        try:
            rows = [told(e) for e in request.asking.search(f"AuditEvent?{urlencode(query)}")]
        except errors.FHIRError as error:
            wrong = str(error)
    if request.GET.get("csv") and not wrong:
        return exported(rows)
    return shown(
        request, "audit", "audit/", given=given, rows=rows, wrong=wrong, asked=asked, csv=request.GET.urlencode()
    )


def told(event):
    """A line of the audit."""
    who = next((a for a in event.get("agent") or () if a.get("requestor")), {})
    return {
        "id": event["id"], "when": event.get("recorded", ""), "who": (who.get("who") or {}).get("display", ""),
        "what": readable.concept(event.get("subtype")) or readable.concept(event.get("type")),
        "outcome": event.get("outcome", ""), "action": event.get("action", ""),
        "about": " ".join((e.get("what") or {}).get("reference", "") for e in event.get("entity") or ()).strip(),
    }  # fmt: skip


def exported(rows):
    """A table for spreadsheets in which no cell is a formula."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="audit.csv"'
    columns = ("id", "when", "who", "action", "what", "outcome", "about")
    table = csv.writer(response)
    table.writerow(columns)
    for row in rows:
        table.writerow([harmless(str(row[c])) for c in columns])
    return response


def harmless(text):
    """A spreadsheet takes what begins so for a formula; behind an apostrophe it is text."""
    return f"'{text}" if text.startswith(FORMULA) else text


@require_POST
@staff("data-protection")
def verify(request):
    """Read the whole audit against its seals, now."""
    from accessctl.audit import checkpoint, encoding, source
    from accessctl.audit.verify import Verification

    noted(request, "verify-audit")
    request.asking.settle()
    check = Verification(encoding.keys(), checkpoint.public_keys())
    findings = [str(f) for f, _n in zip(check.findings(source.database()), range(100), strict=False)]
    return shown(request, "verified", "audit/", findings=findings, records=check.records, tail=check.tail)


@staff("data-protection")
def who_sees(request):
    """Every reason for and against, by the SQL that searches use, now or at a past date."""
    given = {k: request.GET.get(k, "").strip() for k in ("login", "reference", "at")}
    said, whole, wrong = None, None, ""
    if given["login"] and given["reference"]:
        named = local(given["reference"])
        try:
            at = moment(given["at"]) if given["at"] else None
            actor = actor_of(given["login"], "user/*.cruds", None, at) if named else None
            found = why(actor, *named, at=at) if actor and actor.person else None
        except errors.FHIRError as error:
            found, wrong = None, str(error)
        if found:
            said, whole = found
            key = execute("SELECT patient FROM resource WHERE identity = %s", (identity(*named),))[0][0]
            noted(request, "explain-access", [Touched(*named, None, key)], actor=given["login"], at=given["at"])
        else:
            wrong = wrong or _("There is, or was, no such person or resource.")
    return shown(request, "why", "why/", given=given, said=said, whole=whole, wrong=wrong)


@staff("data-protection")
def emergencies(request):
    """What was opened in emergencies and waits for a verdict."""
    actor = request.asking.visitor.actor
    if request.method == "POST":
        id = request.POST.get("opening", "")
        try:
            reviews.review(
                actor, int(id) if id.isdigit() else 0, request.POST.get("verdict"), request.POST["conclusion"]
            )
            messages.success(request, _("The verdict is recorded."))
        except (errors.BadRequest, errors.NotFound) as error:
            messages.error(request, str(error))
        return HttpResponseRedirect("/admin/reviews/")
    return shown(request, "reviews", "reviews/", waiting=reviews.waiting(actor), done=reviews.done(actor, 20))


@staff("data-protection")
def doubts(request):
    """What patients find doubtful; the answer is shown to them."""
    if request.method == "POST":
        id, answer = request.POST.get("doubt", ""), request.POST.get("answer", "").strip()
        with atomic():
            rows = execute(
                "UPDATE doubt SET answered = now(), answer = %s WHERE id = %s AND answered IS NULL AND %s <> ''"
                " RETURNING patient",
                (answer[:4000], int(id) if id.isdigit() else 0, answer),
            )
            if rows:
                noted(request, "answer-doubt", [Touched("Patient", "", None, rows[0][0])], doubt=id)
        messages.success(request, _("The patient can read the answer.")) if rows else messages.error(
            request, _("Say something.")
        )
        return HttpResponseRedirect("/admin/doubts/")
    rows = execute(
        "SELECT d.id, d.event, d.text, d.created, d.answered, d.answer, u.username FROM doubt d LEFT JOIN auth_user u"
        " ON u.id = d.person_id ORDER BY d.answered IS NOT NULL, d.created DESC LIMIT 100"
    )
    names = ("id", "event", "text", "created", "answered", "answer", "login")
    return shown(request, "doubts", "doubts/", rows=[dict(zip(names, row, strict=True)) for row in rows])


@staff("data-protection", "operations")
def habilitation(request):
    """The matrix in force as a grid: professions across, classes of data down."""
    rows = execute(
        f"SELECT m.matrix, m.profession, m.category, m.permit, m.provenance FROM matrix m WHERE {dated('m')}"
        " ORDER BY m.profession, m.category"
    )
    classes = {c["number"]: c.get("display") or c.get("name") or str(c["number"]) for c in matrix.data()["classes"]}
    professions = sorted({row[1] for row in rows})
    cells = {(row[1], row[2]): (row[3], row[4]) for row in rows}
    grid = [(classes[n], [cells.get((p, n)) for p in professions]) for n in sorted({r[2] for r in rows} & set(classes))]
    versions = execute("SELECT matrix, min(since), max(until), count(*) FROM matrix GROUP BY 1 ORDER BY 2 DESC")
    return shown(request, "matrix", "matrix/", professions=professions, grid=grid, versions=versions)


# identity


@staff("identity", "support")
def people(request):
    """Logins and the people behind them."""
    query = request.GET.get("q", "").strip()
    found = get_user_model().objects.select_related("person").order_by("username")
    if query:
        from django.db.models import Q

        found = found.filter(
            Q(username__icontains=query) | Q(last_name__icontains=query) | Q(first_name__icontains=query)
        )
    return shown(request, "people", "people/", rows=found[:PAGE], q=query)


@staff("identity", "support")
def login(request, id):
    """One login: its person, roles and factors; what identity, or support, may change."""
    from allauth.mfa.models import Authenticator

    user = get_user_model().objects.filter(pk=id).first()
    if user is None:
        raise Http404
    if request.method == "POST":
        told = changed(request, user, request.POST.get("do", ""))
        messages.success(request, told)
        return HttpResponseRedirect(f"/admin/people/{id}/")
    person = Person.objects.filter(user=user).first()
    dates = StaffRole.objects.filter(person_id=id).order_by("-since")[:20]
    factors = Authenticator.objects.filter(user=user)
    roles = [role for role, _name in StaffRole.ROLES]
    return shown(request, "login", "people/", login=user, person=person, dates=dates, factors=factors,
                 choices=[*roles, "data-protection"], identity="identity" in request.roles)  # fmt: skip


def changed(request, user, what):
    """Do it, in one transaction with its audit record; what to tell."""
    with atomic():
        match what:
            case "reset-factors":
                above(request, user)
                execute("DELETE FROM mfa_authenticator WHERE user_id = %s", (user.pk,))
                said = _("The second factors are gone; a new one is asked for at the next sign-in.")
            case "reset-password":
                above(request, user)
                password = secrets.token_urlsafe(12)
                user.set_password(password)
                execute("UPDATE auth_user SET password = %s WHERE id = %s", (user.password, user.pk))
                said = _("The new password, shown this once: %(password)s") % {"password": password}
            case "switch" if "identity" in request.roles and user != request.user:
                execute("UPDATE auth_user SET is_active = NOT is_active WHERE id = %s", (user.pk,))
                said = _("Done.")
            case "role" if "identity" in request.roles and user != request.user:
                said = given_role(user, request.POST.get("role", ""), request.POST.get("until", ""))
            case _:
                raise PermissionDenied
        noted(request, what, login=user.get_username(), role=request.POST.get("role"), until=request.POST.get("until"))
    return said


def above(request, user):
    """Support helps people, not those who run the server; nobody but a superuser gets at one."""
    if user.is_superuser and not request.user.is_superuser:
        raise PermissionDenied
    if "identity" in request.roles:
        return
    rows = execute(f"SELECT FROM staff_role sr WHERE sr.person_id = %s AND {dated('sr')}", (user.pk,))
    person = execute("SELECT kind FROM person WHERE user_id = %s", (user.pk,))
    if rows or user.is_superuser or user.is_staff or (person and person[0][0] == "staff") or user == request.user:
        raise PermissionDenied


def given_role(user, role, until):
    """A role from now on, until a day where one is said; taken back by the end of today where it was there."""
    rows = execute("SELECT kind FROM person WHERE user_id = %s", (user.pk,))
    if not rows or rows[0][0] != "staff":
        return _("Roles are for staff.")
    if role == "data-protection":
        its = "SELECT id FROM auth_permission WHERE codename = ANY(%s)"
        given = (user.pk, list(OFFICER))
        table = "auth_user_user_permissions"
        if not execute(f"DELETE FROM {table} WHERE user_id = %s AND permission_id IN ({its}) RETURNING id", given):
            execute(f"INSERT INTO {table} (user_id, permission_id) SELECT %s, p.id FROM ({its}) p", given)
        return _("Done.")
    if role not in dict(StaffRole.ROLES):
        return _("There is no such role.")
    if role == "support" and not until:
        return _("Support has an end: say until when.")
    ended = execute(f"UPDATE staff_role sr SET until = now() WHERE sr.person_id = %s AND sr.role = %s AND {dated('sr')}"
                    " RETURNING id", (user.pk, role))  # fmt: skip
    if not ended:
        execute("INSERT INTO staff_role (person_id, role, until) VALUES (%s, %s, %s::timestamptz)",
                (user.pk, role, until or None))  # fmt: skip
    return _("Done.")


urlpatterns = [
    path("", dashboard, name="admin"),
    path("resources/", resources),
    path("resources/<rtype:type>/<rid:rid>/", resource),
    path("audit/", audit),
    path("audit/verify", verify),
    path("why/", who_sees),
    path("reviews/", emergencies),
    path("doubts/", doubts),
    path("people/", people),
    path("people/<int:id>/", login),
    path("matrix/", habilitation),
    path("clients/", clients),
    path("jobs/", jobs),
    path("settings/", settings),
]
