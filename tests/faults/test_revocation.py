"""Rights end while others read, and are edited by several at once. (F21 F22)"""

import secrets
import threading
import time
from hashlib import sha256

import pytest

from records.keys import identity, key
from tests.accessctl.people import consent, observation
from tests.faults.client import Client, crowd

pytestmark = pytest.mark.xdist_group("faults")
READERS = 8
LONGEST = 60  # seconds, for a reader that would never be refused


class People:
    """A record of its own on the server: a patient, her doctor, and an observation that he may read."""

    def __init__(self, server):
        self.server, self.name = server, secrets.token_hex(4)
        system = server.client()
        self.patient = system.post("/Patient", {"resourceType": "Patient"}).id
        self.doctor_id = f"dr-{self.name}"
        self.alice = self.login("patient", patient=self.patient)
        self.doctor = self.login("professional", profession="10", practitioner=self.doctor_id)
        self.row = system.post("/Observation", observation(self.patient)).id
        self.consent = None
        self.consents()

    def login(self, kind, patient=None, practitioner=None, profession=None):
        """A user, the person behind, and a token; what it is known by."""
        name, token = f"{kind}-{self.name}", secrets.token_urlsafe(24)
        ask = self.server.ask
        [(user,)] = ask(
            "INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name, last_name,"
            " email, date_joined) VALUES (%s, '!', FALSE, FALSE, TRUE, '', '', '', now()) RETURNING id",
            name,
        )
        ask(
            "INSERT INTO person (user_id, kind, profession, regulator, practitioner, patient, practitioner_key,"
            " patient_key, author_key) VALUES (%s, %s, %s, FALSE, %s, %s, %s, %s, %s)",
            user, kind, profession, practitioner, patient,
            identity("Practitioner", practitioner) if practitioner else None,
            identity("Patient", patient) if patient else None, key("user", name),
        )  # fmt: skip
        self.token(user, token)
        return user, token

    def token(self, user, token):
        [(client,)] = self.server.ask("SELECT id FROM client ORDER BY id LIMIT 1")
        self.server.ask(
            "INSERT INTO token_access (digest, client_id, user_id, scopes, expires)"
            " VALUES (%s, %s, %s, 'user/*.cruds', now() + interval '1 hour')",
            sha256(token.encode()).digest(), client, user,
        )  # fmt: skip

    def client(self, who):
        return Client(self.server.up.port, who[1])

    def consents(self, type="permit"):
        """The patient's word, written by her; acknowledged when this returns."""
        given = consent(self.patient, type, to=f"Practitioner/{self.doctor_id}")
        client = self.client(self.alice)
        if self.consent is None:
            answer = client.post("/Consent", given, Prefer="return=minimal")
            self.consent = answer.headers["location"].split("/")[-3]
        else:
            answer = client.put(f"/Consent/{self.consent}", given | {"id": self.consent})
        assert answer.status in (200, 201), answer.body


def withdrawn(people):
    assert people.client(people.alice).delete(f"/Consent/{people.consent}").status == 204


def denied(people):
    people.consents("deny")


def revoked(people):
    people.server.ask("UPDATE token_access SET revoked = now() WHERE user_id = %s", people.doctor[0])


def blocked(people):
    people.server.ask(
        "INSERT INTO block (patient, person_id, since) VALUES (%s, %s, now())",
        identity("Patient", people.patient), people.doctor[0],
    )  # fmt: skip


def deactivated(people):
    people.server.ask("UPDATE auth_user SET is_active = FALSE WHERE id = %s", people.doctor[0])


def closed(people):
    people.server.ask(
        "INSERT INTO dossier (patient, closed, opposes_emergency, opposes_regulation, policy_version)"
        " VALUES (%s, now(), FALSE, FALSE, 1) ON CONFLICT (patient) DO UPDATE SET closed = now()",
        identity("Patient", people.patient),
    )


class Reader(threading.Thread):
    """Asks again and again, each time another way; notes when it began and whether it got the row."""

    def __init__(self, people, n):
        super().__init__(daemon=True)
        self.client, self.row, self.n = people.client(people.doctor), people.row, n
        self.ways = (f"/Observation/{people.row}", f"/Observation?_id={people.row}",
                     f"/Observation/{people.row}/_history/1", f"/Observation?patient={people.patient}",
                     f"/Patient/{people.patient}/$everything")  # fmt: skip
        self.seen, self.over, self.warm = [], threading.Event(), threading.Event()

    def run(self):
        for turn in range(10**6):
            began = time.monotonic()
            answer = self.client.get(self.ways[(turn + self.n) % len(self.ways)])
            self.seen.append((began, answer.status, f'"id":"{self.row}"'.encode() in answer.body))
            if turn >= len(self.ways):
                self.warm.set()
            if self.over.is_set():
                return


ENDS = (withdrawn, denied, revoked, blocked, deactivated, closed)
FEW = [pytest.param(end, 1, id=end.__name__) for end in (withdrawn, revoked)]
MANY = [pytest.param(end, 20, id=f"{end.__name__}-20", marks=pytest.mark.long) for end in ENDS]


@pytest.mark.parametrize("end, rounds", FEW + MANY)
def test_F21_no_request_that_begins_after_the_end_shows_the_data(server, end, rounds):
    for _ in range(rounds):
        people = People(server)
        readers = [Reader(people, n) for n in range(READERS)]
        for reader in readers:
            reader.start()
        assert all(reader.warm.wait(LONGEST) for reader in readers)
        end(people)
        acknowledged = time.monotonic()
        for reader in readers:
            after = len(reader.seen) + 2 * len(reader.ways)
            while len(reader.seen) < after and reader.is_alive():
                time.sleep(0.005)
            reader.over.set()
        for reader in readers:
            reader.join(LONGEST)
            before = [shown for began, _, shown in reader.seen if began < acknowledged]
            late = [(status, shown) for began, status, shown in reader.seen if began > acknowledged]
            assert any(before) and len(late) >= len(reader.ways)
            assert not any(shown for _, shown in late)
            assert {status for status, _ in late} <= {200, 401, 404}


@pytest.mark.parametrize("rounds", [pytest.param(3), pytest.param(100, marks=pytest.mark.long)])
def test_F22_of_several_who_edit_a_consent_the_last_word_is_enforced(server, rounds):
    """The rules are those of the version that stands, whoever wrote at the same time; so are those of two Consents."""
    people = People(server)
    reader, system = people.client(people.doctor), server.client()
    for _ in range(rounds):
        with crowd(server, READERS) as clients:
            for client in clients.clients:
                client.token = people.alice[1]

            def edit(client, n):
                type = "permit" if n % 2 else "deny"
                given = consent(people.patient, type, to=f"Practitioner/{people.doctor_id}") | {"id": people.consent}
                return client.put(f"/Consent/{people.consent}", given)

            answers = clients.all_at_once(edit)
        assert {a.status for a in answers} <= {200, 409, 503}
        stands = system.get(f"/Consent/{people.consent}").tree["provision"]["type"]
        assert (reader.get(f"/Observation/{people.row}").status == 200) == (stands == "permit")
        rules = server.ask("SELECT permit FROM consent_rule WHERE patient = %s", identity("Patient", people.patient))
        assert rules == [(stands == "permit",)]


@pytest.mark.parametrize("rounds", [pytest.param(3), pytest.param(100, marks=pytest.mark.long)])
def test_F22_of_those_who_know_the_version_one_wins(server, rounds):
    """Consent and its withdrawal at once, each on the version that was read: one is done, and it alone is in force."""
    people = People(server)
    reader, system = people.client(people.doctor), server.client()
    withdrawn(people)
    for _ in range(rounds):
        people.consent = None
        people.consents()
        at = f"/Consent/{people.consent}"
        given = consent(people.patient, to=f"Practitioner/{people.doctor_id}") | {"id": people.consent}
        with crowd(server, READERS) as clients:
            for client in clients.clients:
                client.token = people.alice[1]

            def edit(client, n, at=at, given=given):
                if n % 2:
                    return client.delete(at, If_Match='W/"1"')
                return client.put(at, given | {"dateTime": f"2026-02-0{n + 1}"}, If_Match='W/"1"')

            answers = clients.all_at_once(edit)
        won = [a.status for a in answers if a.status < 300]
        assert len(won) == 1, [a.status for a in answers]
        there = system.get(at).status == 200
        assert there == (won == [200])
        assert (reader.get(f"/Observation/{people.row}").status == 200) == there
        if there:
            withdrawn(people)
