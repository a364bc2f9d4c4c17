"""Index rows of resources: replaced in batches, set-based, idempotent; the queue `pending` says for which.

A row of `pending` is committed with the write it is for and deleted with the index rows that answer it, so nothing is
lost between them. Workers take different rows (SKIP LOCKED) and never the same resource at once (advisory lock).
"""

import time
from typing import NamedTuple

import psycopg

from records.access import over_types
from records.database import ANYBODY, FIXED, Ahead, as_system, asked_by, atomic, execute, lock, together
from records.definitions.structures import RESOURCE_TYPES, type_name, type_number
from records.errors import FHIRError
from records.formats.json import parse
from records.search import parameters, stored
from records.sql import SQL, any_of

from . import contained
from .extract import CannotIndex, extract, identity, is_identity, partial
from .rows import IDENTITY, TABLES, add_identity, write

BACKOFF = 30  # seconds until a resource that cannot be indexed is tried again, doubled each time
POLL = 0.005  # seconds between two looks at what another worker has in hand
TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError)  # says nothing of the resource: all is tried again


class Indexed(NamedTuple):
    """A resource whose index rows are due; `resource` is None when it is deleted, or bytes not parsed yet."""

    pk: int
    type: str
    patient: int | None
    occurred: int
    resource: dict | bytes | None


@as_system()
def index_pending(limit=500, types=None, patient=None):
    """Index up to `limit` pending writes, perhaps only of some types or one patient; how many were settled."""
    with atomic():
        claimed = _claim(limit, types, patient)
        if not claimed:
            return 0
        stored.learn()  # after the claim: see jobs, which wait for claims made before
        rows = _current({resource for _, resource, _ in claimed})
        fresh = frozenset(pk for pk, row in rows.items() if row[1] == 1)
        retried = frozenset(resource for _, resource, attempts in claimed if attempts)
        failed = index([row[0] for row in rows.values()], fresh - retried)
        done = [seq for seq, resource, _ in claimed if resource not in failed]
        well = [resource for _, resource, _ in claimed if resource not in failed]
        execute(  # and what failed before of the resources that are indexed now
            "DELETE FROM pending WHERE seq = ANY(%s::bigint[] || ARRAY(SELECT seq FROM pending"
            " WHERE retry_at IS NOT NULL AND resource = ANY(%s) FOR UPDATE SKIP LOCKED))",
            (done, well),
        )
        for seq, resource, attempts in claimed:
            if resource in failed:
                execute(
                    "UPDATE pending SET attempts = %s, reason = %s, retry_at = now() + make_interval(secs => %s)"
                    " WHERE seq = %s",
                    (attempts + 1, failed[resource][:2000], float(BACKOFF * 2 ** min(attempts, 10)), seq),
                )
        return len(claimed)


class Waiting(NamedTuple):
    """Of what a search depends on writes wait: of these types (None: any), of one patient (None: anybody)."""

    types: tuple | None
    patient: int | None


FLOOD = 10_000  # writes: of so many it is not asked whose they are


def prepared(types, patient, budget_ms):
    """Index what is pending for a search by who is named to the database; a Waiting when not all could be, else None.

    What they may not see they cannot miss. So nothing of it is indexed for them, or told, and whether anything waits is
    asked first of nobody's record in particular: they are to feel no write to a record that is closed to them.
    """
    waits = backlog(types, most=FLOOD)
    if waits and catch_up(types, patient, budget_ms, shown=waits < FLOOD or patient is not None):
        return Waiting(None if types is None else tuple(types), patient)
    return None


def missing_since(waiting, access):
    """The moment before which every write is found, of those that a search depends on and that its actor may find.

    None when none of them waits. In the snapshot of the search: what waits in it is what it misses. In a flood the
    oldest are judged, and whoever may find none of them is told of the flood.
    """
    types = RESOURCE_TYPES if waiting.types is None else waiting.types
    blind = [type for type in types if access.by_index(type)]  # the rows that say who may see them are missing
    judged = [over_types(access, "search", [type for type in types if type not in blind])]
    if blind:
        judged.append(SQL("r.type = ANY(%s)", ([type_number(type) for type in blind],)))
    may = any_of(judged)
    where, params = _scope(waiting.types, waiting.patient)
    most = FLOOD if waiting.patient is None else None
    [(since, count, last)] = execute(
        "WITH oldest AS MATERIALIZED"
        f" (SELECT resource, since FROM pending WHERE retry_at IS NULL{where} ORDER BY seq LIMIT %s)"
        " SELECT (SELECT min(o.since) FROM oldest o JOIN resource r ON r.pk = o.resource"
        f" WHERE NOT r.deleted AND ({may.text})), count(*), max(since) FROM oldest",
        (*params, most, *may.params),
    )
    return last if since is None and count == FLOOD and most else since


def catch_up(types, patient, budget_ms, shown=False):
    """Index what is pending for these types (of this patient, when the query is bound to one) within the budget.

    How many writes remain: 0 says that a search now sees every write acknowledged before. Call it outside a
    snapshot: it waits for what other workers have in hand. `shown`: of what the database shows to who asks.
    """
    deadline, waited = time.monotonic() + budget_ms / 1000, False
    while True:
        remaining = backlog(types, patient, shown=shown)
        if not remaining or time.monotonic() >= deadline:
            if waited:
                stored.learn()  # others may have met what this process did not know of
            return remaining
        waited = True
        if not index_pending(min(200, remaining), types, patient):
            time.sleep(POLL)


def backlog(types=None, patient=None, most=10_000, shown=False):
    """How many writes wait to be indexed (counted up to `most`); those that failed wait for another reason.

    `shown`: of what the policies show to who is named, which is more than they may find and never less.
    """
    return execute(*_backlog(types, patient, most, shown))[0][0]


def waiting(types):
    """Whether writes of these types wait (None: of any), as a question that travels with the next statement."""
    with asked_by(ANYBODY):
        return Ahead(*_backlog(types, None, 1, False))


def _backlog(types, patient, most, shown):
    where, params = _scope(types, patient, "p.")
    if shown:
        where += " AND EXISTS (SELECT FROM resource r WHERE r.pk = p.resource AND NOT r.deleted OFFSET 0)"
    text = f"SELECT count(*) FROM (SELECT 1 FROM pending p WHERE p.retry_at IS NULL{where} LIMIT %s) p"
    return text, (*params, most), FIXED if shown else True


def state():
    """(writes that wait, resources that failed, age of the oldest write that waits in seconds)."""
    return execute(
        "SELECT count(*) FILTER (WHERE retry_at IS NULL), count(DISTINCT resource) FILTER (WHERE retry_at IS NOT NULL),"
        " coalesce(extract(epoch FROM now() - min(since) FILTER (WHERE retry_at IS NULL)), 0)::float8 FROM pending"
    )[0]


def replace(batch, fresh=frozenset()):
    """Replace all index rows of the resources (Indexed); those in `fresh` are known to have none."""
    gone = [item.pk for item in batch if item.pk not in fresh]
    made = [(item, extracted(item)) for item in batch if item.resource is not None]
    write(made, gone)


def index_identity(written):
    """Identifier and canonical URL rows of what the store has just written, in its own transaction."""
    changed = [w.pk for w in written if not w.created]
    if changed:
        params = sorted({p for w in written for p in _identity_params(w.type)})
        given = (changed, params)
        together([(f"DELETE FROM {table} WHERE resource = ANY(%s) AND param = ANY(%s)", given) for table in IDENTITY])
    made = [
        (Indexed(w.pk, w.type, w.patient, w.occurred, w.resource), identity(w.resource, w.type))
        for w in written
        if w.resource is not None
    ]
    add_identity(made)


def index_moved(written):
    """All rows of what was written with another clinical date than before, in the transaction of the write.

    The date is part of their keys, and a search compares it with the resource's own: while they differ, a resource
    that matches before and after would be found by neither. Who indexes an earlier version of it ends first.
    """
    moved = {w.pk: Indexed(w.pk, w.type, w.patient, w.occurred, w.resource) for w in written if w.moved}
    if moved:
        lock(*moved)
        index(list(moved.values()), frozenset())


# the queue


def _scope(types, patient, row=""):
    where, params = "", []
    if types is not None:
        where += f" AND {row}type = ANY(%s)"
        params.append([type_number(t) for t in types])
    if patient is not None:
        where += f" AND ({row}patient = %s OR {row}patient IS NULL)"  # null: of nobody, or of several
        params.append(patient)
    return where, params


def _claim(limit, types, patient):
    """(seq, resource, attempts) of pending rows that are ours now."""
    where, params = _scope(types, patient)
    found = execute(
        "WITH due AS MATERIALIZED (SELECT seq, resource, attempts FROM pending"
        f" WHERE (retry_at IS NULL OR retry_at <= now()){where} ORDER BY seq LIMIT %s FOR UPDATE SKIP LOCKED)"
        " SELECT seq, resource, attempts, pg_try_advisory_xact_lock(resource) FROM due",
        (*params, limit),
    )
    return [(seq, resource, attempts) for seq, resource, attempts, ours in found if ours]


def _current(pks):
    """pk -> (Indexed, version) of the rows as they are now; a body that is no JSON is left to fail when indexed."""
    found = execute(
        "SELECT pk, type, patient, occurred, version, deleted, body FROM resource WHERE pk = ANY(%s)",
        (sorted(pks),),
        FIXED,
    )
    return {
        pk: (Indexed(pk, type_name(type), patient, occurred, None if deleted else bytes(body)), version)
        for pk, type, patient, occurred, version, deleted, body in found
    }


def index(batch, fresh, keys=None, held=False):
    """Replace rows of a batch, or of some parameters (keys) only; `held`: nobody can write the resources meanwhile.

    {pk: reason} of those that cannot be indexed, which keep the rows they had.
    """
    failed, made = {}, []
    for item in batch:
        try:
            made.append((item, extracted(item, keys)))
        except CannotIndex as fault:
            failed[item.pk] = str(fault)
    try:
        with atomic():
            _store(made, fresh, keys, held)
    except TRANSIENT:
        raise
    except psycopg.Error as fault:
        if len(made) == 1:
            return failed | {made[0][0].pk: _reason(fault)}
        for item in made:  # one of them: find it, so that the others go through
            try:
                with atomic():
                    _store([item], frozenset(), keys, held)
            except TRANSIENT:
                raise
            except psycopg.Error as fault:
                failed[item[0].pk] = _reason(fault)
    return failed


def _reason(fault):
    """What the database said, without the values of the row."""
    return f"{type(fault).__name__}: {fault.diag.message_primary or ''}"


def extracted(item, keys=None):
    """Its index rows, or those of some parameters; None of a deleted one."""
    if item.resource is None:
        return None
    resource = item.resource if isinstance(item.resource, dict) else _tree(item)
    if resource.get("contained"):
        return contained.extracted(item, resource, keys)
    return extract(resource, item.type) if keys is None else partial(resource, item.type, keys)


def _tree(item):
    try:
        return parse(item.resource)
    except FHIRError as fault:
        raise CannotIndex(f"{item.type}: its stored body: {fault}") from fault


def _store(made, fresh, keys, held):
    gone = [item.pk for item, _ in made if item.pk not in fresh]
    if keys is not None:
        params = (gone + contained.within(gone, made), sorted(keys))
        together([(f"DELETE FROM {table} WHERE resource = ANY(%s) AND param = ANY(%s)", params) for table in TABLES])
        gone = []
    # Identity rows are written by the write alone (index_identity): an indexer that replaced them too would meet it.
    kept = frozenset() if held else frozenset().union(*(_identity_params(item.type) for item, _ in made))
    write([(item, rows) for item, rows in made if rows is not None], gone, kept)


def _identity_params(type):
    key = (type, parameters.version())
    found = _identities.get(key)
    if found is None:
        found = _identities[key] = frozenset(p.key for p in parameters.parameters(type).values() if is_identity(p))
    return found


_identities = {}
