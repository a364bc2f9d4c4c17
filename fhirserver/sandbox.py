"""A sandbox is put back as it was: what others than the server wrote is deleted, what it wrote comes back.

Only where `manage.py demo` has written its people into a database that was empty (the mark in the data folder), and the
environment is `demo`. Nothing is taken out of history or audit: everything here is an ordinary delete or update by
`system`, recorded as any other, in slices of a durable job that the worker does. Tokens, logins and applications stay.
"""

from django.conf import settings

from records import errors
from records.database import as_system, atomic, execute
from records.definitions.structures import type_name
from records.formats.json import parse
from records.indexing import jobs
from records.interactions.interaction import Interaction
from records.keys import key

from .demonstration import MARK, rights

KIND = "sandbox"  # of the job
SLICE = 50  # resources
SYSTEM = key("client", "system")
CHANGED = (  # beside what the system created and nobody has touched
    "FROM resource r JOIN version f ON f.resource = r.pk AND f.version = 1 WHERE"
    " CASE WHEN f.author = %s THEN r.version > 1 AND f.body IS NOT NULL ELSE NOT r.deleted END"
)
OPEN = ("block", "proxy", "attending_doctor", "opening")  # rows with since and until, made by hand or by the demo


def is_one():
    """May everything here be put back?"""
    if settings.FHIRSERVER_ENVIRONMENT != "demo" or not settings.FHIRSERVER_DATA:
        return False
    from .embedded.folder import Folder

    return bool(Folder.at(settings.FHIRSERVER_DATA).state.get(MARK))


@as_system()
def differing():
    """How many resources would be deleted or put back."""
    return execute(f"SELECT count(*) {CHANGED}", (SYSTEM,))[0][0]


def ask(principal):
    """The job that puts it back: one that is not over yet, or a new one."""
    if not is_one():
        raise errors.Forbidden("This server is no sandbox.")
    with atomic():
        execute("SELECT pg_advisory_xact_lock(%s)", (key("sandbox"),))
        job = latest()
        return job.id if job and job.state in ("waiting", "running") else jobs.ask(KIND, principal)


def latest():
    """The job last asked for, or None."""
    found = execute("SELECT max(id) FROM job WHERE kind = %s", (KIND,))[0][0]
    return jobs.find(found) if found else None


def put_back(job):
    """(cursor or None when it is over, done, failed) of a slice; within the transaction of the job."""
    if not is_one():
        raise errors.Forbidden("This server is no sandbox.")
    with as_system():
        rows = execute(
            f"SELECT r.pk, r.type, r.id, f.author = %s, f.body {CHANGED} AND r.pk > %s ORDER BY r.pk LIMIT %s",
            (SYSTEM, SYSTEM, job.cursor, SLICE),
        )
    failed = 0
    for _pk, type, id, ours, body in rows:
        try:
            carry_out(type_name(type), id, parse(bytes(body)) if ours else None)
        except errors.FHIRError:  # a rule of the type forbids it: told as failed, and recorded
            failed += 1
    if len(rows) == SLICE:
        return rows[-1][0], len(rows), failed
    rights_again()
    return None, len(rows), failed


def carry_out(type, id, body):
    """Delete it, or write it as it first was."""
    from . import system

    code, method = ("delete", "DELETE") if body is None else ("update", "PUT")
    system.execute(Interaction(code, "instance", type, id, method=method, body=body, url=f"{type}/{id}"))


def rights_again():
    """What testers gave, refused and opened by hand ends; what the demonstration said of its people holds again."""
    for table in OPEN:
        execute(f"UPDATE {table} SET until = now() WHERE until IS NULL OR until > now()")
    execute("UPDATE dossier SET closed = NULL, opposes_emergency = false, opposes_regulation = false"
            " WHERE closed IS NOT NULL OR opposes_emergency OR opposes_regulation")  # fmt: skip
    rights()


jobs.OTHERS[KIND] = jobs.Other(lambda job: differing(), put_back)
