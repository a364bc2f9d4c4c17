"""special: near, the Locations within a distance of a place. (location.html#positional)"""

import re
from math import isfinite

from django.db import models

from records.sql import SQL, any_of

from .base import IndexRow, Match, SearchType, invalid, search_type, split, unescape

RADIUS = 6371.0088  # km, mean of the earth
DEGREE = 111.19  # km of one degree of latitude
FAR = 50.0  # km, when no distance is given
UNITS = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "[mi_us]": 1.609347, "mi": 1.609344, "": 1.0}
NUMBERS = re.compile(r"[0-9.eE+ -]*")  # a + that was not escaped in the URL is a space
HAVERSINE = (
    f"{RADIUS * 2} * asin(least(1, sqrt(power(sin(radians(i.latitude - %s) / 2), 2) + cos(radians(%s))"
    " * cos(radians(i.latitude)) * power(sin(radians(i.longitude - %s) / 2), 2)))) <= %s"
)


class Position(IndexRow):
    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    latitude = models.FloatField()
    longitude = models.FloatField()

    class Meta:
        db_table = "position"
        indexes = [models.Index(fields=["param", "latitude", "resource"], name="position_latitude")]


@search_type
class SpecialType(SearchType):
    kind = "special"
    table = "position"

    # write side

    def emitter(self, param, route):
        number = param.key
        if route.type != "Location.position":
            return None

        def emit(position, rows):
            if "latitude" in position and "longitude" in position:
                rows.position.add((number, float(position["latitude"]), float(position["longitude"])))

        return emit

    # read side

    def match(self, param, texts):
        return Match("position", SQL("i.param = %s", (param.key,)) & any_of(self._near(param, t) for t in texts))

    def _near(self, param, text):
        """`latitude|longitude|distance|units`; km when no unit is named."""
        parts = [unescape(p) for p in split(text, "|")]
        unit = parts[3] if len(parts) == 4 else ""
        try:
            if not NUMBERS.fullmatch("".join(parts[:3])):  # Python reads more than these as numbers
                raise ValueError(text)
            latitude, longitude, distance = (float(p) for p in (*parts[:2], "".join(parts[2:3]) or FAR))
        except ValueError:
            latitude = longitude = distance = float("nan")
        if not (2 <= len(parts) <= 4 and abs(latitude) <= 90 and abs(longitude) <= 180 and unit in UNITS) or not (
            isfinite(distance) and distance >= 0
        ):
            raise invalid(param, text, "expected latitude|longitude|distance|units, the units one of km, m, [mi_i]")
        km = distance * UNITS[unit]
        room = km / DEGREE * 1.01
        box = SQL("i.latitude >= %s AND i.latitude <= %s", (latitude - room, latitude + room))
        return box & SQL(HAVERSINE, (latitude, latitude, longitude, km))
