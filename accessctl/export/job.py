"""The work of an export, in slices of a durable job: whose records, type by type what there was, then who is told.

The bytes of a slice, the place where the next one begins and the job's progress are one commit: a worker killed at any
moment loses nothing and doubles nothing (fault F34). Rights are asked anew by each slice. Exports have a lane of their
own, so that they and the jobs of the index do not wait for each other.
"""

import gzip

import psycopg

from records.database import asked_by, atomic, execute
from records.definitions.structures import type_number
from records.errors import Issue, operation_outcome
from records.formats.json import dump
from records.indexing import jobs

from . import kept, members, rights, told, walk

MOST_LINES = 100_000  # of a file
MOST_BYTES = 128 * 1024 * 1024  # of a file, unpacked
LEVEL = 6  # of gzip
DELETED, ERROR = "deleted", "error"  # files that are not of a type


def start(job):
    """The moment of the export (transactionTime), and how many versions there are to look at.

    It is the last millisecond that was over when this transaction began. A write reads its time from the clock after
    its transaction has got a number, and this one gets its own (the barrier) after it began. So each write that is
    stamped up to the moment has an earlier number than the barrier, and is committed or undone before the first slice;
    and each write stamped later is outside, whenever it commits. What is read in any slice is thus of the one moment.
    Stamps are of whole milliseconds: of the one that runs some writes might still come.
    """
    export = kept.began(job.id)
    types = [type_number(type) for type in export.asked.types]
    since = export.asked.since or walk.FIRST[0]
    try:
        with atomic():
            return execute("SELECT count_versions(%s::int2[], %s, %s)", (types, since, export.moment))[0][0]
    except psycopg.errors.QueryCanceled:  # more than can be counted in the time of a statement: nobody waits for that
        return None


def step(job):
    """(0, or None when it is over; how many versions were looked at; 0) of a slice."""
    export = kept.of_job(job.id)
    access = rights.access_now(export.client, export.asked)
    place = export.place
    place.slices += 1
    done, over = 0, False
    if not place.chosen:
        begin(export, access)
    elif place.type < len(export.asked.types):
        done = of_type(export, access)
    elif place.patient is None:
        place.patient = told.FIRST  # all files are there; before anybody reaches them the patients are told
    else:
        place.patient = told.some(export, access.actor)
        over = place.patient is None
    kept.moved(export)
    return None if over else 0, done, 0


def begin(export, access):
    """Whose records are asked for; what there is to warn of."""
    said = list(export.asked.warnings)
    if about_some(export):
        said += members.choose(export, access)
    lines = [dump(operation_outcome([Issue("warning", "incomplete", each)])) for each in said]
    append(export, ERROR, lines)
    export.place.chosen = True


def about_some(export):
    """Is it about some patients, not all?"""
    return export.asked.group is not None or export.asked.patients is not None


def of_type(export, access):
    """The next lines of the type that is walked."""
    asked, place = export.asked, export.place
    while not (found := walk.looked_at(asked.types[place.type], export.moment, asked.since, place.after)):
        place.type, place.after = place.type + 1, None
        if place.type == len(asked.types):
            return 0
    type = asked.types[place.type]
    with asked_by(access.asked_by):
        rows = walk.standing(found, export.moment, rights.judged(access, type))
    if asked.level != "system":
        rows = [row for row in rows if row.patient is not None]
    if about_some(export):
        rows = possible(export, rows)
    shown = walk.taken(rows)
    with asked_by(access.asked_by):
        bodies = walk.bodies(shown)
    whose = walk.patients(shown, type, bodies, asked.base)
    if about_some(export):
        wanted = members.chosen(export, {patient for each in whose.values() for patient in each})
        whose = {pk: patients for pk, patients in whose.items() if wanted.intersection(patients)}
    write(export, type, [row for row in shown if row.pk in whose], bodies, whose)
    last = found[-1] if len(shown) == len(rows) else next(each for each in found if each[1:] == shown[-1][1:3])
    place.after = last[:2]
    return found.index(last) + 1


def possible(export, rows):
    """Rows that may be about who is asked for; of those of several patients the bytes say it."""
    wanted = members.chosen(export, {row.patient for row in rows})
    return [row for row in rows if row.shared or row.patient in wanted]


def write(export, type, rows, bodies, whose):
    """The lines of these resources and deletions, and what they contain of whom."""
    there = [row for row in rows if row.size is not None]
    gone = [row for row in rows if row.size is None] if export.asked.since else []
    append(export, type, [bodies[row.pk] for row in there])
    if gone:
        entries = [{"request": {"method": "DELETE", "url": f"{type}/{row.id}"}} for row in gone]
        append(export, DELETED, [dump({"resourceType": "Bundle", "type": "transaction", "entry": entries})])
    contained = {}
    for row in (*there, *gone):
        for patient in whose[row.pk]:
            contained.setdefault(patient, []).append(f"{type}/{row.id}")
    kept.contain(export, contained)


def append(export, label, lines):
    """More lines of a type, in a new file when the last one is full."""
    if not lines:
        return
    data = b"".join(line + b"\n" for line in lines)
    file = export.place.files.setdefault(label, [1, 0, 0, 0])
    if file[1] and (file[1] + len(lines) > MOST_LINES or file[2] + len(data) > MOST_BYTES):
        file[:] = [file[0] + 1, 0, 0, 0]
    file[1:] = [file[1] + len(lines), file[2] + len(data), file[3] + 1]
    kept.add(export, f"{label}-{file[0]}", file[3], len(lines), len(data), gzip.compress(data, LEVEL, mtime=0))


def again(job):
    """Go on where it failed, of the same moment; what was cancelled begins anew. Its client has the address still."""
    if kept.of_job(job.id) is None:
        return None
    jobs.resume(job.id)
    return job.id


jobs.OTHERS[kept.KIND] = jobs.Other(start, step, kept.KIND, lambda job: kept.renounce(job.id), again)
