"""Every row of a resource that a search looks at is judged: read off the SQL, whatever is asked. (A07-A20)

An order, a hop or a hierarchy that reads `resource` without asking whether the actor may see that row infers something
of it, though no row of it is shown.
"""

import re

import pytest

from records.access import Everything
from records.errors import BadRequest
from records.search import compile, includes, parse
from records.search.parse import Include, parse_several
from records.sql import SQL
from tests.api import Api
from tests.differential.requests import MODIFIERS, RESULTS, VALUES

ROWS = re.compile(r"\b(?:FROM|JOIN) resource (\w+)\b")
WALKS = {  # aliases of `resource` that only say in which order, or from where, the judged row r is met
    "d": "the walk: its rows are joined to r by pk",
    "k": "what is known of r: its rows are those of r",
    "c": "the few that a search may begin from, which r then is",
}
FILL = {"a": "a", "encounter": "e", "item": "i", "own": "o"}


class Marked(Everything):
    """An access that leaves a mark for each alias it was asked about."""

    def patients(self, code, type):
        return None

    def resources(self, code, type, alias="r", pk="pk"):
        return SQL(f"judged({alias})")


PLAN = re.compile(
    r"WITH (?:bound AS .*?, )?few AS MATERIALIZED \(.*? LIMIT (?:\d+|\(.*?\)) \+ 1\) "
)  # counts candidates to choose the way; r is judged then


def unjudged(text):
    """Aliases of resource in a statement that no predicate of the access is about."""
    text = PLAN.sub("", text)
    return {alias for alias in ROWS.findall(text) if f"judged({alias})" not in text} - set(WALKS)


def queries(of):
    """Query strings of a type, each parameter in each of its forms."""
    for n, parameter in enumerate(of["searchParam"]):
        kind, name = parameter["type"], parameter["name"]
        for value in VALUES[kind][:2]:
            yield ((name, value.format(**FILL)),)
        for modifier in MODIFIERS[kind]:
            value = "true" if modifier == ":missing" else VALUES[kind][0].format(**FILL)
            yield ((name + modifier, value), ("_sort", "_id"))
        yield (("_sort", name),)
        yield (("_sort", f"-{name}"), ("_total", "accurate"))
        more = RESULTS[n % len(RESULTS)].partition("&")[0].partition("=")
        yield ((name, VALUES[kind][0].format(**FILL)), (more[0], more[2]))
        if kind == "reference":
            for target, code in (("Patient", "family"), ("Encounter", "status"), ("Organization", "name")):
                yield ((f"{name}:{target}.{code}", "x"),)
                yield (("_sort", f"{name}:{target}.{code}"),)
            yield ((f"{name}:Encounter.subject:Patient.name", "x"), ("_sort", f"-{name}"))
    yield (("_has:Observation:subject:code", "x"),)
    yield (("_has:Observation:patient:_has:Provenance:target:_id", "x"),)
    yield (("_list", "x"),)
    yield (("_filter", "subject.name eq x and not (code eq y)"),)
    yield (("_id", "x"), ("_sort", "-_lastUpdated"))


TYPES = ("Observation", "Patient", "Encounter", "Condition", "DocumentReference", "MedicationRequest", "Location",
         "DiagnosticReport", "Provenance", "Composition", "Consent", "List")  # fmt: skip


@pytest.mark.parametrize("type", TYPES)
def test_A13_A14_A15_every_row_of_a_search_is_judged(db, type):
    statement = Api(token="").get("metadata").tree["rest"][0]["resource"]
    [of] = [each for each in statement if each["type"] == type]
    access, asked = Marked(), 0
    for pairs in queries(of):
        for pairs_within in (pairs, (*pairs, ("status", "final"), ("date", "ge2020"))):
            try:
                query = parse(type, pairs_within)
            except BadRequest:  # a value that the modifier does not take
                continue
            if not query.criteria and not query.sort:
                continue
            for found in (compile.page(query, access), compile.count(query, access)):
                assert "judged(r)" in found.text, (pairs_within, found.text)
                assert not unjudged(found.text), (pairs_within, unjudged(found.text), found.text)
                asked += 1
    assert asked > 50


def test_A09_A18_every_row_of_a_search_of_all_types_is_judged(db):
    for pairs in ((("_sort", "_lastUpdated"),), (("_type", "Observation,Condition"), ("_sort", "subject")),
                  (("_lastUpdated", "ge2020"), ("_total", "accurate"))):  # fmt: skip
        query = parse_several(pairs)
        for found in (compile.page(query, Marked()), compile.count(query, Marked())):
            arms = found.text.count("judged(r)")
            assert arms == len(query.arms) and not unjudged(found.text)


def test_A07_A08_every_row_that_comes_along_is_judged(db, monkeypatch):
    sent = []
    monkeypatch.setattr(includes, "execute", lambda text, params=(): sent.append(text) or [])
    row = type("Row", (), {"pk": 1, "type": "Observation", "id": "x"})()
    for step in (Include("Observation", (1,), None, False, False, True), Include(None, (1,), None, True, True, True),
                 Include("Observation", (1,), "Patient", False, False, False)):  # fmt: skip
        includes._follow(step, [row], Marked(), 10)
    assert len(sent) >= 5
    for text in sent:
        assert "judged(r)" in text and not unjudged(text)


def test_the_application_role_rules_nothing(database, addresses):
    """What the application cannot do to the database, no hole of the application can."""
    import psycopg
    from django.db import connections

    from records.database import execute

    owner = connections["owner"].settings_dict["USER"]
    assert execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
        " WHERE rolname = current_user"
    ) == [(False,) * 5]
    of_mine = "JOIN pg_roles r ON r.oid = {} WHERE r.rolname = current_user"
    assert execute(f"SELECT count(*) FROM pg_class c {of_mine.format('c.relowner')}") == [(0,)]
    assert execute(f"SELECT count(*) FROM pg_auth_members m {of_mine.format('m.member')}") == [(0,)]
    for text in (f"SET ROLE {owner}", "SET ROLE postgres", "ALTER TABLE resource DISABLE TRIGGER ALL",
                 "SET session_replication_role = replica", "UPDATE version SET body = NULL", "TRUNCATE audit",
                 "DROP TABLE resource", "CREATE TABLE t (a int)", "CREATE FUNCTION f() RETURNS int RETURN 1",
                 "COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')"):  # fmt: skip
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
            execute(text)
