"""Durable jobs that make index rows anew, in slices: each a transaction of its own that moves the job's cursor.

A worker that dies leaves the cursor where its last slice ended; the next one goes on there. One slice at a time on all
nodes, jobs in the order they were asked for, so a parameter that goes and comes back is first removed, then made.
Kinds that have nothing to do with the index may have a lane of their own: each lane has its slice in turn, so that none
waits for another, and jobs of such a lane take turns too.

A slice works on resources that nobody is writing or indexing: the others are left to the queue, which comes after.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from records import errors
from records.database import as_system, atomic, execute, retried
from records.definitions.structures import type_name
from records.keys import key
from records.search import stored

from .index import BACKOFF, Indexed, backlog, index

log = logging.getLogger("records.indexing")
LOCK = key("job")
SLICE = 200  # resources
WINDOW = 5000  # pks that a slice looks through for its types
BUSY = 2000  # writes that wait: they go first
MOST_FAILED = 100  # resources on which a stored parameter may fail before it is switched off
UNFINISHED = "state IN ('waiting', 'running')"


class Job(NamedTuple):
    """A job as it stands."""

    id: int
    kind: str
    parameters: dict
    state: str
    principal: str
    asked: datetime
    started: datetime | None
    heartbeat: datetime | None
    finished: datetime | None
    total: int | None
    done: int
    failed: int
    error: str | None
    cursor: int
    barrier: int | None


INDEX = "index"  # the lane of the jobs of the index


class Other(NamedTuple):
    """How jobs that are not of the index are done: `slice` may write, in the transaction that moves the cursor."""

    start: Callable  # (job) -> how many there are to do
    slice: Callable  # (job) -> (cursor, or None when it is over; how many were done; how many failed)
    lane: str = INDEX
    cancelled: Callable | None = None  # (job): what there is of it goes
    again: Callable | None = None  # (job) -> its id, it goes on or begins anew; None when it cannot. Without: a new job


OTHERS = {}  # kind -> Other
COLUMNS = ", ".join(Job._fields)


def ask(kind, principal, types=None, resources=None, keys=None, **told):
    """A new job over all resources, those of some types (numbers) or some resources (pks); its id.

    With `keys` it is about these parameters only. `told` is kept to be shown.
    """
    parameters = {"types": types, "resources": resources, "keys": keys, **told}
    text = json.dumps(parameters)
    return execute(
        "INSERT INTO job (kind, parameters, principal) VALUES (%s, %s, %s) RETURNING id", (kind, text, principal)
    )[0][0]


def find(id):
    """The job of that id, or None."""
    found = execute(f"SELECT {COLUMNS} FROM job WHERE id = %s", (id,))
    return _job(found[0]) if found else None


def listed(most=100):
    """The latest jobs, the newest first."""
    return [_job(row) for row in execute(f"SELECT {COLUMNS} FROM job ORDER BY id DESC LIMIT %s", (most,))]


def unfinished():
    return execute(f"SELECT count(*) FROM job WHERE {UNFINISHED}")[0][0]


def cancel(id):
    """Stop a job that is not finished. Was there one to stop?

    A parameter whose rows are made half way is not used: what there is of them goes.
    """
    with atomic():
        found = execute(f"SELECT {COLUMNS} FROM job WHERE id = %s AND {UNFINISHED} FOR UPDATE", (id,))
        if not found:
            return False
        execute("UPDATE job SET state = 'cancelled', finished = now() WHERE id = %s", (id,))
        job = _job(found[0])
        if job.kind == "parameter":
            _give_up(job)
        elif job.kind in OTHERS and OTHERS[job.kind].cancelled:
            OTHERS[job.kind].cancelled(job)
        return True


def resume(id):
    """Let a job that failed or was cancelled go on: from its cursor, or from the start when its barrier is gone."""
    execute(
        "UPDATE job SET state = CASE WHEN barrier IS NULL THEN 'waiting' ELSE 'running' END, error = NULL,"
        " finished = NULL WHERE id = %s AND state IN ('failed', 'cancelled')",
        (id,),
    )


def renounce(id):
    """What a job has done is given up: should it go on, it begins anew."""
    execute("UPDATE job SET barrier = NULL, total = NULL, done = 0, failed = 0, cursor = 0 WHERE id = %s", (id,))


@as_system()
def advance():
    """Do a slice in each lane; False when there is nothing to do, or nothing that can be done now."""
    if not unfinished() or backlog(most=BUSY) >= BUSY:
        return False
    done, busy = False, None
    for lane in dict.fromkeys([INDEX, *(other.lane for other in OTHERS.values())]):
        try:
            done = _in_lane(lane) or done
        except errors.Busy as error:  # one lane's, be it for long, is not the others'
            busy = error
    if busy and not done:
        raise busy
    return done


def _in_lane(lane):
    at = []
    try:
        return retried(lambda: _advance(lane, at))
    except errors.Busy:
        raise  # the database is away, or too busy: the job waits
    except Exception as fault:
        log.exception("job %s failed", at[-1] if at else "")
        reason = f"{type(fault).__name__}: {getattr(getattr(fault, 'diag', None), 'message_primary', None) or fault}"
        execute(
            f"UPDATE job SET state = 'failed', error = %s, finished = now() WHERE id = %s AND {UNFINISHED}",
            (reason[:2000], at[-1] if at else None),
        )
        return True


def work(seconds):
    """Slices for so long at most; True when there is more to do at once."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not advance():
            return False
    return True


def _advance(lane, at):
    with atomic():
        lock = LOCK if lane == INDEX else key("job", lane)
        if not execute("SELECT pg_try_advisory_xact_lock(%s)", (lock,))[0][0]:
            return False
        found = _next(lane)
        if not found:
            return False
        job = _job(found[0])
        at.append(job.id)
        if job.barrier is None:
            _start(job)
            return True
        if not _clear(job):
            return False
        stored.learn()
        _slice(job)
        return True


def _next(lane):
    """The job of the lane whose turn it is, locked: of the index the oldest, else the one that has waited longest."""
    kinds = [kind for kind, other in OTHERS.items() if (other.lane != INDEX if lane == INDEX else other.lane == lane)]
    which = (
        "NOT kind = ANY(%s)" if lane == INDEX else f"kind = ANY(%s) AND (barrier IS NULL OR {CLEAR.format('barrier')})"
    )
    order = "id" if lane == INDEX else "heartbeat NULLS FIRST, id"
    return execute(
        f"SELECT {COLUMNS} FROM job WHERE {UNFINISHED} AND {which} ORDER BY {order} LIMIT 1 FOR UPDATE", (kinds,)
    )


# Every transaction that had a number before this one, which the database gives in order. It is not enough to ask for
# those after the latest that has ended (pg_snapshot_xmax): some that run have a higher number.
BARRIER = "pg_current_xact_id()::text::bigint"
CLEAR = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= {}"


def _start(job):
    if job.kind in OTHERS:
        total = OTHERS[job.kind].start(job)
    else:
        where, params = _scope(job)
        total = execute(f"SELECT count(*) FROM resource r WHERE TRUE{where}", params)[0][0]
    execute(
        f"UPDATE job SET state = 'running', started = now(), heartbeat = now(), total = %s, barrier = {BARRIER}"
        " WHERE id = %s",
        (total, job.id),
    )


def _clear(job):
    """Is every transaction over that began before the job? Only then does all that is indexed know the parameters."""
    return execute(f"SELECT {CLEAR.format('%s')}", (job.barrier,))[0][0]


def _scope(job):
    where, params = "", []
    if job.parameters["types"] is not None:  # and what contains one of them
        where += (
            " AND (r.type = ANY(%s) OR EXISTS (SELECT FROM contained c WHERE c.container = r.pk AND c.type = ANY(%s)))"
        )
        params += [job.parameters["types"]] * 2
    if job.parameters["resources"] is not None:
        where += " AND r.pk = ANY(%s)"
        params.append(job.parameters["resources"])
    return where, params


def _slice(job):
    if job.kind in OTHERS:
        cursor, done, failed = OTHERS[job.kind].slice(job)
        _moved(job, cursor or job.cursor, done, failed)
        if cursor is None:
            _finish(job)
        return
    where, params = _scope(job)
    last = execute("SELECT max(pk) FROM resource")[0][0] or 0
    end = last if job.parameters["resources"] is not None else min(job.cursor + WINDOW, last)
    pks = [
        pk
        for (pk,) in execute(
            f"SELECT r.pk FROM resource r WHERE r.pk > %s AND r.pk <= %s{where} ORDER BY r.pk LIMIT %s",
            (job.cursor, end, *params, SLICE),
        )
    ]
    cursor = pks[-1] if len(pks) == SLICE else end
    keys = None if job.parameters["keys"] is None else frozenset(job.parameters["keys"])
    failed = renew(pks, keys)
    if job.kind == "parameter" and job.failed + len(failed) > MOST_FAILED:
        _switch_off(job, failed)
        return
    _moved(job, cursor, len(pks), len(failed))
    if cursor >= last:
        _finish(job)


def _moved(job, cursor, done, failed):
    execute(
        "UPDATE job SET cursor = %s, done = done + %s, failed = failed + %s, heartbeat = now() WHERE id = %s",
        (cursor, done, failed, job.id),
    )


def _finish(job):
    execute("UPDATE job SET state = 'done', finished = now() WHERE id = %s", (job.id,))
    if job.kind == "parameter":
        execute(
            "UPDATE stored_parameter SET state = %s WHERE job = %s AND state = %s",
            (stored.USABLE, job.id, stored.BUILDING),
        )
        stored.moved()


def _switch_off(job, failed):
    """A parameter that fails on so many resources would keep them from being indexed at all: it goes."""
    reason = f"it cannot be evaluated on more than {MOST_FAILED} resources; the last: {next(iter(failed.values()))}"
    execute("UPDATE job SET state = 'failed', error = %s, finished = now() WHERE id = %s", (reason[:2000], job.id))
    _give_up(job)


def _give_up(job):
    gone = execute(
        "UPDATE stored_parameter SET state = %s WHERE job = %s AND state = %s RETURNING key, type",
        (stored.FAILED, job.id, stored.BUILDING),
    )
    if gone:
        stored.moved()
        keys = sorted(key for key, _ in gone)
        ask("removal", job.principal, types=sorted({type for _, type in gone}), keys=keys)
        execute("UPDATE pending SET retry_at = now() WHERE retry_at IS NOT NULL AND type = ANY(%s)",
                (job.parameters["types"],))  # fmt: skip


@as_system()
def renew(pks, keys=None):
    """Make the index rows of these resources anew, or those of some parameters; {pk: reason} of those that fail.

    Those being written or indexed now, or waiting to be, are left to the queue.
    """
    found = execute(
        "SELECT r.pk, r.type, r.patient, r.occurred, r.deleted, r.body FROM resource r WHERE r.pk = ANY(%s)"
        " AND NOT EXISTS (SELECT FROM pending p WHERE p.resource = r.pk AND p.retry_at IS NULL)"
        " AND pg_try_advisory_xact_lock(r.pk) FOR SHARE OF r SKIP LOCKED",
        (pks,),
    )
    batch = [
        Indexed(pk, type_name(type), patient, occurred, None if deleted else bytes(body))
        for pk, type, patient, occurred, deleted, body in found
    ]
    failed = index(batch, frozenset(), keys, held=True)
    here = {item.pk for item in batch}
    if left := [pk for pk in pks if pk not in here]:
        _queue(left)
    if keys is None:  # what could not be indexed before is, now
        execute(
            "DELETE FROM pending WHERE retry_at IS NOT NULL AND resource = ANY(%s)", (sorted(here - failed.keys()),)
        )
    for pk, reason in failed.items():
        _set_aside(pk, reason)
    return failed


def _queue(pks):
    """Leave resources to the indexer, unless they wait already; `attempts` says that they may have rows."""
    execute(
        "INSERT INTO pending (resource, type, patient, attempts)"
        " SELECT r.pk, r.type, CASE WHEN r.shared THEN NULL ELSE r.patient END, 1 FROM resource r"
        " WHERE r.pk = ANY(%s) AND NOT EXISTS (SELECT FROM pending p WHERE p.resource = r.pk AND p.retry_at IS NULL)",
        (pks,),
    )


def _set_aside(pk, reason):
    """A resource that cannot be indexed is seen with its reason, and tried again."""
    done = execute(
        "UPDATE pending SET attempts = attempts + 1, reason = %s WHERE resource = %s AND retry_at IS NOT NULL"
        " RETURNING seq",
        (reason[:2000], pk),
    )
    if not done:
        execute(
            "INSERT INTO pending (resource, type, patient, attempts, reason, retry_at)"
            " SELECT r.pk, r.type, CASE WHEN r.shared THEN NULL ELSE r.patient END, 1, %s,"
            " now() + make_interval(secs => %s) FROM resource r WHERE r.pk = %s",
            (reason[:2000], float(BACKOFF), pk),
        )


def _job(row):
    job = Job._make(row)
    return job._replace(parameters=json.loads(job.parameters))
