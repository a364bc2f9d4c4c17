"""The clock over shapes of searches: right first, then warm, cold, and over HTTP."""

import time
from pathlib import Path
from random import Random
from urllib.parse import parse_qsl, quote

import psycopg

from fhirserver.embedded import Postgres, environment
from fhirserver.embedded.folder import OWNER
from fhirserver.embedded.reach import connected
from records.access import Everything
from records.database import as_system, execute, pool
from records.definitions.structures import type_number
from records.formats.json import parse as tree
from records.search import compile, results
from records.search.parse import parse

from .figures import percentile
from .making import APART, FIRST, UNIT
from .scan import scan
from .shapes import SHAPES, Known

SAMPLES = 40  # different values of a shape
PASSES = 20  # over them at most, warm: of few passes none may be undisturbed
HTTP_PASSES = 4
COLD = 16  # of them, after PostgreSQL and the page cache have forgotten everything
CHECKED = 2
ENOUGH = 6.0  # seconds of warm measuring of one shape
OVER_HTTP = (
    "a patient's Observations",
    "a patient's Observations of a code, newest 50",
    "a frequent code, newest 50",
    "Patients by identifier",
    "chain: Observations of a code by the patient's identifier",
    "_revinclude: a Patient with Encounters and Conditions",
    "all Observations, newest 50",
    "an OR of 200 codes",
)


class Wrong(AssertionError):
    """A search did not find what a sequential scan found."""


# what is there


def known():
    """What the shapes draw their values from."""
    # by their hashed identities: in no order that anything else is in
    bodies = execute(
        "SELECT body FROM resource WHERE type = %s AND NOT deleted ORDER BY identity LIMIT 1000",
        (type_number("Patient"),),
    )
    encounters = execute(
        "SELECT id FROM resource WHERE type = %s AND NOT deleted ORDER BY identity LIMIT 1000",
        (type_number("Encounter"),),
    )
    units = execute("SELECT count(*) FROM scale_made")[0][0]
    return Known([tree(bytes(body)) for (body,) in bodies], units * UNIT, FIRST, APART, [id for (id,) in encounters])


def drawn(shape, found, count, seed):
    random = Random(f"{seed} {shape.name}")
    return [shape.draw(random, found) for _ in range(count)]


# one search


def query_of(case):
    type, _, text = case.query.partition("?")
    return parse(type, parse_qsl(text), strict=True)


def answer(case, after=None):
    """The page of a case as the product's search gives it."""
    return results.run(query_of(case), Everything(), after)


def start_of(case):
    """The sort keys after which the case's page begins, or the last one there is."""
    after = None
    for _ in range(case.page - 1):
        after = answer(case, after).next or after
    return after


def timed(case, after):
    began = time.perf_counter()
    found = answer(case, after)
    return time.perf_counter() - began, len(found.rows)


# right


def check(cases, connection, say=print):
    """Compare the cases with a sequential scan; how many resources they found in all, or Wrong."""
    hits, wrong = 0, []
    for case, found in zip(cases, scan(cases, connection, say), strict=True):
        hits += found.total
        for said in differing(case, found):
            say(said)
            wrong.append(said)
    if wrong:
        raise Wrong("\n".join(wrong))
    return hits


def differing(case, found):
    """What the search of a case says otherwise than a scan."""
    query = query_of(case)
    total = results.total(query, Everything())
    if total != found.total:
        yield f"{case.query}: {total} in all, a scan finds {found.total}"
    if case.count or (case.page > 1 and not found.page):
        return  # it has no such page
    given = results.run(query, Everything(), start_of(case))
    ids = [row.id for row in given.rows]
    if ids != found.page[: query.count]:
        yield f"{case.query}: page {ids}, a scan finds {found.page}"
    beside = {f"{row.type}/{row.id}" for row in given.included}
    if beside != found.beside:
        yield f"{case.query}: along came {sorted(beside ^ found.beside)[:10]} too many or too few"


# fast


def figures(seconds, rows):
    ordered = sorted(seconds)
    return {
        "p50_ms": round(percentile(ordered, 50) * 1000, 3),
        "p95_ms": round(percentile(ordered, 95) * 1000, 3),
        "samples": len(ordered),
        "rows": round(sum(rows) / len(rows), 1),
    }


def warm(shape, found):
    """Figures of a shape whose pages are in memory: all samples once before the clock runs.

    Of a sample the quickest pass counts, as other work on the machine only adds; `every_p95_ms` is over all passes.
    """
    cases = [(case, start_of(case)) for case in drawn(shape, found, SAMPLES, "warm")]
    began = time.monotonic()
    for case in cases:
        timed(*case)
        if time.monotonic() - began > ENOUGH:
            break
    every, rows, best = [], [], {}
    began = time.monotonic()
    for _ in range(PASSES):
        for case, after in cases:
            taken, count = timed(case, after)
            every.append(taken)
            rows.append(count)
            best[case.query] = min(taken, best.get(case.query, taken))
        if time.monotonic() - began > ENOUGH:
            break
    slowest = max(best, key=best.get)
    raw = figures(every, rows)
    return raw | figures(best.values(), rows) | {"every_p95_ms": raw["p95_ms"], "slowest": slowest}


def cold(shape, found, restart):
    """Figures of the first searches after a restart with an empty page cache."""
    cases = [(case, start_of(case)) for case in drawn(shape, found, COLD, "cold")]
    restart()
    execute("SELECT 1")
    seconds, rows = zip(*(timed(*case) for case in cases), strict=True)
    return figures(seconds, rows) | {"first_ms": round(seconds[0] * 1000, 3)}


def plan(text):
    """EXPLAIN ANALYZE of a query of a page, as text."""
    type, _, rest = text.partition("?")
    query = parse(type, parse_qsl(rest), strict=True)
    statement = compile.count(query, Everything()) if query.summary == "count" else compile.page(query, Everything())
    explained = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + statement.text
    return "\n".join(line for (line,) in execute(explained, statement.params, False))


def over_http(folder, found):
    """Figures of some shapes as a client sees them, tokens and audit on."""
    from . import peers
    from .connection import Connection

    measured = {}
    with peers.ours(Path(folder.path)) as target:
        connection = Connection(target)
        for name in OVER_HTTP:
            requests = [
                target.encode("GET", "/" + quote(case.query, safe="?=&:/,|$_-.~"))
                for case in drawn(SHAPES[name], found, SAMPLES, "warm")
            ]
            seconds = []
            for turn in range(HTTP_PASSES + 1):
                for request in requests:
                    began = time.perf_counter()
                    said = connection.ask(request)
                    if turn:
                        seconds.append(time.perf_counter() - began)
                    if said.status != 200:
                        raise Wrong(f"{name}: {said.status} {said.body[:300]!r}")
            measured[name] = figures(seconds, [0])
    return measured


# the disk


def disk(connection):
    """Bytes of each table and index, largest first."""
    found = connection.execute(
        "SELECT t.relname, i.relname, pg_relation_size(coalesce(i.oid, t.oid)) FROM pg_class t"
        " LEFT JOIN pg_index x ON x.indrelid = t.oid LEFT JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT t.relname, NULL, pg_table_size(t.oid) FROM pg_class t"
        " WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace"
        "   AND EXISTS (SELECT 1 FROM pg_index WHERE indrelid = t.oid)"
    ).fetchall()
    return sorted(((t, i, size) for t, i, size in found if size > 100_000), key=lambda row: -row[2])


# all of it


def measure(folder, say, names=None, chilled=True):
    """Every shape on the folder as it is; plain data."""
    chosen = [shape for name, shape in SHAPES.items() if not names or any(n in name for n in names)]
    postgres = Postgres(folder, say=say).start()

    def restart():
        postgres.stop()
        pool.reset()
        with open("/proc/sys/vm/drop_caches", "w") as drop:
            drop.write("3")
        postgres.start()

    try:
        with connected(environment(folder.path)), as_system():
            found = known()
            with psycopg.connect(folder.url(OWNER), autocommit=True) as connection:
                resources = connection.execute("SELECT count(*) FROM resource").fetchone()[0]
                types = dict(
                    connection.execute("SELECT type, count(*) FROM resource GROUP BY 1 ORDER BY 2 DESC").fetchall()
                )
                say(f"{resources:,} resources, {found.people:,} people")
                sizes = disk(connection)
            measured = {}
            for shape in chosen:
                measured[shape.name] = {"bound": shape.bound, "warm": warm(shape, found)}
                say(line(shape.name, measured[shape.name]["warm"]))
                if not shape.bound:
                    measured[shape.name]["plan"] = plan(measured[shape.name]["warm"]["slowest"])
            if chilled:
                for shape in chosen:
                    measured[shape.name]["cold"] = cold(shape, found, restart)
                    say(line("cold " + shape.name, measured[shape.name]["cold"]))
    finally:
        pool.reset()
        postgres.stop()
    return {
        "resources": resources,
        "people": found.people,
        "types": types,
        "shapes": measured,
        "disk": sizes,
    }, found


def compare(folder, say, names=None):
    """Some samples of every shape against a sequential scan; plain data."""
    chosen = [shape for name, shape in SHAPES.items() if not names or any(n in name for n in names)]
    try:
        with Postgres(folder, say=say), connected(environment(folder.path)), as_system():
            found = known()
            cases = [case for shape in chosen for case in drawn(shape, found, CHECKED, "check")]
            began = time.monotonic()
            with psycopg.connect(folder.url(OWNER), autocommit=True) as connection:
                hits = check(cases, connection, say)
            say(f"{len(cases)} searches are right, {hits:,} hits, {time.monotonic() - began:.0f} s")
    finally:
        pool.reset()
    return {"searches": len(cases), "hits": hits}


def line(name, said):
    return f"{said['p50_ms']:10.2f} {said['p95_ms']:10.2f} ms  {said['rows']:6.1f} rows  {name}"
