"""The rows of exports: begun, found by who asked, chunks of their files, purged when nobody reaches them any more."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec
from django.conf import settings

from records import errors
from records.database import as_system, asked_by, execute, insert, lock
from records.indexing import jobs
from records.keys import key

from .asked import Asked

KIND = "export"  # of the job
MOST_KEPT = 10  # exports of a client at a time
PURGED = 50  # chunks in one round
REACHED = "(j.finished IS NULL OR j.finished + make_interval(hours => %s) > now())"


class Place(msgspec.Struct):
    """Where the walk of an export is."""

    type: int = 0  # the one that is walked, of those asked for
    after: tuple[datetime, int] | None = None  # (updated, resource) of the version last looked at
    slices: int = 0
    files: dict[str, list[int]] = {}  # name -> [number of the file, its lines, its bytes, its chunks]
    chosen: bool = False  # whose records are asked for is known
    patient: int | None = None  # who is told next; None: not told yet


class Export(NamedTuple):
    """An export and its job, as they stand."""

    job: int
    client: str
    owner: int
    asked: Asked
    run: int
    moment: datetime | None
    place: Place
    state: str
    done: int
    total: int | None
    error: str | None
    since: datetime  # it was asked for
    now: datetime
    expires: datetime | None


COLUMNS = (
    "e.job, e.client, e.owner, e.asked, e.run, e.moment, e.place, j.state, j.done, j.total, j.error, j.asked, now(),"
    " j.finished + make_interval(hours => %s) FROM export e JOIN job j ON j.id = e.job"
)


def digest(name):
    return sha256(name.encode()).digest()


def new_run():
    return secrets.randbits(62)


@as_system()
def begin(actor, asked):
    """A new export, in the transaction of who asks; the name that its addresses have, which nobody can guess."""
    lock(key("export", actor.client))
    hours = settings.FHIRSERVER_EXPORT_HOURS
    there = execute(
        f"SELECT extract(epoch FROM j.finished + make_interval(hours => %s) - now())::int8 FROM export e"
        f" JOIN job j ON j.id = e.job WHERE e.client = %s AND {REACHED}",
        (hours, actor.client, hours),
    )
    if len(there) >= MOST_KEPT:
        ends = [seconds for (seconds,) in there if seconds is not None]
        said = f"The client has {len(there)} exports already; those that it deletes make room."
        issue = errors.Issue("error", "throttled", said)
        raise errors.TooManyRequests(max(1, min(ends, default=3600)), issues=[issue])
    job = jobs.ask(KIND, actor.principal, names=asked.types)
    name = secrets.token_urlsafe(32)
    execute(
        "INSERT INTO export (job, digest, client, owner, asked, run, place) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (job, digest(name), actor.client, actor.author, text(asked), new_run(), text(Place())),
    )
    return name


def found(name, client):
    """The export of that name, if this client asked for it and it is not over; else NotFound, whatever the reason."""
    hours = settings.FHIRSERVER_EXPORT_HOURS
    rows = execute(
        f"SELECT {COLUMNS} WHERE e.digest = %s AND e.client = %s AND j.state <> 'cancelled' AND {REACHED}",
        (hours, digest(name), client, hours),
    )
    if not rows:
        raise errors.NotFound("This export")
    return export(rows[0])


@as_system()
def of_job(id):
    """The export that the job is for, or None when it was deleted."""
    rows = execute(f"SELECT {COLUMNS} WHERE e.job = %s", (settings.FHIRSERVER_EXPORT_HOURS, id))
    return export(rows[0]) if rows else None


def export(row):
    read = Export._make(row)
    return read._replace(asked=msgspec.json.decode(read.asked, type=Asked),
                         place=msgspec.json.decode(read.place, type=Place))  # fmt: skip


def text(struct):
    return msgspec.json.encode(struct).decode()


def began(job):
    """The export of a job that starts, of this moment: see job.start."""
    execute(
        "UPDATE export SET moment = date_trunc('milliseconds', now()) - interval '1 millisecond' WHERE job = %s", (job,)
    )
    return of_job(job)


def moved(export):
    """The walk is where the place says."""
    execute("UPDATE export SET place = %s WHERE job = %s", (text(export.place), export.job))


@as_system()
def renounce(job):
    """Nothing that was made for this job counts any more; should it begin again, it is of another moment."""
    execute("UPDATE export SET run = %s, moment = NULL, place = %s WHERE job = %s", (new_run(), text(Place()), job))
    jobs.renounce(job)


@as_system()
def remove(export):
    """The export is gone, finished or not; its chunks are purged."""
    jobs.cancel(export.job)
    execute("DELETE FROM export WHERE job = %s", (export.job,))


# -- files -----------------------------------------------------------------------------------------------------------


def add(export, file, number, count, size, data):
    """A chunk of a file."""
    execute(
        "INSERT INTO export_chunk (run, file, number, owner, count, size, data) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (export.run, file, number, export.owner, count, size, data),
    )


def contain(export, patients):
    """The files contain these of patients: key -> references."""
    insert(
        "export_content", ("run", "patient", "number", "entities"), ("int8", "int8", "int4", "text"),
        [(export.run, patient, export.place.slices, " ".join(entities)) for patient, entities in patients.items()],
    )  # fmt: skip


def files(export):
    """(name, lines) of each file."""
    return execute(
        "SELECT file, sum(count)::int8 FROM export_chunk WHERE run = %s GROUP BY file ORDER BY"
        " regexp_replace(file, '-[0-9]+$', ''), substring(file FROM '[0-9]+$')::int",
        (export.run,),
    )


def chunks(export, file):
    """(number, bytes packed, bytes unpacked) of each chunk of a file."""
    return execute(
        "SELECT number, octet_length(data)::int8, size FROM export_chunk WHERE run = %s AND file = %s ORDER BY number",
        (export.run, file),
    )


def data(who, run, file, number):
    """A chunk, for who is named so; gone when it was purged meanwhile."""
    with asked_by(who):
        rows = execute(
            "SELECT data FROM export_chunk WHERE run = %s AND file = %s AND number = %s", (run, file, number)
        )
    if not rows:
        raise errors.NotFound("This export")
    return bytes(rows[0][0])


# -- the end ---------------------------------------------------------------------------------------------------------

ORPHANS = (
    "DELETE FROM {0} WHERE ctid = ANY(ARRAY(SELECT o.ctid FROM {0} o"
    " WHERE NOT EXISTS (SELECT FROM export e WHERE e.run = o.run) LIMIT %s)) RETURNING 1"
)
OF_A_RUN = {"export_chunk": PURGED, "export_content": 5000, "export_patient": 5000}


@as_system()
def purge():
    """Exports go after their time, and then what is of none; True when there is more."""
    execute(
        "DELETE FROM export e USING job j WHERE j.id = e.job AND j.finished + make_interval(hours => %s) <= now()",
        (settings.FHIRSERVER_EXPORT_HOURS,),
    )
    gone = [len(execute(ORPHANS.format(table), (most,))) == most for table, most in OF_A_RUN.items()]
    return any(gone)
