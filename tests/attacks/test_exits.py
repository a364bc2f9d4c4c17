"""The catalogue is whole: each attack has a test of its number, or stands here as one on an exit that is not built.

An exit that is not built must not answer. A row ends when a test anywhere has its number: then the exit is built.
"""

import re
from pathlib import Path

import pytest
from django.test import Client

from tests.attacks.test_answers import routes

CATALOGUE = [f"A{number:02}" for number in range(1, 93)]
TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"^ *def test_((?:A\d\d_)+)", re.M)

# attack, what it is aimed at, method, path, the answers that are closed
CLOSED = [
    ("A27", "GraphQL", "GET", "/fhir/$graphql?query={PatientList{id}}", {404}),
    ("A27", "GraphQL", "POST", "/fhir/$graphql", {404}),
    ("A27", "GraphQL", "GET", "/fhir/Patient/{a}/$graphql?query={id}", {404}),
]


def own():
    """number -> names of the files with its tests."""
    found = {}
    for path in TESTS.rglob("test_*.py"):
        for match in NAMED.finditer(path.read_text()):
            for number in match[1].strip("_").split("_"):
                found.setdefault(number, []).append(path.name)
    return found


NOT_BUILT = [row for row in CLOSED if row[0] not in own()]


def test_the_catalogue_is_whole():
    assert set(own()) | {number for number, *_ in NOT_BUILT} == set(CATALOGUE)


@pytest.mark.parametrize("attack, aim, method, path, closed", NOT_BUILT, ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_not_built_does_not_answer(world, attack, aim, method, path, closed):
    """To nobody: not to a system client, not to a person, not without a token."""
    path = path.replace("{a}", world.a).replace("{absent}", "00000000-0000-4000-8000-000000000000")
    for who in (world.system, world.patient, world.doctor, None):
        given = {"HTTP_AUTHORIZATION": f"Bearer {who.token}"} if who else {}
        body = b"{}" if method == "POST" and path.startswith("/fhir") else b""
        answer = Client().generic(method, path, body, content_type="application/fhir+json", **given)
        allowed = closed | ({401} if who is None else set())
        assert answer.status_code in allowed, (answer.status_code, answer.content[:200])
        assert answer.headers["Content-Type"].partition(";")[0] in ("application/fhir+json", "application/json")
        assert not answer.headers.get("Location") and not answer.cookies


def test_the_capability_statement_promises_none_of_it(world):
    told = {path for _, path in routes()}
    assert not any(word in path for path in told for word in ("graphql", "document", "summary"))
