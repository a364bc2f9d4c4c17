"""fixtures/cases/access.json: who sees one row under which rights; by read, vread, history, search and total alike."""

import json
from pathlib import Path

import pytest
from guardian.shortcuts import assign_perm

from accessctl.labels import CONFIDENTIALITY, SENSITIVITY, VISIBILITY
from accessctl.people import AttendingDoctor, Block, Dossier, Membership, Person, Proxy
from records.database import execute
from records.resources.models import Resource

from .people import SCOPE, api, provision

CASES = json.loads((Path(__file__).resolve().parents[2] / "fixtures" / "cases" / "access.json").read_text())


def label(code):
    if len(code) == 1:
        return CONFIDENTIALITY, code
    return (SENSITIVITY if code in ("HIV", "PSY", "SDV") else VISIBILITY), code


def coded(given):
    """A provision of the table with its labels as Codings and its exceptions as provisions."""
    found = {k: v for k, v in given.items() if k != "nested"}
    if "securityLabel" in found:
        found["securityLabel"] = [dict(zip(("system", "code"), label(c), strict=True)) for c in found["securityLabel"]]
    if "nested" in given:
        found["nested"] = [provision(**coded(each)) for each in given["nested"]]
    return found


def user(login):
    return Person.objects.get(user__username=login)


@pytest.mark.parametrize("case", CASES, ids=[c["case"] for c in CASES])
def test_case(world, case):
    row = world.observation(security=[label(c) for c in case.get("labels", ())], **case.get("row", {}))
    for each in case.get("consents", ()):
        world.consents(by=world.system, **coded(each))
    if "attending" in case:
        AttendingDoctor.objects.create(patient=world.key, person=user(case["attending"]))
    if "block" in case:
        Block.objects.create(patient=world.key, person=user(case["block"]))
    if "member" in case:
        login, party = case["member"]
        Membership.objects.create(person=user(login), party=party)
    if "proxy" in case:
        Proxy.objects.update(**case["proxy"])
    if "closed" in case:
        Dossier.objects.create(patient=world.key, closed="2026-01-01T00:00:00Z")
    if "grant" in case:
        permission, login = case["grant"]
        if "dossier" in permission:
            of = Dossier.objects.create(patient=world.key)
        else:
            of = Resource(number=execute("SELECT pk FROM resource WHERE id = %s", (row,))[0][0])
        assign_perm(permission, user(login).user, of)
    for login, sees in case["reads"].items():
        who = getattr(world, login)
        if "purpose" in case:
            who = api(login, SCOPE, purpose=case["purpose"])
        if sees == 403:
            assert who.get(f"Observation/{row}").status_code == 403
            continue
        assert seen(who, row) == {sees}, login


def seen(who, row):
    """What every exit says of the row."""
    statuses = {who.get(f"Observation/{row}{rest}").status_code for rest in ("", "/_history/1", "/_history")}
    assert statuses in ({200}, {404})
    pages = [who.get(f"Observation?{query}") for query in (f"_id={row}", "_total=accurate", "status=final")]
    found = {any(e["resource"]["id"] == row for e in p.tree.get("entry", ())) for p in pages}
    count = who.get("Observation?_summary=count").tree["total"]
    return found | {statuses == {200}} | {count == 1}
