"""The demo logins have people behind them, once: `issue_token --user doctor` works at once."""

from datetime import UTC, datetime

from django.contrib.auth import get_user_model

from accessctl.majority import majority
from accessctl.people import AttendingDoctor, Block, Person, Proxy
from accessctl.rights import ConsentRule
from fhirserver.management.commands import demo
from tests.api import Api

from .people import api


def test_people_behind_the_logins(database):
    system = Api()
    cast = demo.cast()
    for resource in cast:
        made = system.post(resource["resourceType"], {k: v for k, v in resource.items() if k in KEPT})
        assert made.status_code == 201, made.content
    for login, *_ in demo.accounts():
        get_user_model().objects.create(username=login)
    for _ in range(2):
        demo.behind_logins()
    assert Person.objects.count() == 9 and ConsentRule.objects.count() == 1
    assert [each.objects.count() for each in (Proxy, AttendingDoctor, Block)] == [2, 1, 1]
    represented = Proxy.objects.get(kind="representative")
    assert represented.until == majority(cast[3]["birthDate"]) > datetime.now(UTC)
    patient = Person.objects.get(user__username="patient").patient
    told = {login: api(login).get(f"Patient/{patient}").status_code for login, *_ in demo.accounts()}
    assert told == {
        "patient": 200, "proxy": 200, "minor": 404, "parent": 404, "doctor": 200, "doctor2": 404, "emergency": 404,
        "dpo": 404, "administrator": 404,
    }  # fmt: skip
    minor = Person.objects.get(user__username="minor").patient
    told = {login: api(login).get(f"Patient/{minor}").status_code for login, *_ in demo.accounts()}
    assert [login for login, status in told.items() if status == 200] == ["minor", "parent"]


KEPT = ("resourceType", "identifier", "name", "gender", "birthDate")
