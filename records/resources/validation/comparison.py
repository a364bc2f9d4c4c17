"""Comparing dates of any precision: only what is certain counts. (datatypes.html#dateTime, fhirpath N1 comparison)"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DAY = timedelta(days=1)


def at_most(one, other) -> bool:
    """False only when the first date, dateTime or instant surely lies after the second."""
    if one.__class__ is not str or other.__class__ is not str:
        return True
    # Same length and same zone: the texts sort like the times.
    if len(one) == len(other) and (len(one) <= 10 or one[19:] == other[19:]):
        return one <= other
    return bounds(one)[0] <= bounds(other)[1]


@lru_cache(1024)
def bounds(text: str) -> tuple[datetime, datetime]:
    """The earliest and the latest moment a text can mean; without a zone, in any zone."""
    day, _, clock = text.partition("T")
    if clock:
        moment = instant(day, clock)
        return moment, moment
    year, month, day = (*map(int, day.split("-")), None, None)[:3]
    last = (12 if month is None else month), day
    low = date(year, month or 1, day or 1)
    high = date(year, last[0], day) if day else end_of_month(year, last[0])
    zone = timedelta(hours=14)
    midnight = lambda d: datetime(d.year, d.month, d.day, tzinfo=UTC)  # noqa: E731
    return shifted(midnight(low), -zone), shifted(midnight(high), DAY + zone)


def shifted(moment, by):
    """The moment moved, kept within what datetime can hold."""
    try:
        return moment + by
    except OverflowError:
        return moment


def end_of_month(year, month) -> date:
    return date(year, 12, 31) if month == 12 else date(year, month + 1, 1) - DAY


def instant(day: str, clock: str) -> datetime:
    """A moment in UTC; the 60th second of a leap second counts as the 59th."""
    if clock[6:8] == "60":
        clock = clock[:6] + "59" + clock[8:]
    moment = datetime.fromisoformat(f"{day}T{clock}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
