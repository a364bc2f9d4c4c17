"""Laws of access: the SQL agrees with a slow, independent reading; a deny never shows more; explain tells the truth."""

import random
from itertools import combinations

import pytest

from accessctl.explain import actor_of, explain, verdict
from accessctl.labels import CONFIDENTIALITY, SENSITIVITY

from .people import SCOPE, provision

PARTIES = {"doctor": {"Practitioner/dr-doctor", "Organization/clinic"}, "stranger": {"Practitioner/dr-stranger"}}
SEEDS = range(6)
LABELS = {None: (), "R": ((CONFIDENTIALITY, "R"),), "HIV": ((SENSITIVITY, "HIV"),)}
ROWS = [(label, date) for label in LABELS for date in (None, "2024-06-01", "2025-06-01")]


def drawn(rng, depth=0):
    """A random provision as the table tests write it."""
    given = {"type": rng.choice(("permit", "permit", "deny"))}
    if rng.random() < 0.7:
        given["to"] = rng.choice(("Practitioner/dr-doctor", "Organization/clinic", "Practitioner/dr-stranger"))
    if rng.random() < 0.3:
        given["purposes"] = [rng.choice(("TREAT", "HPAYMT"))]
    if rng.random() < 0.3:
        given["dataPeriod"] = rng.choice(({"start": "2025-01-01"}, {"end": "2024-12-31"}))
    if rng.random() < 0.25:
        given["period"] = rng.choice(({"end": "2020-01-01"}, {"start": "2020-01-01"}))
    if rng.random() < 0.4:
        given["label"] = rng.choice(("R", "HIV"))
    if not depth and rng.random() < 0.6:
        given["nested"] = [drawn(rng, 1) for _ in range(rng.randint(1, 2))]
    return given


def written(given):
    found = {k: v for k, v in given.items() if k not in ("label", "nested")}
    if label := given.get("label"):
        found["securityLabel"] = [{"system": LABELS[label][0][0], "code": label}]
    if "nested" in given:
        found["nested"] = [provision(**written(each)) for each in given["nested"]]
    return found


# the slow reading: one provision, one row, one person at a time


def about(p, login):
    return "to" not in p or p["to"] in PARTIES[login]


def within_dates(p, date, unknown):
    bounds = p.get("dataPeriod")
    if not bounds:
        return True
    if date is None:
        return unknown
    return date >= bounds.get("start", "") and date <= bounds.get("end", "9")


def applies(p, login, row, exception_of=None):
    """Does the provision speak of this person and this row, for care, today?"""
    label, date = row
    permit = p["type"] == "permit"
    whole = dict(exception_of or {}) | p
    if whole.get("period") == {"end": "2020-01-01"} or (exception_of or {}).get("period") == {"end": "2020-01-01"}:
        return False
    if not about(whole, login) or (permit and exception_of and not about(exception_of, login)):
        return False
    said = [each["purposes"] for each in (p, exception_of or {}) if "purposes" in each]
    if any("TREAT" not in each for each in (said if permit else said[:1])):
        return False
    dates = [each for each in (p, exception_of or {}) if "dataPeriod" in each]
    if not all(within_dates(each, date, not permit) for each in (dates if permit else dates[:1])):
        return False
    own, inherited = p.get("label"), None
    if own is None and exception_of:
        inherited = exception_of.get("label")
    named = own or inherited
    if permit:
        if own is None and exception_of and exception_of["type"] == "deny" and inherited:
            return label == inherited
        return label in (None, "R") if named == "R" else label == "HIV" if named == "HIV" else label is None
    if own is None and exception_of and exception_of["type"] == "permit":
        return named != "HIV" or label == "HIV"
    return named is None or label == named


def reading(consents, login, row):
    """Most specific first, within each Consent; then deny beats permit among Consents."""
    found = set()
    for root in consents:
        nested = {p["type"] for p in root.get("nested", ()) if applies(p, login, row, root)}
        own = {root["type"]} if applies(root, login, row) else set()
        if "deny" in nested or (not nested and "deny" in own):
            found.add("deny")
        elif nested or own:
            found.add("permit")
    return found == {"permit"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sql_agrees_with_a_slow_reading(world, seed):
    rng = random.Random(seed)
    rows = {}
    for label, date in ROWS:
        more = {"effectiveDateTime": date} if date else {}
        rows[world.observation(security=LABELS[label], **more)] = label, date
    consents, before = [], None
    for _ in range(4):
        given = drawn(rng)
        consents.append(given)
        world.consents(by=world.system, **written(given))
        for login in PARTIES:
            page = getattr(world, login).get("Observation?_count=100").tree
            assert {e["resource"]["id"] for e in page.get("entry", ())} == {
                id for id, row in rows.items() if reading(consents, login, row)
            }, (login, consents)
    for login in PARTIES:
        before = visible(world, login)
        world.consents(by=world.system, type="deny", to=rng.choice(sorted(PARTIES[login])))
        assert visible(world, login) <= before
    for login, id in combinations([*PARTIES, *rows], 2):
        if login in PARTIES and id in rows:
            said, whole = explain(actor_of(login, SCOPE), "Observation", id)
            assert verdict(said) == whole == (getattr(world, login).get(f"Observation/{id}").status_code == 200)


def visible(world, login):
    page = getattr(world, login).get("Observation?_count=100").tree
    return {e["resource"]["id"] for e in page.get("entry", ())}


def test_a_search_within_an_access_is_a_subset_and_read_iff_found(world):
    rows = [world.observation(), world.observation(world.b), world.observation(security=LABELS["R"])]
    world.consents()
    everything = visible(world, "system")
    for login in ("patient", "other", "proxy", "doctor", "stranger", "nurse", "clerk"):
        seen = visible(world, login)
        assert seen <= everything
        for id in rows:
            assert (getattr(world, login).get(f"Observation/{id}").status_code == 200) == (id in seen)
