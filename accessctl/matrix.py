"""The authorisation matrix, profession x class of data: accessctl/data/matrix-fr.json, default deny.

A cell of a type of document beats the cell of its class. The file's version is loaded beside the earlier ones, and
ends them, when the database is migrated; what has no cell is refused.
"""

import json
from datetime import UTC, datetime
from functools import cache

from django.db import connections

from records.database import execute
from records.keys import key
from records.resources.classes import classes

from .pieces import dated
from .policy import DATA

MOST = 20_000  # cells of a version that is brought
PROVENANCES = ("confirmed", "assumed")
DOCUMENTS = ("DocumentReference", "Composition")
CLASS_SYSTEM = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
UNKNOWN = 0  # the class of a document whose type nobody knows


@cache
def data():
    return json.loads((DATA / "matrix-fr.json").read_text())


@cache
def by_code():
    """(system, code) of a document's type or class -> number."""
    found = {(CLASS_SYSTEM, str(each["number"])): each["number"] for each in data()["classes"]}
    return found | {(d["system"], code): d["number"] for d in data()["documents"] for code in d["codes"]}


def default(type):
    """The class of a type whose rows do not say theirs; None for a type that is nobody's."""
    return data()["types"].get(type)


@classes
def of_document(resource, type):
    """The number of a document's type, else of its class."""
    if type not in DOCUMENTS:
        return None
    concepts = [resource.get("type") or {}, *(resource.get("category") or ())]
    for concept in concepts:
        for coding in concept.get("coding") or ():
            number = by_code().get((coding.get("system"), coding.get("code")))
            if number is not None:
                return number
    return UNKNOWN


class InvalidMatrix(ValueError):
    """It cannot be put in force; the sentence says why."""


def cells(given=None):
    """(profession, category, permit, provenance) for every class and every type of document that has an answer."""
    told = {(c["profession"], c["category"]): c for c in given or data()["cells"]}
    for profession in sorted({p for p, _ in told}):
        for number, above in every_category():
            cell = told.get((profession, number)) or told.get((profession, above))
            if cell:
                yield profession, number, cell["permit"], cell["provenance"]


def every_category():
    """(number, the class that answers for it)."""
    yield from ((c["number"], c["number"]) for c in data()["classes"])
    yield from ((d["number"], d["class"]) for d in data()["documents"])


def names():
    """number -> what people call the class or the type of document."""
    return {
        each["number"]: each.get("display") or str(each["number"])
        for each in (*data()["classes"], *data()["documents"])
    }


def kept(version):
    """(profession, category) -> (permit, provenance) of a version."""
    rows = execute("SELECT profession, category, permit, provenance FROM matrix WHERE matrix = %s", (version,))
    return {(profession, category): (permit, provenance) for profession, category, permit, provenance in rows}


def in_force():
    """The version that holds now, or None."""
    rows = execute(f"SELECT m.matrix FROM matrix m WHERE {dated('m')} ORDER BY m.since DESC LIMIT 1")
    return rows[0][0] if rows else None


def written(version):
    """A version as the tree that `checked` reads."""
    cells = [{"profession": p, "category": c, "permit": permit, "provenance": provenance}
             for (p, c), (permit, provenance) in sorted(kept(version).items())]  # fmt: skip
    return {"version": version, "cells": cells}


def checked(tree):
    """(version, (profession, category) -> (permit, provenance)) of a new one; documents say what their class says."""
    if not isinstance(tree, dict) or not isinstance(tree.get("cells"), list) or not 0 < len(tree["cells"]) <= MOST:
        raise InvalidMatrix(f"a matrix is an object with version and up to {MOST} cells")
    version, seen = tree.get("version"), set()
    if not isinstance(version, str) or not 0 < len(version.strip()) <= 40 or not version.isprintable():
        raise InvalidMatrix("version is a text of up to 40 characters")
    if execute("SELECT FROM matrix WHERE matrix = %s LIMIT 1", (version,)):
        raise InvalidMatrix(f"there is a version {version} already")
    known = names()
    for n, cell in enumerate(tree["cells"]):
        at = f"cells[{n}]"
        if not isinstance(cell, dict) or not isinstance(cell.get("permit"), bool):
            raise InvalidMatrix(f"{at} has no permit that is true or false")
        profession, category = cell.get("profession"), cell.get("category")
        if not isinstance(profession, str) or not profession.isalnum() or len(profession) > 20:
            raise InvalidMatrix(f"{at}.profession is no code of TRE_G15")
        if type(category) is not int or category not in known:
            raise InvalidMatrix(f"{at}.category is none of {', '.join(map(str, sorted(known)))}")
        if cell.get("provenance") not in PROVENANCES:
            raise InvalidMatrix(f"{at}.provenance is none of {', '.join(PROVENANCES)}")
        if (profession, category) in seen:
            raise InvalidMatrix(f"{at}: {profession} has two answers for {category}")
        seen.add((profession, category))
    return version, {(p, c): (permit, provenance) for p, c, permit, provenance in cells(tree["cells"])}


def differences(before, after):
    """[(profession, category, before, after)] where two versions permit otherwise; None: no cell, which refuses."""
    pairs = sorted(before.keys() | after.keys())
    found = [(*pair, before.get(pair, (None,))[0], after.get(pair, (None,))[0]) for pair in pairs]
    return [each for each in found if each[2] != each[3]]


def put_in_force(version, cells):
    """From now on this version holds, and no other; of two that come at once the second waits, and ends the first."""
    execute("SELECT pg_advisory_xact_lock(%s)", (key("matrix"),))
    execute("UPDATE matrix SET until = now() WHERE until IS NULL")
    rows = [(p, c, permit, provenance) for (p, c), (permit, provenance) in cells.items()]
    execute(
        "INSERT INTO matrix (matrix, since, profession, category, permit, provenance) SELECT %s, now(), t.*"
        " FROM unnest(%s::text[], %s::smallint[], %s::boolean[], %s::text[]) AS t",
        (version, *map(list, zip(*rows, strict=True))),
    )


def migrated(using, **_):
    """Load the file's version where it is not there yet, and the permissions that grants name."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('matrix')")
        if cursor.fetchone() == (None,):
            return  # migrated back to before it
        cursor.execute(
            "INSERT INTO auth_permission (name, content_type_id, codename)"
            " SELECT 'Is refused the resource', id, 'hide_resource' FROM django_content_type"
            " WHERE app_label = 'records' AND model = 'resource' ON CONFLICT DO NOTHING"
        )
        cursor.execute("SELECT 1 FROM matrix WHERE matrix = %s LIMIT 1", [data()["version"]])
        if cursor.fetchone():
            return
        since = datetime.fromisoformat(data()["since"]).replace(tzinfo=UTC)
        cursor.execute("UPDATE matrix SET until = now() WHERE until IS NULL")
        cursor.executemany(
            "INSERT INTO matrix (matrix, since, profession, category, permit, provenance)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(data()["version"], since, *cell) for cell in cells()],
        )
