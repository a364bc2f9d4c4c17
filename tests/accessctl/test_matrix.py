"""Every cell of the matrix that a source confirms, as the row of a test; what has no cell is refused."""

import pytest

from accessctl import matrix
from accessctl.actor import Actor, Person
from accessctl.sources import matrix as source
from records.database import execute

DATA = matrix.data()
DOCUMENTS = {d["number"]: d for d in DATA["documents"]}
CONFIRMED = [c for c in DATA["cells"] if c["provenance"] == "confirmed"]


def opens(profession, category, type="DocumentReference"):
    """The verdict of the ceiling on a row of that class, by the SQL that searches use."""
    actor = Actor("app", "x", (), person=Person(1, "professional", profession))
    predicate, _ = source.habilitation(actor, "read", type, "r", "pk")
    return execute(
        f"SELECT {predicate.text} FROM (SELECT 1::bigint AS patient, %s::int2 AS category, 1 AS type) r",
        (*predicate.params, category),
    )[0][0]


@pytest.mark.parametrize("cell", CONFIRMED, ids=[f"{c['profession']}-{c['category']}" for c in CONFIRMED])
def test_confirmed_cell(database, cell):
    assert opens(cell["profession"], cell["category"]) is cell["permit"]
    if cell["category"] in DOCUMENTS:
        each = DOCUMENTS[cell["category"]]
        for code in each["codes"]:
            document = {"type": {"coding": [{"system": each["system"], "code": code}]}}
            assert matrix.of_document(document, "DocumentReference") == cell["category"]


@pytest.mark.parametrize("profession", sorted({c["profession"] for c in DATA["cells"]}))
def test_what_has_no_cell_is_refused(database, profession):
    answered = {number for p, number, _, _ in matrix.cells() if p == profession}
    for number, _ in matrix.every_category():
        if number not in answered:
            assert opens(profession, number) is False
    assert opens(profession, 32000) is False


def test_an_unknown_profession_or_document_is_refused(database):
    assert opens("99", 10) is False
    assert not opens(None, 10)
    unknown = matrix.of_document({"type": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}}, "Composition")
    assert unknown == matrix.UNKNOWN and opens("60", unknown) is False


def test_the_matrix_over_http(world):
    """A nurse with the patient's consent sees the biology report, not the psychiatric summary; a doctor both."""
    world.consents()

    def document(code):
        return world.made(
            {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{world.a}"},
             "type": {"coding": [{"system": "http://loinc.org", "code": code}]},
             "content": [{"attachment": {"title": "x"}}]}
        )  # fmt: skip

    biology, psychiatry = document("11502-2"), document("68599-0")
    for who, id, status in (
        (world.nurse, biology, 200), (world.nurse, psychiatry, 404),
        (world.doctor, biology, 200), (world.doctor, psychiatry, 200),
    ):  # fmt: skip
        assert who.get(f"DocumentReference/{id}").status_code == status
    assert [e["resource"]["id"] for e in world.nurse.get("DocumentReference").tree["entry"]] == [biology]
