"""Who is told of an access: once for the first, at once for an emergency, at least once whatever fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.contrib.auth.models import Permission
from django.core import mail

from accessctl import notices, reviews
from accessctl.actor import Actor
from accessctl.actor import Person as Who
from accessctl.audit import seal
from accessctl.people import AttendingDoctor, Person
from accessctl.rights import Notice, Review
from fhirserver import mail as mailer
from fhirserver.settings import mail as mail_settings
from records import errors
from records.database import execute
from tests.api import Api
from tests.test_up import free_port

from .people import person
from .test_emergency import emergency, glass  # noqa: F401


@pytest.fixture(autouse=True)
def checkpoints(settings, tmp_path):
    settings.AUDIT_FOLDER = str(tmp_path / "audit")


def first():
    return execute("SELECT n.patient, u.username FROM notice n JOIN auth_user u ON u.id = n.about_id"
                   " WHERE kind = 'first-access'")  # fmt: skip


def addressed(login, address):
    user = Person.objects.get(user__username=login).user
    user.email = address
    user.save()


@pytest.fixture
def permitted(world):
    world.row = world.observation()
    world.consents(to="Practitioner/dr-doctor")
    return world


def test_100_concurrent_first_accesses_one_notice(permitted):
    """And two sealers at a time."""
    over = threading.Event()

    def sealing():
        while not over.is_set():
            seal.seal()

    def ask(_):
        assert Api(token=permitted.doctor.token).get(f"Observation/{permitted.row}").status_code == 200

    with ThreadPoolExecutor(18) as threads:
        sealers = [threads.submit(sealing) for _ in range(2)]
        list(threads.map(ask, range(100)))
        over.set()
        for each in sealers:
            each.result()
    seal.seal()
    assert first() == [(permitted.key, "doctor")]


def test_what_is_no_first_access_of_a_professional(permitted):
    w = permitted
    w.observation(by=w.stranger)  # a deposit
    assert w.stranger.get(f"Observation/{w.row}").status_code == 404
    w.patient.get(f"Observation/{w.row}")
    w.proxy.get(f"Observation/{w.row}")
    w.system.get(f"Observation/{w.row}")
    seal.seal()
    assert first() == []
    w.doctor.get("Observation")
    seal.seal()
    w.doctor.get(f"Observation/{w.row}")
    seal.seal()
    assert first() == [(w.key, "doctor")]


def test_it_is_told_to_the_patient_and_the_representative(permitted):
    addressed("alice", "alice@example.org")
    addressed("paul", "paul@example.org")
    permitted.doctor.get(f"Observation/{permitted.row}")
    seal.seal()
    assert notices.deliver(mailer.send) is False
    assert sorted(m.to[0] for m in mail.outbox) == ["alice@example.org", "paul@example.org"]
    assert "première fois" in mail.outbox[0].body and "first time" in mail.outbox[0].body
    assert "Aubert" not in mail.outbox[0].body and "doctor" not in mail.outbox[0].body
    notices.deliver(mailer.send)
    assert len(mail.outbox) == 2 and Notice.objects.get().delivered
    assert execute("SELECT interaction, patient FROM audit ORDER BY seq DESC LIMIT 1") == [("$notice", permitted.key)]


def test_an_emergency_is_told_to_the_patient_and_the_attending_doctor(emergency):  # noqa: F811
    w = emergency
    AttendingDoctor.objects.create(patient=w.key, person=Person.objects.get(user__username="stranger"))
    addressed("alice", "alice@example.org")
    addressed("stranger", "stranger@example.org")
    assert glass(w.doctor).status_code == 200
    notices.deliver(mailer.send)
    told = {m.to[0]: m.body for m in mail.outbox}
    assert told.keys() == {"alice@example.org", "stranger@example.org"}
    assert "attending doctor" in told["stranger@example.org"] and "breaking the glass" in told["alice@example.org"]


def test_at_least_once(emergency):  # noqa: F811
    """A mail server that fails, and a worker that dies after sending: the same message again, by its id."""
    addressed("alice", "alice@example.org")
    glass(emergency.doctor)
    tried = []

    def failing(notice, addresses):
        tried.append(notice.name)
        raise OSError("no route")

    notices.deliver(failing)
    row = Notice.objects.get()
    assert row.delivered is None and row.fault == "OSError" and row.attempts == 1
    notices.deliver(failing)
    assert len(tried) == 1  # not before its time
    Notice.objects.update(due="2020-01-01T00:00:00Z")

    def killed(notice, addresses):
        mailer.send(notice, addresses)
        raise SystemExit

    with pytest.raises(SystemExit):
        notices.deliver(killed)
    Notice.objects.update(due="2020-01-01T00:00:00Z")
    notices.deliver(mailer.send)
    assert len(mail.outbox) == 2 and Notice.objects.get().delivered
    assert mail.outbox[0].extra_headers["Message-ID"] == mail.outbox[1].extra_headers["Message-ID"]


def test_two_workers_do_not_send_the_same(emergency):  # noqa: F811
    addressed("alice", "alice@example.org")
    for _ in range(15):
        glass(emergency.doctor)
    sent = []
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: notices.deliver(lambda notice, to: sent.append(notice.id)), range(3)))
    assert len(sent) == len(set(sent)) == 15


def test_without_an_address_the_page_tells(emergency):  # noqa: F811
    glass(emergency.doctor)
    notices.deliver(mailer.send)
    row = Notice.objects.get()
    assert not mail.outbox and row.delivered is None and row.fault == "no address"
    who = Who(Person.objects.get(user__username="alice").pk, "patient", patient=emergency.key)
    assert [(kind, patient, name) for _, kind, patient, _, name in notices.inbox(who)] == [
        ("bris-de-glace", emergency.key, "doctor")
    ]
    assert Notice.objects.get().delivered
    assert notices.inbox(Who(Person.objects.get(user__username="bob").pk, "patient", patient=1)) == []


# -- the review queue ------------------------------------------------------------------------------------------------


def reviewer():
    found = person("reviewer", "staff")
    found.user.user_permissions.add(Permission.objects.get(codename="change_review"))
    return Actor("web", "reviewer", (), person=Who(found.pk, "staff"))


def test_reviewing(emergency):  # noqa: F811
    glass(emergency.doctor)
    judge = reviewer()
    (opened,) = reviews.waiting(judge)
    assert (opened.login, opened.patient, opened.mode) == ("doctor", emergency.a, "bris-de-glace")
    assert execute('SELECT interaction, "user", patient FROM audit ORDER BY seq DESC LIMIT 1') == [
        ("$reviews", "reviewer", emergency.key)
    ]
    for wrong in (("odd", "long enough a text"), ("justified", "short")):
        with pytest.raises(errors.InvalidValue):
            reviews.review(judge, opened.id, *wrong)
    reviews.review(judge, opened.id, "unjustified", "No emergency was to be seen there.")
    assert Review.objects.get().verdict == "unjustified" and not reviews.waiting(judge)
    assert [each.reviewer for each in reviews.done(judge)] == ["reviewer"]
    with pytest.raises(errors.NotFound):
        reviews.review(judge, opened.id, "justified", "On second thoughts it was.")
    clerk = Actor("web", "clerk", (), person=Who(Person.objects.get(user__username="clerk").pk, "staff"))
    for deed in (lambda: reviews.waiting(clerk), lambda: reviews.review(clerk, opened.id, "justified", "x" * 20)):
        with pytest.raises(errors.Forbidden):
            deed()


def test_nobody_judges_the_own_opening(emergency):  # noqa: F811
    glass(emergency.doctor)
    doctor = Person.objects.get(user__username="doctor")
    doctor.user.user_permissions.add(Permission.objects.get(codename="change_review"))
    Person.objects.filter(pk=doctor.pk).update(kind="staff")
    judge = Actor("web", "doctor", (), person=Who(doctor.pk, "staff"))
    with pytest.raises(errors.NotFound):
        reviews.review(judge, reviews.waiting(judge)[0].id, "justified", "It was quite right of me.")


class Letters:
    """What a mail server took."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


def test_it_is_sent_over_smtp_by_who_may_send(permitted, settings):
    """A real server, which asks for a name and a password; and one that is away, which delays the notice alone."""
    letters, known = Letters(), LoginPassword(b"fhir server", b"p@ss:w/rd")
    checked = {"authenticator": lambda *asked: AuthResult(success=asked[-1] == known), "auth_required": True}
    server = Controller(letters, "127.0.0.1", free_port(), auth_require_tls=False, **checked)
    settings.FHIRSERVER_MAIL_FROM = "Dossier <dossier@example.org>"
    by_smtp = mail_settings(f"smtp://fhir%20server:p%40ss%3Aw%2Frd@127.0.0.1:{server.port}", None)
    for name, value in by_smtp.items():
        setattr(settings, name, value)
    addressed("alice", "zoe@example.org")
    permitted.doctor.get(f"Observation/{permitted.row}")
    seal.seal()
    notices.deliver(mailer.send)
    row = Notice.objects.get()
    assert row.delivered is None and row.fault == "ConnectionRefusedError"
    Notice.objects.update(due="2020-01-01T00:00:00Z")
    server.start()
    try:
        notices.deliver(mailer.send)
    finally:
        server.stop()
    [(sender, to, letter)] = letters.taken
    assert (sender, to) == ("dossier@example.org", ["zoe@example.org"])
    assert "première fois" in letter.get_content() and letter["Auto-Submitted"] == "auto-generated"
    assert Notice.objects.get().delivered and Notice.objects.get().fault is None


def test_an_address_that_comes_later_gets_what_waited_for_it(permitted):
    permitted.doctor.get(f"Observation/{permitted.row}")
    seal.seal()
    notices.deliver(mailer.send)
    assert Notice.objects.get().fault == "no address" and not mail.outbox
    notices.send_to(Person.objects.get(user__username="bob").pk, "bob@example.org")
    notices.deliver(mailer.send)
    assert not mail.outbox, "another's address is of no use"
    notices.send_to(Person.objects.get(user__username="alice").pk, "alice@example.org")
    notices.deliver(mailer.send)
    assert [m.to for m in mail.outbox] == [["alice@example.org"]] and Notice.objects.get().delivered
