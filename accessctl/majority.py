"""A representative of a minor is one until the minor's majority: `Proxy.until` says so, judged at each request.

(Code civil art. 371-1, 414) The end follows from the birth date of the Patient, when the representation is entered and
when the date is. Who represents a person who is of age already, as a guardian, has no such end. Whom a representative
names has the end of the representative.
"""

from datetime import MAXYEAR, UTC, datetime, timedelta

from django.dispatch import receiver

from records.database import as_system, execute
from records.fhirpath.times import interval
from records.formats.json import parse
from records.keys import identity
from records.signals import resources_written

AGE = 18
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def majority(birth_date):
    """When who was born then is of age, as early as the date allows; None when there is none."""
    if not isinstance(birth_date, str):
        return None
    born = (EPOCH + timedelta(microseconds=interval(birth_date)[0])).date()
    if born.year + AGE > MAXYEAR:
        return None
    try:
        day = born.replace(year=born.year + AGE)
    except ValueError:  # born on 29 February
        day = born.replace(year=born.year + AGE, month=3, day=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@as_system()
def of_patient(key):
    """When the Patient of that key is of age, as the record says now."""
    rows = execute("SELECT body FROM resource WHERE identity = %s AND NOT deleted", (key,))
    return majority(parse(bytes(rows[0][0])).get("birthDate")) if rows else None


def until_majority(key, until, since=None):
    """When the representation of a patient, entered until then (None: for good), is over."""
    end, since = of_patient(key), since or datetime.now(UTC)
    return end if end and since < end and (until is None or until > end) else until


@receiver(resources_written)
def birth_dates_were_written(batch, **_):
    """A representation that began before the majority ends with it, or when somebody has said, if that is earlier."""
    ends = [
        (identity("Patient", d.id), end)
        for d in batch
        if d.type == "Patient" and d.resource is not None and (end := majority(d.resource.get("birthDate")))
    ]
    if ends:
        execute(
            "UPDATE proxy px SET until = e.at FROM unnest(%s::int8[], %s::timestamptz[]) AS e(patient, at)"
            " WHERE px.patient = e.patient AND px.kind <> 'mandated' AND px.since < e.at"
            " AND (px.until IS NULL OR px.until > e.at)",
            ([key for key, _ in ends], [end for _, end in ends]),
        )
