"""The authorisation matrix, profession x class of data: accessctl/data/matrix-fr.json, default deny.

A cell of a type of document beats the cell of its class. The file's version is loaded beside the earlier ones, and
ends them, when the database is migrated; what has no cell is refused.
"""

import json
from datetime import UTC, datetime
from functools import cache

from django.db import connections

from records.resources.classes import classes

from .policy import DATA

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


def cells():
    """(profession, category, permit, provenance) for every class and every type of document that has an answer."""
    told = {(c["profession"], c["category"]): c for c in data()["cells"]}
    for profession in sorted({p for p, _ in told}):
        for number, above in every_category():
            cell = told.get((profession, number)) or told.get((profession, above))
            if cell:
                yield profession, number, cell["permit"], cell["provenance"]


def every_category():
    """(number, the class that answers for it)."""
    yield from ((c["number"], c["number"]) for c in data()["classes"])
    yield from ((d["number"], d["class"]) for d in data()["documents"])


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
