"""ImagingStudy: DICOM UIDs that a DICOM system would take. (DICOM PS3.5 chapter 9; imagingstudy.html)"""

import re

from ...errors import Issue
from . import before_write

UID = re.compile(r"(?=.{1,64}\Z)(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+\Z")
DICOM = "urn:dicom:uid"
EXPECTED = "expected numbers joined by dots, none with a leading zero, 64 characters at most"


@before_write("ImagingStudy")
def uids(resource):
    """Study, series and instance UIDs."""
    for n, identifier in enumerate(resource.get("identifier") or ()):
        if identifier.get("system") == DICOM:
            value = identifier.get("value") or ""
            place = f"ImagingStudy.identifier[{n}].value"
            if not value.startswith("urn:oid:"):
                yield Issue("error", "business-rule", f"The study UID {value!r} must begin with urn:oid:", place)
            elif not UID.match(value[8:]):
                yield Issue("error", "business-rule", f"{value!r} is no DICOM UID; {EXPECTED}.", place)
    for n, series in enumerate(resource.get("series") or ()):
        yield from uid(series, f"ImagingStudy.series[{n}].uid")
        for m, instance in enumerate(series.get("instance") or ()):
            yield from uid(instance, f"ImagingStudy.series[{n}].instance[{m}].uid")


def uid(node, place):
    value = node.get("uid")
    if isinstance(value, str) and not UID.match(value.removeprefix("urn:oid:")):
        yield Issue("error", "business-rule", f"{value!r} is no DICOM UID; {EXPECTED}.", place)


@before_write("ImagingStudy")
def counts(resource):
    """The counts agree with what is listed, when everything is listed."""
    series = resource.get("series") or ()
    stated = resource.get("numberOfSeries")
    if isinstance(stated, int) and series and stated < len(series):
        yield Issue(
            "warning", "business-rule", f"numberOfSeries is {stated}; {len(series)} are listed.",
            "ImagingStudy.numberOfSeries",
        )  # fmt: skip
