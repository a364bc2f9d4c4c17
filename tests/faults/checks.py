"""What must be true after every fault: acknowledged writes whole, unknown ones whole or absent, index without drift."""

import json
from collections import Counter

from records.definitions.structures import type_name
from records.formats.json import parse
from records.indexing.extract import extract
from records.keys import identity
from tests.faults.client import SYSTEM

GAPS = (
    "SELECT r.pk FROM resource r LEFT JOIN (SELECT resource, min(version), max(version), count(*) FROM version"
    " GROUP BY resource) v ON v.resource = r.pk"
    " WHERE v.min IS DISTINCT FROM 1 OR v.max IS DISTINCT FROM r.version OR v.count IS DISTINCT FROM r.version"
)
ORPHANS = "SELECT count(*) FROM version v WHERE NOT EXISTS (SELECT FROM resource r WHERE r.pk = v.resource)"
DIFFERENT = (
    "SELECT count(*) FROM resource r JOIN version v ON v.resource = r.pk AND v.version = r.version"
    " WHERE r.body IS DISTINCT FROM v.body OR r.updated <> v.updated OR r.deleted <> (v.body IS NULL)"
)
BROKEN = "SELECT count(*) FROM version WHERE body IS NOT NULL AND sha256(body) IS DISTINCT FROM sha256"
COMPARTMENTS = (
    "SELECT count(*) FROM resource r WHERE NOT r.deleted AND r.shared <>"
    " ((SELECT count(*) FROM compartment c WHERE c.resource = r.pk) > 1)"
)
BACKWARDS = (
    "SELECT count(*) FROM version a JOIN version b ON b.resource = a.resource AND b.version = a.version + 1"
    " WHERE b.updated <= a.updated"
)
WRITES = ("create", "update", "patch", "delete", "transaction")


def whole(server):
    """The tables agree with each other: versions gapless, bodies and digests equal, compartments, audit."""
    with server.session() as session:
        one = lambda statement: session.execute(statement).fetchone()[0]  # noqa: E731
        assert session.execute(GAPS).fetchall() == [], "versions have gaps"
        for name, statement in (("versions without a resource", ORPHANS), ("current body is not the last version's",
                                DIFFERENT), ("digest", BROKEN), ("compartments", COMPARTMENTS),
                                ("time went back", BACKWARDS)):  # fmt: skip
            assert one(statement) == 0, name
        audited(session)


def audited(session):
    """Each version is named by one audit record of a writing interaction, and each such record by a version."""
    versions = Counter()
    for type, id, count in session.execute(
        "SELECT r.type, r.id, count(*) FROM version v JOIN resource r ON r.pk = v.resource GROUP BY r.type, r.id"
    ):
        versions[f"{type_name(type)}/{id}"] = count
    records = Counter()
    for (entities,) in session.execute(
        "SELECT a.entities FROM audit a WHERE a.interaction = ANY(%s) AND a.status < 300", [list(WRITES)]
    ):
        records.update(entities.split())
    for reference, count in versions.items():
        assert records[reference] >= count, f"{reference}: {count} versions, {records[reference]} audit records"
    unknown = set(records) - set(versions)
    assert not unknown, f"audit records of what does not exist: {sorted(unknown)[:3]}"


def markers(server):
    """marker -> how many versions carry it, and (type, id, version) -> marker."""
    counts, places = Counter(), {}
    for type, id, version, body in server.ask(
        "SELECT r.type, r.id, v.version, v.body FROM version v JOIN resource r ON r.pk = v.resource"
        " WHERE v.body IS NOT NULL AND position(%s::bytea IN v.body) > 0",
        SYSTEM.encode(),
    ):
        mark = json.loads(bytes(body))["identifier"][0]["value"]
        counts[mark] += 1
        places[type_name(type), id, version] = mark
    return counts, places


def kept(server, log):
    """Every acknowledged write is there, every other one whole or absent."""
    counts, places = markers(server)
    for told in log:
        if told.acknowledged:
            assert counts[told.mark] == told.versions, f"acknowledged, and {counts[told.mark]} of {told.versions} kept"
            for place in told.stored:
                assert places[place] == told.mark, f"{place} is another write's"
        else:
            assert counts[told.mark] in (0, told.versions), f"half of it: {counts[told.mark]} of {told.versions}"
            assert told.status in (0, 409, 429, 503), told
    lost = [told for told in log if told.acknowledged and not counts[told.mark]]
    assert not lost


def no_drift(server):
    """The rows of the index are those that the resources give (F43), once the queue is empty by itself."""
    server.drained()
    with server.session() as session:
        rows = {"token": {}, "reference": {}, "uri": {}}
        for table, columns in (("token", "key, param"), ("reference", "param, target"), ("uri", "param, value")):
            for pk, *values in session.execute(f"SELECT resource, {columns} FROM {table}"):
                rows[table].setdefault(pk, set()).add(tuple(values))
        counts = {
            table: dict(session.execute(f"SELECT resource, count(*) FROM {table} GROUP BY resource").fetchall())
            for table in ("date", "string")
        }
        resources = session.execute("SELECT pk, type, deleted, body FROM resource").fetchall()
    for pk, type, deleted, body in resources:
        made = None if deleted else extract(parse(bytes(body)), type_name(type))
        for table, found in rows.items():
            expected = {tuple(row) for row in getattr(made, table)} if made else set()
            if table == "token":
                expected = {tuple(row[:2]) for row in expected}
            assert found.get(pk, set()) == expected, f"{table} of {type_name(type)} {pk}"
        for table, found in counts.items():
            assert found.get(pk, 0) == (len(getattr(made, table)) if made else 0), f"{table} of {pk}"


def everything(server, log=()):
    """All of it, after a fault."""
    kept(server, log)
    whole(server)
    no_drift(server)


def absent(server, mark):
    """Nothing of it in any table."""
    counts, _ = markers(server)
    assert counts[mark] == 0
    assert server.value("SELECT count(*) FROM replay WHERE position(%s::bytea IN body) > 0", mark.encode()) == 0


__all__ = ["absent", "everything", "identity", "kept", "markers", "no_drift", "whole"]
