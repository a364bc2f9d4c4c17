"""Dates and times as closed intervals of microseconds since 1970-01-01 UTC. (datatypes.html#dateTime, search.html#date)

A partial date is the whole interval it may mean; without a time zone it is taken in UTC.
"""

import re
from datetime import date

EPOCH = date(1970, 1, 1).toordinal()
SECOND = 1_000_000
DAY = 86400 * SECOND
MIN = (1 - EPOCH) * DAY  # 0001-01-01: the start of a period without one
MAX = (date.max.toordinal() - EPOCH + 1) * DAY - 1  # the end of 9999: the end of an open period
DATETIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def interval(text):
    """(low, high) of a date, dateTime or instant; ValueError says what is wrong with it."""
    if len(text) == 10 and text[7] == "-":  # Python also reads weeks and other signs, which FHIR does not know
        low = (date.fromisoformat(text).toordinal() - EPOCH) * DAY
        return low, low + DAY - 1
    match = DATETIME.fullmatch(text)
    if not match:
        raise ValueError("expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.sss]][Z|+hh:mm]")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if day is None:
        low = (date(int(year), int(month or 1), 1).toordinal() - EPOCH) * DAY
        return low, _start_of_next(int(year), int(month) if month else None) - 1
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        raise ValueError("hour is 00 to 23, minute 00 to 59, second 00 to 60")
    days = date(int(year), int(month), int(day)).toordinal() - EPOCH
    low = days * DAY + (int(hour) * 3600 + int(minute) * 60 + int(second or 0)) * SECOND
    if zone and zone != "Z":
        if zone[1:] > "14:00" or zone[4:] > "59":
            raise ValueError("a time zone is at most 14 hours from UTC")
        offset = (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * SECOND
        low = low - offset if zone[0] == "+" else low + offset
    if second is None:
        width = 60 * SECOND
    elif fraction is None:
        width = SECOND
    else:
        low += int(fraction[:6].ljust(6, "0"))
        width = 10 ** max(0, 6 - len(fraction))
    return max(low, MIN), min(low + width - 1, MAX)


def _start_of_next(year, month):
    """Start of the month, or year, after."""
    year, month = (year, month + 1) if month and month < 12 else (year + 1, 1)
    return MAX + 1 if year > 9999 else (date(year, month, 1).toordinal() - EPOCH) * DAY


def period(value):
    """(low, high) of a Period; an absent end is open. (search.html#date)"""
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return None
    return interval(start)[0] if start else MIN, interval(end)[1] if end else MAX


def timing(value):
    """The outer limits of a Timing, its details ignored; None when it has none. (search.html#date)"""
    found = [interval(event) for event in value.get("event", ()) if event]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds and (limits := period(bounds)):
        found.append(limits)
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found)


INTERVALS = {"date": interval, "dateTime": interval, "instant": interval, "Period": period, "Timing": timing}
