"""Who reads the audit: the patient and the proxies of a record, its attending doctor, data-protection officers.

(CSP R1111-43, L1111-19; EHDS art. 9) Professionals in general do not, nor staff: an officer is staff with the
permission `accessctl.view_auditrecord`, oneself or through a group, which being superuser does not stand for.
Registered clients without a person read what their scopes cover.

What a record is about bounds it for people: of the resources it names they are told those that they may see, and a
record all of whose resources are hidden from them is hidden. (CSP R1111-33: the trace of a minor's secret is one)
A professional is not told what a patient has decided, nor whose glass could not be broken: whom a patient keeps out,
and of what, is no professional's business. (EHDS art. 8)
"""

from dataclasses import replace

from records.access import over_types
from records.database import asked_by, execute
from records.definitions.structures import is_resource_type, type_name
from records.keys import identity
from records.resources.references import local
from records.sql import FALSE, SQL, TRUE

from ..access import access_for
from ..pieces import dated, own
from ..policy import policy
from ..scopes import parse
from ..sources.scopes import covered

TYPE = "AuditEvent"
WHATEVER = parse("user/*.rs")
DECISIONS = []  # what a patient decides about the record, as the audit names it: decisions.py
PERMISSION = (
    "SELECT EXISTS (SELECT FROM auth_permission p JOIN django_content_type c ON c.id = p.content_type_id"
    " WHERE c.app_label = 'accessctl' AND p.codename = %s AND ("
    "EXISTS (SELECT FROM auth_user_user_permissions u WHERE u.permission_id = p.id AND u.user_id = %s)"
    " OR EXISTS (SELECT FROM auth_group_permissions g JOIN auth_user_groups m ON m.group_id = g.group_id"
    " WHERE g.permission_id = p.id AND m.user_id = %s)))"
)


def holds(person, codename):
    """Has this person one of our permissions, oneself or through a group?"""
    return execute(PERMISSION, (codename, person.user, person.user))[0][0]


def is_officer(person):
    """Is this person a data-protection officer?"""
    return person.kind == "staff" and holds(person, "view_auditrecord")


def oversees(actor):
    """Does the actor see records whatever they are about?"""
    return actor is None or actor.person is None or is_officer(actor.person)


def readable(access, code):
    """Predicate over a row of `audit` (alias a)."""
    actor = getattr(access, "actor", None)
    if actor is None:
        return TRUE
    levels = covered(actor, code, TYPE)
    if not levels or actor.purpose in policy().forbiddenPurposes:
        return FALSE
    in_context = TRUE if levels - {"patient"} else SQL("a.patient = %s", (actor.patient,))
    return in_context & of(actor)


def of(actor):
    """What the person behind a token may read of the audit, whatever the scopes."""
    person = actor.person
    if person is None or is_officer(person):
        return TRUE
    if person.kind == "patient":
        mine = own(person)
        return SQL(f"a.patient = ANY({mine.text})", mine.params)
    if person.kind == "professional":
        return SQL(
            "a.patient = ANY(ARRAY(SELECT ad.patient FROM attending_doctor ad WHERE ad.person_id = %s"
            f" AND {dated('ad')} AND NOT EXISTS (SELECT FROM block bl WHERE bl.patient = ad.patient"
            f" AND bl.person_id = %s AND {dated('bl')})"
            " AND NOT EXISTS (SELECT FROM dossier dc WHERE dc.patient = ad.patient AND dc.closed <= now())))"
            " AND NOT (a.interaction = ANY(%s) OR a.interaction = '$break-glass' AND a.status >= 400)",
            (person.user, person.user, DECISIONS),
        )
    return FALSE


def named(entities):
    """The references of a record that can be of resources."""
    return [r for r in entities.split(" ") if (found := local(r)) and found[1] and is_resource_type(found[0])]


def seen(access, references):
    """reference -> labels of the row, of those that the person may see, with whatever scopes."""
    actor = getattr(access, "actor", None)
    if actor is not None and actor.person is not None:
        access = access_for(replace(actor, scopes=WHATEVER))
    by_type = {}
    for reference in references:
        by_type.setdefault(reference.split("/")[0], set()).add(reference)
    if not by_type:
        return {}
    visible = over_types(access, "read", sorted(by_type))
    keys = [identity(*reference.split("/")[:2]) for found in by_type.values() for reference in found]
    with asked_by(access.asked_by):
        rows = execute(
            f"SELECT r.type, r.id, r.labels FROM resource r WHERE r.identity = ANY(%s) AND ({visible.text})",
            (keys, *visible.params),
        )
    return {f"{type_name(type)}/{id}": labels for type, id, labels in rows}
