"""A representative's rights end at the minor's majority, at the request and not by a job."""

from datetime import UTC, datetime, timedelta

import pytest

from accessctl.labels import VISIBILITY
from accessctl.majority import majority
from accessctl.people import Proxy

from .people import api, person


@pytest.mark.parametrize(
    ("born", "of_age"),
    [("2010-05-17", (2028, 5, 17)), ("2010-05", (2028, 5, 1)), ("2010", (2028, 1, 1)), ("2008-02-29", (2026, 3, 1))],
)
def test_majority(born, of_age):
    assert majority(born) == datetime(*of_age, tzinfo=UTC)
    assert majority(None) is None and majority("9999-12-31") is None


def born(days_of_age):
    """The birth date of who has been of age for so many days."""
    day = datetime.now(UTC).date() - timedelta(days=days_of_age)
    return day.replace(year=day.year - 18, day=min(day.day, 28)).isoformat()


def child(world, birth):
    return world.made({"resourceType": "Patient", "birthDate": birth})


def represents(patient, login, **more):
    from records.keys import identity

    who = person(login, "patient")
    Proxy.objects.create(patient=identity("Patient", patient), person=who, kind="representative", **more)
    return api(login)


def test_until_majority_and_not_after(world):
    long_ago = datetime.now(UTC) - timedelta(days=3000)
    minor, adult = child(world, born(-100)), child(world, born(40))
    assert represents(minor, "mother", since=long_ago).get(f"Patient/{minor}").status_code == 200
    assert represents(adult, "father", since=long_ago).get(f"Patient/{adult}").status_code == 404
    assert represents(adult, "guardian").get(f"Patient/{adult}").status_code == 200  # named for a person of age
    mandated = person("friend", "patient")
    Proxy.objects.create(patient=Proxy.objects.get(person__user__username="father").patient, person=mandated,
                         kind="mandated", since=long_ago)  # fmt: skip
    assert api("friend").get(f"Patient/{adult}").status_code == 200


def test_a_birth_date_that_comes_later_ends_it(world):
    minor = world.made({"resourceType": "Patient"})
    mother = represents(minor, "mother", since=datetime.now(UTC) - timedelta(days=3000))
    assert mother.get(f"Patient/{minor}").status_code == 200
    tree = {"resourceType": "Patient", "id": minor, "birthDate": born(-100)}
    assert world.system.put(f"Patient/{minor}", tree).status_code == 200
    assert mother.get(f"Patient/{minor}").status_code == 200
    assert world.system.put(f"Patient/{minor}", tree | {"birthDate": born(40)}).status_code == 200
    assert mother.get(f"Patient/{minor}").status_code == 404


def test_whom_a_representative_names_has_no_more(world):
    """A second login of the mother, or a friend, neither learns the minor's secret nor stays when he is of age."""
    minor = world.made({"resourceType": "Patient", "birthDate": born(-100)})
    secret, plain = world.observation(minor, [(VISIBILITY, "INVISIBLE_REPRESENTANTS_LEGAUX")]), world.observation(minor)
    mother = represents(minor, "mother", since=datetime.now(UTC) - timedelta(days=3000))
    person("friend", "patient")

    def names(who, name="name-proxy"):
        body = {"resourceType": "Parameters", "parameter": [{"name": "login", "valueString": "friend"}]}
        return who.post(f"Patient/{minor}/${name}", body).status_code

    friend = api("friend")
    assert names(mother) == 200 and friend.get(f"Observation/{plain}").status_code == 200
    assert friend.get(f"Observation/{secret}").status_code == mother.get(f"Observation/{secret}").status_code == 404
    assert names(friend) == 404, "nor names others"
    named, mothers = (Proxy.objects.get(person__user__username=login) for login in ("friend", "mother"))
    world.system.put(f"Patient/{minor}", {"resourceType": "Patient", "id": minor, "birthDate": born(-99)})
    mothers.refresh_from_db()
    named.refresh_from_db()
    assert named.until == mothers.until and named.until > datetime.now(UTC)
    assert names(mother, "end-proxy") == 200 and friend.get(f"Observation/{plain}").status_code == 404
    child = api(person("son", "patient", patient=minor).user.username)
    assert names(child) == 200 and friend.get(f"Observation/{plain}").status_code == 200
    assert Proxy.objects.filter(person__user__username="friend", kind="mandated", until=None).count() == 1
