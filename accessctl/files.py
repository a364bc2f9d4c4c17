"""A file goes into the record of the document that its author makes of it. (binary.html#security; MHD)

It is the Binary of nobody that a DocumentReference or a DiagnosticReport about one patient has as its attachment.
Who has written the Binary could have written its securityContext; to attach it says the same. So it must be who writes
the document that wrote the Binary, whoever the author of the document is; and nothing is taken out of a record, nor put
into a second one. Who sees it then is judged as ever: sources/documents.py hides it with what names it.
"""

import re

from django.dispatch import receiver

from records.database import as_system, execute
from records.definitions.structures import type_number
from records.formats.json import parse
from records.interactions.interaction import Touched
from records.keys import identity
from records.signals import resources_written

from .sources import scopes

TYPE = "Binary"
ATTACHMENTS = {
    "DocumentReference": lambda r: [c.get("attachment") for c in r.get("content") or ()],
    "DiagnosticReport": lambda r: r.get("presentedForm") or (),
}
NAMED = re.compile(r"(?:.*/)?Binary/([A-Za-z0-9\-.]{1,64})(?:/_history/[0-9]+)?")


@receiver(resources_written)
def files_have_a_record(batch, access, **_):
    """Within the transaction that writes, before it is judged as stored."""
    actor = getattr(access, "actor", None)
    if actor is None:
        return  # the system's own
    wanted = {}  # key of a Binary -> patients
    for d in batch:
        if d.type in ATTACHMENTS and d.resource is not None and d.patient is not None and not d.shared:
            for file in files_of(d.resource, d.type):
                wanted.setdefault(file, set()).add(d.patient)
    with as_system():
        wanted = {file: wanted[file] for file in own(list(wanted), actor)}
        for d in batch:
            if d.type == TYPE and d.resource is not None and d.patient is None:  # of nobody, as it says
                for patient in announced(d, actor) if d.version == 1 else before(d):
                    wanted.setdefault(identity(TYPE, d.id), set()).add(patient)
        place({file: patients for file, patients in wanted.items() if len(patients) == 1}, access)


def files_of(resource, type):
    """Keys of the Binaries that are attachments of a document."""
    urls = (each.get("url") for each in ATTACHMENTS[type](resource) if isinstance(each, dict))
    return {identity(TYPE, m[1]) for url in urls if isinstance(url, str) and (m := NAMED.fullmatch(url))}


def own(files, actor):
    """Those of nobody that the actor made, as far as the scopes reach."""
    if not files:
        return []
    reached = within(actor, TYPE)
    rows = execute(
        "SELECT r.identity FROM resource r WHERE r.identity = ANY(%s) AND r.type = %s AND r.patient IS NULL"
        f" AND NOT r.deleted AND r.author = %s AND ({reached.text})",
        (files, type_number(TYPE), actor.author, *reached.params),
    )
    return [file for (file,) in rows]


def within(actor, type):
    return scopes.scopes(actor, "resolve", type, "r", "pk")[0]


def before(d):
    """The record that a document put the version before into, which said no other; of what was deleted, the last."""
    rows = execute(
        "SELECT v.patient FROM (SELECT * FROM version o WHERE o.resource = %s AND o.version < %s AND o.body IS NOT NULL"
        " ORDER BY o.version DESC LIMIT 1) v"
        " WHERE v.patient IS NOT NULL AND position('\"securityContext\":'::bytea IN v.body) = 0",
        (d.pk, d.version),
    )
    return [patient for (patient,) in rows]


def announced(d, actor):
    """The records of documents that were there first: made by the author of the Binary, with it, as it is still."""
    reached = [(type, within(actor, type)) for type in ATTACHMENTS]
    cases = " ".join(f"WHEN {type_number(type)} THEN ({predicate.text})" for type, predicate in reached)
    rows = execute(
        "SELECT r.patient, r.type, r.body FROM attached a JOIN resource r ON r.pk = a.resource"
        " JOIN version v ON v.resource = r.pk AND v.version = 1"
        " WHERE a.file = %s AND a.author = %s AND a.since = v.updated AND v.patient = r.patient"
        f" AND NOT r.shared AND NOT r.deleted AND CASE r.type {cases} ELSE FALSE END",
        (identity(TYPE, d.id), actor.author, *sum((predicate.params for _, predicate in reached), ())),
    )
    types = {type_number(type): type for type in ATTACHMENTS}
    file = identity(TYPE, d.id)
    return [patient for patient, type, body in rows if file in files_of(parse(bytes(body)), types[type])]


def place(wanted, access):
    """Put each into the one record, and say so in the audit record of that patient."""
    by_patient = {}
    for file, (patient,) in wanted.items():
        by_patient.setdefault(patient, []).append(file)
    for patient, files in sorted(by_patient.items()):
        placed = execute(
            "WITH f AS MATERIALIZED (SELECT * FROM place_files(%s, %s)),"  # the index knows the patient as well
            " again AS (INSERT INTO pending (resource, type)"
            " SELECT r.pk, r.type FROM f JOIN resource r ON r.identity = ANY(%s) AND r.id = f.id)"
            " SELECT id, version FROM f",
            (sorted(files), patient, sorted(files)),
        )
        access.note(*(Touched(TYPE, id, version, patient) for id, version in placed))
