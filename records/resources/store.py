"""The only writer of resources: versions, current rows, compartments, the indexer's queue - all in one transaction.

A caller locks the rows it will change (`lock`), plans Writes, and calls `write` once with all of them, so that a
transaction Bundle of thousands of entries is a handful of statements. Bodies are bytes: what a read returns.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from ..database import FIXED, Ahead, as_system, execute, insert
from ..definitions.structures import type_number
from ..formats.json import dump
from ..keys import identity
from ..signals import resources_written
from ..sql import TRUE
from . import attached, classes, labels, naming
from .compartments import patients_of
from .models import NO_DATE
from .occurred import occurred

METHODS = {"POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4}
METHOD_NAMES = {number: name for name, number in METHODS.items()}
MILLISECOND = timedelta(milliseconds=1)


class Row(NamedTuple):
    """A current row, as far as writing needs it; `visible` is the caller's access to it."""

    pk: int
    type: int
    id: str
    version: int
    updated: datetime
    deleted: bool
    body: bytes | None
    patient: int | None
    shared: bool
    occurred: int
    labels: int
    category: int | None
    author: int | None
    organization: int | None
    visible: bool


@dataclass(slots=True)
class Write:
    """One planned change: a new state (`resource`) or a deletion (None) of `type`/`id`."""

    method: str
    type: str
    id: str | None  # None: the store gives one
    resource: dict | None
    current: Row | None = None
    base: str = ""  # our own base URL: absolute references below it are local


class Written(NamedTuple):
    """What became of a Write; `changed` is false for an update that said nothing new."""

    pk: int
    type: str
    id: str
    version: int
    updated: datetime
    method: str
    patient: int | None
    shared: bool
    occurred: int
    resource: dict | None
    body: bytes | None
    changed: bool
    created: bool
    moved: bool = False  # to another clinical date than the version before
    risen: int = 0  # labels that it has of its parts

    @property
    def alone(self):
        """The patient, of one alone."""
        return None if self.shared else self.patient


def instant(moment):
    """FHIR instant of a datetime in UTC, with milliseconds."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def new_id():
    """A random id: nobody can guess one that is hidden."""
    return str(uuid.uuid4())


def lock(references, access, code, wait=True):
    """Current rows of (type, id) pairs, locked against other writers until the transaction ends.

    Locks are taken in one order for everybody. Rows that the access hides come with `visible` false, and so do those
    that the database does not show to who asks; a caller answers for them exactly as for an absent row. Without `wait`
    a row that another has is an error: see `hold`.
    """
    found = {}
    by_type = {}
    for type, id in references:
        by_type.setdefault(type, []).append(id)
    predicates = {type: access.resources(code, type) for type in sorted(by_type)}
    wanted = sorted(identity(type, id) for type, ids in by_type.items() for id in ids)
    if not wanted:
        return found
    case, params = "TRUE", ()
    if any(p != TRUE for p in predicates.values()):
        arms = " ".join(f"WHEN {type_number(type)} THEN ({p.text})" for type, p in predicates.items())
        case, params = f"CASE r.type {arms} ELSE FALSE END", sum((p.params for p in predicates.values()), ())
    with as_system():
        locked = Ahead(
            "SELECT r.pk, r.type, r.id, r.version, r.updated, r.deleted, r.body, r.patient, r.shared, r.occurred,"
            f" r.labels, r.category, r.author, r.organization, coalesce({case}, FALSE) FROM resource r"
            f" WHERE r.identity = ANY(%s) ORDER BY r.identity FOR NO KEY UPDATE OF r{'' if wait else ' NOWAIT'}",
            (*params, wanted),
            FIXED,
        )
    asked = "SELECT r.pk FROM resource r WHERE r.identity = ANY(%s)"
    shown = {pk for (pk,) in execute(asked, (wanted,), FIXED)}
    numbers = {type_number(type): type for type in by_type}
    for row in map(Row._make, locked.rows()):
        found[numbers[row.type], row.id] = row if row.pk in shown else row._replace(visible=False)
    return found


@as_system()
def hold(references):
    """Lock the current rows of (type, id) pairs, in the order in which everybody does. (fault F12)

    While it waits, rows may come that it does not see. To wait for one of those would be out of order, and a deadlock
    with who waits in order: so `lock` follows and does not wait, and the interaction begins anew.
    """
    execute(
        "SELECT FROM resource r WHERE r.identity = ANY(%s) ORDER BY r.identity FOR NO KEY UPDATE OF r",
        (sorted(identity(type, id) for type, id in references),),
    )


def present(references, access):
    """Those of the (type, id) pairs that are there and that the access may refer to."""
    found = set()
    by_type = {}
    for type, id in references:
        by_type.setdefault(type, []).append(id)
    for type, ids in by_type.items():
        predicate = access.resources("resolve", type)
        rows = execute(
            f"SELECT r.id FROM resource r WHERE r.identity = ANY(%s) AND NOT r.deleted AND ({predicate.text})",
            ([identity(type, id) for id in ids], *predicate.params),
        )
        found |= {(type, id) for (id,) in rows}
    return found


def stamped(resource, id, version, updated):
    """The resource with the three values the server owns; every other key stays where the client put it."""
    meta = dict(resource.get("meta") or {})
    meta["versionId"] = str(version)
    meta["lastUpdated"] = instant(updated)
    if "id" in resource and "meta" in resource:
        return {**resource, "id": id, "meta": meta}
    found = {}
    for key, value in resource.items():
        if key == "resourceType":
            found |= {"resourceType": value, "id": id, "meta": meta}
        elif key not in ("id", "meta"):
            found[key] = value
    return found


def same(resource, row):
    """Does the row already say this?"""
    return not row.deleted and dump(stamped(resource, row.id, row.version, row.updated)) == bytes(row.body)


RESOURCE_COLUMNS = ("pk", "type", "id", "identity", "version", "updated", "deleted", "body", "occurred", "patient",
                    "shared", "labels", "category", "author", "organization")  # fmt: skip
RESOURCE_TYPES = ("int8", "int2", "varchar", "int8", "int4", "timestamptz", "bool", "bytea", "int8", "int8",
                  "bool", "int8", "int2", "int8", "int8")  # fmt: skip
VERSION_COLUMNS = ("resource", "version", "type", "method", "updated", "body", "sha256", "patient", "shared", "labels",
                   "category", "author", "organization")  # fmt: skip
VERSION_TYPES = ("int8", "int4", "int2", "int2", "timestamptz", "bytea", "bytea", "int8", "bool", "int8",
                 "int2", "int8", "int8")  # fmt: skip


@dataclass(slots=True)
class Rows:
    """What one set of writes puts into the tables."""

    new: list = field(default_factory=list)
    changed: list = field(default_factory=list)
    versions: list = field(default_factory=list)
    members: list = field(default_factory=list)
    members_gone: list = field(default_factory=list)
    attached: list = field(default_factory=list)
    naming: list = field(default_factory=list)
    parts: list = field(default_factory=list)
    parts_gone: list = field(default_factory=list)
    raised: dict = field(default_factory=dict)
    pending: list = field(default_factory=list)

    @as_system()
    def insert(self):
        insert("resource", RESOURCE_COLUMNS, RESOURCE_TYPES, self.new)
        update(self.changed)
        insert("version", VERSION_COLUMNS, VERSION_TYPES, self.versions)
        if self.members_gone:
            execute("DELETE FROM compartment WHERE resource = ANY(%s)", (self.members_gone,))
        insert("compartment", ("patient", "resource"), ("int8", "int8"), self.members)
        attached.keep(self.attached)
        naming.keep(self.naming)
        labels.keep_parts(self.parts_gone, self.parts)
        labels.raise_wholes(self.raised)
        insert("pending", ("resource", "type", "patient"), ("int8", "int2", "int8"), self.pending)


def write(writes, access):
    """Store the writes as one; a list of Written in the same order.

    Sends `resources_written` once. The caller holds a transaction, and the locks of the rows in `current`.

    The transaction has its number before it reads the clock: so whoever takes a later number after a moment has passed,
    and waits until all earlier ones are over, has seen every write up to that moment. (indexing/jobs.py; fault F32)
    """
    now, pks = execute(
        "WITH begun AS MATERIALIZED (SELECT pg_current_xact_id())"
        " SELECT date_trunc('milliseconds', clock_timestamp()),"
        " ARRAY(SELECT nextval('resource_pk_seq') FROM generate_series(1, %s)) FROM begun",
        (sum(w.current is None for w in writes),),
    )[0]
    pks, rows, (risen, parts) = iter(pks), Rows(), labels.above(writes, access)
    done = [one(w, access, now, pks, rows, risen.get(n, 0), parts.get(n, ())) for n, w in enumerate(writes)]
    rows.insert()
    changed = [d for d in done if d.changed]
    if changed:
        resources_written.send(sender=None, batch=changed, access=access)
    return done


def one(w, access, now, pks, rows, risen=0, parts=()):
    """The Written of one write, its rows added to `rows`; none when it says nothing new."""
    row = w.current
    resource = labels.labelled(w.resource, w.type, risen) if w.resource is not None else None
    if row is not None and resource is not None and same(resource, row):
        return Written(row.pk, w.type, row.id, row.version, row.updated, w.method, row.patient, row.shared,
                       row.occurred, resource, bytes(row.body), changed=False, created=False)  # fmt: skip
    if row is None:
        pk, id, version, updated = next(pks), w.id or new_id(), 1, now
        author, organization = access.author, access.organization
    else:
        pk, id, version, updated = row.pk, row.id, row.version + 1, later(now, row.updated)
        author, organization = row.author, row.organization
    if resource is None:
        body, digest, patient, shared, when, bits = None, None, row.patient, row.shared, row.occurred, row.labels
        category = row.category
    else:
        resource = stamped(resource, id, version, updated)
        body = dump(resource)
        digest = sha256(body).digest()
        patients = patients_of(resource, w.type, id, w.base)
        patient, shared = (patients[0] if patients else None), len(patients) > 1
        when, bits = occurred(resource, w.type), labels.bits(resource)
        category = classes.category(resource, w.type)
        if row is not None and row.shared:
            rows.members_gone.append(pk)
        if shared:
            rows.members += [(p, pk) for p in patients]
        rows.attached += [
            (binary, p, pk, type_number(w.type), author, updated)
            for binary in (attached.named(body) if w.type != "Binary" else ())
            for p in patients
        ]
        if w.type in naming.NAMING:
            rows.naming += [(pk, *each, updated) for each in naming.named(resource, w.base)]
        if row is not None and w.type in labels.PARTS:
            rows.parts_gone.append(pk)
        rows.parts += [(identity(*part), pk) for part in parts]
        if bits & ~(row.labels if row is not None and not row.deleted else 0):
            rows.raised[identity(w.type, id)] = bits
    number = type_number(w.type)
    right = (patient, shared, bits, category, author, organization)
    state = (version, updated, resource is None, body, when, *right)
    if row is None:
        rows.new.append((pk, number, id, identity(w.type, id), *state))
    else:
        rows.changed.append((pk, *state))
    rows.versions.append((pk, version, number, METHODS[w.method], updated, body, digest, *right))
    # Of one patient alone, before and after: then a search for another patient need not wait for it.
    alone = not shared and (row is None or (not row.shared and row.patient == patient))
    rows.pending.append((pk, number, patient if alone else None))
    return Written(pk, w.type, id, version, updated, w.method, patient, shared, when, resource, body, changed=True,
                   created=row is None or row.deleted,
                   moved=row is not None and row.occurred != when, risen=risen)  # fmt: skip


def later(now, before):
    """A moment that is after `before`, whatever the clock did."""
    return max(now, before + MILLISECOND)


def update(rows):
    """Replace the state of existing rows, in one statement."""
    if not rows:
        return
    columns = ("version", "updated", "deleted", "body", "occurred", *RESOURCE_COLUMNS[9:])
    types = ("int8", "int4", "timestamptz", "bool", "bytea", "int8", *RESOURCE_TYPES[9:])
    arrays = ", ".join(f"%s::{t}[]" for t in types)
    execute(
        f"UPDATE resource r SET {', '.join(f'{c} = n.{c}' for c in columns)}"
        f" FROM unnest({arrays}) AS n(pk, {', '.join(columns)}) WHERE r.pk = n.pk",
        tuple(list(column) for column in zip(*rows, strict=True)),
        FIXED,
    )


def hidden_after(done, access, code_of):
    """Those of the written rows that the writer may not have written: (Written, ...) outside access.resources.

    The same predicate as for reading decides, on the rows as they are now; the caller rolls back when there are any.
    """
    refused = []
    groups = {}
    for d in done:
        groups.setdefault((code_of(d), d.type), []).append(d)
    for (code, type), group in groups.items():
        predicate = access.resources(code, type)
        if predicate == TRUE:
            continue
        allowed = {
            pk
            for (pk,) in execute(
                f"SELECT r.pk FROM resource r WHERE r.pk = ANY(%s) AND ({predicate.text})",
                ([d.pk for d in group], *predicate.params),
                FIXED,
            )
        }
        refused += [d for d in group if d.pk not in allowed]
    return refused


__all__ = ["METHODS", "NO_DATE", "Row", "Write", "Written", "hidden_after", "instant", "lock", "write"]
