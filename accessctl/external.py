"""Logins by an identity provider: which identifier is whom here, and what the provider is believed about them.

Links are made by an administrator. With each sign-in the provider, as a directory, says the profession and the
organisations: those that are linked here become memberships, and end when it says them no more.
"""

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from .people import Membership, Person

FINESS = "https://finess.esante.gouv.fr"
MOST = 50  # exercises and activities that are looked at


class ExternalIdentity(models.Model):
    """An identifier of another system, and the login or the organisation that it is here."""

    system = models.CharField(max_length=300)  # the issuer; for organisations that of FINESS
    value = models.CharField(max_length=200)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    party = models.CharField(max_length=90, null=True)  # "Organization/1"
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "external_identity"
        constraints = [models.UniqueConstraint(fields=["system", "value"], name="external_identity_once")]


class Unknown(Exception):
    """Nobody here has this identifier, or not as the person that the provider describes."""


@transaction.atomic
def signed_in(issuer, claims):
    """The user whom the claims of a provider are about, brought up to date; Unknown when there is none."""
    national = claims.get("SubjectNameID")
    if not isinstance(national, str) or not national:
        raise Unknown("no SubjectNameID")
    link = ExternalIdentity.objects.select_related("user").filter(system=issuer, value=national).first()
    if link is None or link.user is None or not link.user.is_active:
        raise Unknown("no active login is linked to this SubjectNameID")
    person = Person.objects.select_for_update(of=("self",)).filter(user=link.user, kind="professional").first()
    if person is None:
        raise Unknown("the login is not that of a professional")
    practised(person, exercises(claims))
    return link.user


def exercises(claims):
    """[(profession, (FINESS number of each activity))] of SubjectRefPro."""
    found = claims.get("SubjectRefPro")
    listed = found.get("exercices") if isinstance(found, dict) else None
    told = []
    for exercise in (listed if isinstance(listed, list) else [])[:MOST]:
        if not isinstance(exercise, dict):
            continue
        activities = exercise.get("activities")
        known = [a for a in (activities if isinstance(activities, list) else [])[:MOST] if isinstance(a, dict)]
        numbers = [a.get("numeroFinessSite") or a.get("numeroFINESSSite") for a in known]
        profession = exercise.get("codeProfession")
        if isinstance(profession, str) and profession:
            told.append((profession, tuple(n for n in numbers if isinstance(n, str) and n)))
    return told


def practised(person, told):
    """Profession and memberships as the provider says them; who has several professions acts in the one known here."""
    professions = {profession for profession, _ in told}
    if person.profession not in professions:
        if len(professions) != 1:
            raise Unknown("the profession known here is not one that the provider says")
        person.profession = professions.pop()
        person.save()
    numbers = {n for profession, numbers in told if profession == person.profession for n in numbers}
    linked = ExternalIdentity.objects.filter(system=FINESS).exclude(party=None).values_list("value", "party")
    now, parties = timezone.now(), {party for value, party in linked if value in numbers}
    open_now = Membership.objects.filter(person=person, until=None)
    had = set(open_now.values_list("party", flat=True))
    open_now.filter(party__in={party for _, party in linked} - parties).update(until=now)
    for party in sorted(parties - had):
        Membership.objects.create(person=person, party=party, since=now)
