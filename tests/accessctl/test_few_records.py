"""Who may see few records is shown what they hold without a walk over all others; and it is the same as by the walk."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

from accessctl.access import access_for
from accessctl.explain import actor_of
from accessctl.people import Dossier
from accessctl.rights import DossierUserObjectPermission, ResourceGroupObjectPermission
from records.database import execute
from records.definitions.structures import type_number
from records.keys import identity
from records.resources.models import Resource
from records.search import compile, results
from records.search.parse import parse
from tests.accessctl.people import api, consent, observation

QUERIES = ("", "?_sort=date", "?_sort=-_lastUpdated", "?_sort=status,-date", "?status=final", "?code:text=weight",
           "?_total=accurate&_count=2", "?_summary=count", "?patient.name=aubert", "?date=ge2020")  # fmt: skip
SCOPES = "user/*.rs"
LOGINS = ("alice", "bob", "paul", "doctor", "stranger", "nurse", "clerk")


@pytest.fixture
def rows(world):
    """Observations of two patients, of both, of nobody; consents, a grant on a record and one on a resource."""
    for patient in (world.a, world.b):
        for n in range(3):
            world.observation(patient, effectiveDateTime=f"2026-0{n + 1}-01")
    world.observation(world.a, performer=[{"reference": f"Patient/{world.b}"}])
    for by in (world.doctor, None):
        of_nobody = observation("x")
        del of_nobody["subject"]
        world.made(of_nobody, by)
    world.consents(to="Practitioner/dr-doctor")
    world.made(consent(world.b, to="Organization/clinic"))
    Dossier.objects.get_or_create(patient=world.key)
    dossier = Permission.objects.get(codename="view_dossier")
    DossierUserObjectPermission.objects.create(
        permission=dossier, user=get_user_model().objects.get(username="stranger"), content_object_id=world.key
    )
    group = Group.objects.create(name="board")
    get_user_model().objects.get(username="nurse").groups.add(group)
    ((pk,),) = execute(
        "SELECT min(pk) FROM resource WHERE patient = %s AND type = %s",
        (identity("Patient", world.b), type_number("Observation")),
    )
    ResourceGroupObjectPermission.objects.create(
        permission=Permission.objects.get(codename="view_resource"), group=group, content_object=Resource(number=pk)
    )
    return world


def found(client, type, query):
    answer = client.get(type + query)
    assert answer.status_code in (200, 403), answer.content
    entries = answer.tree.get("entry", ())
    return answer.status_code, answer.tree.get("total"), [e.get("resource", e).get("id") for e in entries]


def test_the_same_is_found_by_looking_everywhere(rows, monkeypatch):
    clients = [api(login) for login in LOGINS]
    clients += [api("alice", "patient/*.rs", patient=rows.a), api("doctor", "patient/*.rs", patient=rows.b)]
    asked = [(c, t, q) for c in clients for t in ("Observation", "Patient", "Organization") for q in QUERIES
             if t == "Observation" or q in ("", "?_sort=-_lastUpdated", "?_summary=count")]  # fmt: skip
    near = [found(*each) for each in asked]
    monkeypatch.setattr(results, "narrowed", lambda query, access, known=None: query)
    assert near == [found(*each) for each in asked]
    assert sum(len(ids) for _, _, ids in near) > 150


def test_it_looks_in_few_records(rows):
    """The statement starts from the patients, whatever else is asked."""
    for login in LOGINS:
        access = access_for(actor_of(login, SCOPES))
        for query in ("status=final", "_sort=status,-date", "date=ge2020"):
            pairs = [tuple(each.split("=", 1)) for each in query.split("&")]
            narrow = results.narrowed(parse("Observation", pairs), access)
            assert "unnest(" in compile.page(narrow, access).text
            assert "unnest(" in compile.count(narrow, access).text
        assert results.narrowed(parse("Organization", []), access).within is None


def test_who_may_see_many_walks(rows, monkeypatch):
    monkeypatch.setattr(results, "MOST_RECORDS", 1)
    access = access_for(actor_of("doctor", SCOPES))
    assert results.narrowed(parse("Observation", []), access).within is None
    assert results.narrowed(parse("Observation", []), access_for(actor_of("alice", SCOPES))).within.patients
