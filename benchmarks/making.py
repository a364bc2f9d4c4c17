"""A large population straight into the tables of an own data folder, in rows that the product's own functions make.

The synthetic people, their resources as the store writes them and their index rows as the indexer writes them, a few
dozen people in one transaction; without the interaction, its checks and the queue. What only slows the making down is
off meanwhile: syncing, secondary indexes, autovacuum. It begins where it stopped.
"""

import contextlib
import time
import uuid
from datetime import UTC, datetime, timedelta

import psycopg

from fhirserver.embedded import Postgres, environment
from fhirserver.embedded.folder import OWNER, SUPERUSER
from fhirserver.embedded.reach import connected
from records.database import as_system, atomic, execute, lock
from records.keys import identity, key
from records.loading.processes import Pool

UNIT = 48  # people in a transaction
FIRST = datetime(2024, 1, 1, tzinfo=UTC)  # when the first person was written
APART = timedelta(minutes=15)  # between two people
OPTIONS = {  # of PostgreSQL while it takes the rows in
    "shared_buffers": "2GB",
    "max_wal_size": "32GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
TABLES = ("resource", "version", "compartment", "token", "reference", "date", "string", "uri", "quantity", "composite",
          "fulltext", "position")  # fmt: skip
NEEDED = {"resource_pkey", "resource_identity_key"}  # kept while rows come: what is shared is looked for
SHARED = key("benchmarks", "shared")


def grow(folder, people, processes, say):
    """Bring the folder to so many people; (people, resources) that are there then."""
    with loosened(folder), Postgres(folder, fsync=False, say=say), connected(environment(folder.path)):
        _migrated()
        with psycopg.connect(folder.url(OWNER), autocommit=True) as owner:
            prepare(owner)
            todo = [start for start in range(0, people, UNIT) if start not in done(owner)]
            if todo:
                drop_indexes(owner)
        if todo:
            fill(todo, processes, say)
        with psycopg.connect(folder.url(OWNER), autocommit=True) as owner:
            make_indexes(owner, say)
            owner.execute("VACUUM (ANALYZE)")
            found = owner.execute("SELECT count(*), coalesce(sum(resources), 0) FROM scale_made").fetchone()
        with psycopg.connect(folder.url(SUPERUSER), autocommit=True) as owner:
            owner.execute("CHECKPOINT")
    return found[0] * UNIT, int(found[1])


def migrate(folder, say):
    """Bring the tables of a folder to this version."""
    with Postgres(folder, say=say), connected(environment(folder.path)):
        _migrated()


def _migrated():
    from django.core.management import call_command

    call_command("migrate", database="owner", verbosity=0, interactive=False)


def fill(todo, processes, say):
    """Make the units, several at once, and tell how fast it goes."""
    began = told = time.monotonic()
    resources = 0
    with Pool(processes, make) as pool:
        for n, count in enumerate(pool.map(todo), 1):
            resources += count
            now = time.monotonic()
            if now - told > 10 or n == len(todo):
                told = now
                rate = resources / (now - began)
                left = (len(todo) - n) * (now - began) / n
                say(f"{n}/{len(todo)} units, {resources:,} resources, {rate:,.0f} a second, {left:.0f} s to go")


# the tables


def prepare(owner):
    """The ledger of what is made, for the application role to write."""
    owner.execute("CREATE TABLE IF NOT EXISTS scale_made (start integer PRIMARY KEY, resources integer NOT NULL)")
    owner.execute("CREATE TABLE IF NOT EXISTS scale_index (definition text PRIMARY KEY, place text NOT NULL)")
    owner.execute("GRANT ALL ON scale_made TO fhirserver_app")


def done(owner):
    """First numbers of the units that are there."""
    return {start for (start,) in owner.execute("SELECT start FROM scale_made")}


def drop_indexes(owner):
    """Take the secondary indexes away, and keep how to make them again."""
    with owner.transaction():
        found = owner.execute(
            "SELECT t.relname, i.relname, pg_get_indexdef(i.oid), c.conname, pg_get_constraintdef(c.oid)"
            " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
            " LEFT JOIN pg_constraint c ON c.conindid = i.oid"
            " WHERE t.relname = ANY(%s) AND t.relnamespace = 'public'::regnamespace",
            [list(TABLES)],
        ).fetchall()
        for table, index, definition, constraint, said in found:
            if index in NEEDED:
                continue
            if constraint:
                definition = f'ALTER TABLE "{table}" ADD CONSTRAINT "{constraint}" {said}'
                owner.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{constraint}"')
            else:
                owner.execute(f'DROP INDEX "{index}"')
            owner.execute("INSERT INTO scale_index VALUES (%s, %s)", [definition, table])


def make_indexes(owner, say):
    """The indexes that were taken away."""
    owner.execute("SET maintenance_work_mem = '1GB'")
    owner.execute("SET max_parallel_maintenance_workers = 1")
    for definition, table in owner.execute("SELECT definition, place FROM scale_index ORDER BY place").fetchall():
        began = time.monotonic()
        with owner.transaction():
            owner.execute(definition)
            owner.execute("DELETE FROM scale_index WHERE definition = %s", [definition])
        say(f"index of {table}: {time.monotonic() - began:.0f} s")


# the rows


_known = set()  # shared resources that this process knows to be there


def forget():
    """Another database: nothing is known of it."""
    _known.clear()


@as_system()
def make(start):
    """The people of a unit, in one transaction; how many resources."""
    from records.population import people

    bundles = list(people(UNIT, start=start, method="PUT"))
    shared, mine = {}, []
    for n, bundle in enumerate(bundles):
        own, common = resolved(bundle)
        shared |= {who: (FIRST, resource) for who, resource in common.items()}
        begun = FIRST + (start + n) * APART
        mine += [(begun + timedelta(milliseconds=at), resource) for at, resource in enumerate(own)]
    count = share(shared)
    with atomic():
        execute("SET LOCAL synchronous_commit = off")
        store(mine)
        execute("INSERT INTO scale_made VALUES (%s, %s)", (start, count + len(mine)))
    return count + len(mine)


def resolved(bundle):
    """(resources of the person, shared ones by (type, id)) of a transaction, references resolved."""
    from records.resources.references import resolve

    full_urls, own, common = {}, [], {}
    for entry in bundle["entry"]:
        resource, type = entry["resource"], entry["resource"]["resourceType"]
        if "ifNoneExist" in entry["request"]:
            id = str(uuid.uuid5(uuid.NAMESPACE_URL, entry["request"]["ifNoneExist"]))
            resource = common[type, id] = {"resourceType": type, "id": id} | resource
        else:
            id = resource["id"]
            own.append(resource)
        full_urls[entry["fullUrl"]] = f"{type}/{id}"
    resolve([(resource, "Bundle") for resource in (*own, *common.values())], full_urls, None)
    return own, common


def share(resources):
    """Write those of the shared resources that nobody has written; how many."""
    fresh = {who: said for who, said in resources.items() if who not in _known}
    if not fresh:
        return 0
    with atomic():
        lock(SHARED)
        wanted = {identity(*who): said for who, said in fresh.items()}
        there = {row[0] for row in execute("SELECT identity FROM resource WHERE identity = ANY(%s)", (list(wanted),))}
        missing = [said for key, said in wanted.items() if key not in there]
        store(missing)
    _known.update(fresh)
    return len(missing)


def store(timed):
    """Rows and index rows of new resources, each written at its own moment."""
    from records.access import Everything
    from records.indexing.index import Indexed, replace
    from records.resources.store import Rows, Write, one

    if not timed:
        return
    drawn = execute("SELECT nextval('resource_pk_seq') FROM generate_series(1, %s)", (len(timed),))
    pks, rows, access = iter([pk for (pk,) in drawn]), Rows(), Everything()
    written = [
        one(Write("PUT", resource["resourceType"], resource["id"], resource), access, moment, pks, rows)
        for moment, resource in timed
    ]
    rows.pending.clear()
    rows.insert()
    batch = [Indexed(w.pk, w.type, w.patient, w.occurred, w.resource) for w in written]
    replace(batch, frozenset(w.pk for w in written))


# the folder


@contextlib.contextmanager
def loosened(folder):
    """postgres.conf of the folder says OPTIONS meanwhile."""
    conf = folder.path / "postgres.conf"
    conf.write_text("".join(f"{name} = {value}\n" for name, value in OPTIONS.items()))
    try:
        yield
    finally:
        conf.unlink(missing_ok=True)
