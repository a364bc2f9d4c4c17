"""What holds of access whatever the consents, labels, blocks and openings: the SQL against a slow reading of the rules.

The reading is of docs/explanation/access.md, one person, one row, one provision at a time; it shares no code with ours.
"""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accessctl.explain import actor_of, explain, verdict
from accessctl.labels import CONFIDENTIALITY, FROM_PATIENT, FROM_REPRESENTATIVES, MASKED, SENSITIVITY, VISIBILITY
from records.access import Everything
from records.database import execute
from records.keys import identity, key
from records.resources.store import Write, write
from tests.accessctl.people import SCOPE, World, consent, observation, provision
from tests.conftest import sweep
from tests.search.conftest import undone

FEW, MANY = 8, 600
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
SYSTEMS = {"R": CONFIDENTIALITY, "V": CONFIDENTIALITY, "HIV": SENSITIVITY, "PSY": SENSITIVITY}
DOCTORS = ("doctor", "stranger", "nurse")
PARTIES = {"doctor": {"Practitioner/dr-doctor", "Organization/clinic"}, "stranger": {"Practitioner/dr-stranger"},
           "nurse": {"Practitioner/nurse"}}  # fmt: skip
PROFESSIONS = {"doctor": "10", "stranger": "10", "nurse": "60"}
DATA = Path(__file__).parents[2] / "accessctl" / "data" / "matrix-fr.json"

# -- what is drawn ---------------------------------------------------------------------------------------------------

rows = st.fixed_dictionaries({
    "labels": st.sets(st.sampled_from(("R", "V", "HIV", "PSY", "MASQUE_PS", "INVISIBLE_PATIENT",
                                       "INVISIBLE_REPRESENTANTS_LEGAUX")), max_size=2),
    "date": st.sampled_from((None, "2024-06-01", "2025-06-01")),
    "author": st.sampled_from((None, None, "doctor", "stranger")),
    "shared": st.booleans(),
})  # fmt: skip
said = {
    "type": st.sampled_from(("permit", "permit", "deny")),
    "to": st.sampled_from((None, "Practitioner/dr-doctor", "Organization/clinic", "Practitioner/dr-stranger",
                           "Practitioner/nurse")),
    "purposes": st.sampled_from((None, None, ("TREAT",), ("HPAYMT",), ("TREAT", "HPAYMT"))),
    "dates": st.sampled_from((None, None, ("2025-01-01", None), (None, "2024-12-31"))),
    "period": st.sampled_from((None, None, None, (None, "2020-01-01"), ("2020-01-01", None))),
    "label": st.sampled_from((None, None, "R", "V", "HIV", "PSY")),
}  # fmt: skip
provisions = st.fixed_dictionaries({**said, "nested": st.lists(st.fixed_dictionaries(said), max_size=2)})
states = st.fixed_dictionaries({
    "rows": st.lists(rows, min_size=1, max_size=5),
    "a": st.lists(provisions, max_size=3),
    "b": st.lists(provisions, max_size=1),
    "blocked": st.sets(st.sampled_from(DOCTORS), max_size=1),
    "attending": st.sets(st.sampled_from(DOCTORS[:2]), max_size=1),
    "opened": st.sets(st.sampled_from(DOCTORS), max_size=2),
    "closed": st.sampled_from((False, False, False, True)),
})  # fmt: skip

# -- the slow reading ------------------------------------------------------------------------------------------------

RESTRICTING = {"R", "V", "HIV", "PSY"}
UP_TO = {"R": {"R"}, "V": {"R", "V"}}  # a permit up to a confidentiality
FROM = {"R": {"R", "V"}, "V": {"V"}}  # a denial from one on


def sees(login, row, state):
    """Does this person see this row?"""
    patients = ("a", "b") if row["shared"] else ("a",)
    if login == "alice":
        return "INVISIBLE_PATIENT" not in row["labels"]
    if login == "paul":
        return not row["labels"] & {"INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"}
    if login == "bob":
        return row["shared"] and "INVISIBLE_PATIENT" not in row["labels"]
    if login == "clerk":
        return False
    if state["closed"] or login in state["blocked"] or not habilitated(login):
        return False
    attends = "a" in patients and login in state["attending"]
    if "MASQUE_PS" in row["labels"] and row["author"] != login and not (attends and not row["shared"]):
        return False
    if any(denied(login, row, state, p) for p in patients):
        return False
    in_emergency = login in state["opened"] and not row["shared"] and not row["labels"] & RESTRICTING
    return in_emergency or all(permitted(login, row, state, p) for p in patients)


def habilitated(login):
    """Is there a cell that opens reports to the profession?"""
    data = json.loads(DATA.read_text())
    of = data["types"]["Observation"]
    return any(c["profession"] == PROFESSIONS[login] and c["category"] == of and c["permit"] for c in data["cells"])


def permitted(login, row, state, patient):
    spared = row["author"] == login or (patient == "a" and login in state["attending"])
    return any(
        rule["type"] == "permit" and about(rule, login) and (spared or within(row, rule["reaches"])) and
        speaks_of(rule, row, unknown=False)
        for root in state[patient] for _, rule in rules(root)
    )  # fmt: skip


def denied(login, row, state, patient):
    glass = patient == "a" and login in state["opened"]
    for root in state[patient]:
        known = list(rules(root))
        for depth, rule in known:
            if rule["type"] != "deny" or not about(rule, login) or not speaks_of(rule, row, unknown=True):
                continue
            if glass and not rule["to"] and rule["purposes"] is None:
                continue  # the ordinary "no" gives way in an emergency
            excepted = depth == 0 and any(
                d == 1 and x["type"] == "permit" and about(x, login) and speaks_of(x, row, unknown=False)
                and within(row, x["reaches"])
                for d, x in known
            )  # fmt: skip
            if not excepted:
                return True
    return False


def rules(root):
    """The provision, then its exceptions as they stand alone: what they do not say is as around them."""
    yield 0, alone(root, None)
    for inner in root["nested"]:
        rule = alone(inner, root)
        if rule["purposes"] != ():
            yield 1, rule


def alone(p, around):
    permit = p["type"] == "permit"
    outer = around or dict.fromkeys(("to", "purposes", "dates", "period", "label"))
    purposes = p["purposes"] or outer["purposes"]
    if permit and p["purposes"] and outer["purposes"]:
        purposes = tuple(x for x in p["purposes"] if x in outer["purposes"])
    dates = [d for d in (p["dates"], outer["dates"]) if d]
    if not permit and p["dates"]:
        dates = [p["dates"]]
    reaches, only = labels_of(p, around)
    return {
        "type": p["type"], "to": {x for x in (p["to"] or outer["to"],) if x}, "purposes": purposes, "dates": dates,
        "among": outer["to"] if permit else None, "reaches": reaches, "only": only,
        "periods": [x for x in (p["period"], outer["period"]) if x],
    }  # fmt: skip


def labels_of(p, around):
    """(restricting labels that a permit reaches, labels of which the row must have one; None: any row)."""
    permit = p["type"] == "permit"
    if p["label"] is None and around and around["label"]:
        if around["type"] == p["type"]:
            return labels_of({"type": p["type"], "label": around["label"]}, None)
        only = labels_of({"type": around["type"], "label": around["label"]}, None)[1]
        return (only or set()) if permit else set(), only
    if p["label"] is None:
        return set(), None
    if p["label"] in UP_TO:
        return (UP_TO[p["label"]], None) if permit else (set(), FROM[p["label"]])
    return ({p["label"]} if permit else set()), {p["label"]}


def about(rule, login):
    """For care, today, to this person."""
    if rule["purposes"] is not None and "TREAT" not in rule["purposes"]:
        return False
    if any(period == (None, "2020-01-01") for period in rule["periods"]):
        return False
    if rule["among"] and rule["among"] not in PARTIES[login]:
        return False
    return not rule["to"] or bool(rule["to"] & PARTIES[login])


def speaks_of(rule, row, unknown):
    """Is the row among the data of the rule? `unknown`: what holds of a row without a date."""
    if rule["only"] is not None and not row["labels"] & rule["only"]:
        return False
    for low, high in rule["dates"]:
        if row["date"] is None:
            if not unknown:
                return False
        elif (low and row["date"] < low) or (high and row["date"] > high):
            return False
    return True


def within(row, reaches):
    return row["labels"] & RESTRICTING <= reaches


# -- the state as rows of the database -------------------------------------------------------------------------------


def built(world, state):
    """id -> row of the state, all written in this transaction."""
    of = {}
    writes = []
    for n, row in enumerate(state["rows"]):
        coded = [(SYSTEMS.get(label, VISIBILITY), label) for label in sorted(row["labels"])]
        more = {"effectiveDateTime": row["date"]} if row["date"] else {}
        if row["shared"]:
            more["performer"] = [{"reference": f"Patient/{world.b}"}]
        id = f"row-{n}"
        of[id] = row
        writes.append(Write("PUT", "Observation", id, observation(world.a, coded, **more)))
    for patient, known in ((world.a, state["a"]), (world.b, state["b"])):
        writes += [Write("POST", "Consent", None, consent_of(patient, root)) for root in known]
    write(writes, Everything())
    for id, row in of.items():
        if row["author"]:
            author = key("user", row["author"])
            execute("UPDATE resource SET author = %s WHERE identity = %s", (author, identity("Observation", id)))
    for login in state["blocked"]:
        block(world, login)
    for login in state["attending"]:
        execute("INSERT INTO attending_doctor (patient, person_id, since) VALUES (%s, %s, now())",
                (world.key, user(login)))  # fmt: skip
    for login in state["opened"]:
        execute(
            "INSERT INTO opening (patient, person_id, mode, purpose, reason, since, until)"
            " VALUES (%s, %s, 'bris-de-glace', 'BTG', 'unconscious', now(), now() + interval '1 hour')",
            (world.key, user(login)),
        )
    if state["closed"]:
        close(world)
    return of


def block(world, login):
    execute("INSERT INTO block (patient, person_id, since) VALUES (%s, %s, now())", (world.key, user(login)))


def close(world):
    execute(
        "INSERT INTO dossier (patient, closed, opposes_emergency, opposes_regulation, policy_version)"
        " VALUES (%s, now(), FALSE, FALSE, 1)",
        (world.key,),
    )


def user(login):
    return execute("SELECT id FROM auth_user WHERE username = %s", (login,))[0][0]


def consent_of(patient, root):
    return consent(patient, **spelt(root), nested=[provision(**spelt(each)) for each in root["nested"]])


def spelt(p):
    """A drawn provision as people.provision takes it."""
    found = {"type": p["type"], "to": p["to"], "purposes": p["purposes"] or ()}
    for name, element in (("dates", "dataPeriod"), ("period", "period")):
        if p[name]:
            found[element] = {k: v for k, v in zip(("start", "end"), p[name], strict=True) if v}
    if p["label"]:
        found["securityLabel"] = [{"system": SYSTEMS[p["label"]], "code": p["label"]}]
    return found


LOGINS = {"alice": "patient", "paul": "proxy", "bob": "other", "doctor": "doctor", "stranger": "stranger",
          "nurse": "nurse", "clerk": "clerk"}  # fmt: skip


def found(world, login, query="_count=100"):
    answer = getattr(world, LOGINS[login]).get(f"Observation?{query}")
    if answer.status_code == 403:
        return set()
    return {e["resource"]["id"] for e in answer.tree.get("entry", ())}


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker):
    """People and patients, committed; each example is undone."""
    with django_db_blocker.unblock():
        sweep()
        yield World()
        sweep()


LONG = [pytest.mark.long, pytest.mark.timeout(1400)]


def law(*strategies):
    """A test of drawn states: a few, and many under the mark `long`."""

    def mark(function):
        @pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=LONG)])
        def test(world, django_db_blocker, examples):
            @settings(max_examples=examples, deadline=None, suppress_health_check=SLOW, derandomize=examples == FEW)
            @given(st.tuples(*strategies))
            def holds(drawn):
                with undone():
                    function(world, *drawn)

            with django_db_blocker.unblock():
                holds()

        test.__name__, test.__doc__ = function.__name__, function.__doc__
        return test

    return mark


@law(states)
def test_the_sql_agrees_with_a_slow_reading(world, state):
    of = built(world, state)
    for login in LOGINS:
        assert found(world, login) == {id for id, row in of.items() if sees(login, row, state)}, login


@law(states, st.sampled_from(("deny", "block", "close", "mask")), st.sampled_from(DOCTORS))
def test_a_denial_more_never_shows_more(world, state, how, login):
    built(world, state)
    before = {who: found(world, who) for who in LOGINS}
    if how == "deny":
        denial = consent(world.a, "deny", to=sorted(PARTIES[login])[0])
        write([Write("POST", "Consent", None, denial)], Everything())
    elif how == "block":
        block(world, login)
    elif how == "close" and not state["closed"]:
        close(world)
    else:  # by visibility alone: a permit may be for what is sensitive, and then reaches more of it
        execute("UPDATE resource SET labels = labels | %s", (MASKED | FROM_PATIENT | FROM_REPRESENTATIVES,))
    for who in LOGINS:
        assert found(world, who) <= before[who], (how, who)


@law(states)
def test_a_search_is_a_subset_and_read_and_explain_agree_with_it(world, state):
    of = built(world, state)
    for login in LOGINS:
        who, seen = getattr(world, LOGINS[login]), found(world, login)
        assert seen <= set(of)
        for id in of:
            there = id in seen
            assert found(world, login, f"_id={id}") == ({id} if there else set())
            assert (who.get(f"Observation/{id}").status_code == 200) == there
            told, whole = explain(actor_of(login, SCOPE), "Observation", id)
            assert verdict(told) == whole == there
