"""Immunizations by the French calendar: childhood, boosters, influenza, Covid-19."""

import datetime

from .chart import V3, coding, concept, reference
from .illnesses import ADULT_BOOSTERS, CHILDHOOD, COVID, DTP, FLU
from .problems import ATC

MONTH = 30.44


def write(chart):
    person = chart.person
    if not person.adult:
        for month, vaccine, dose in CHILDHOOD:
            given(chart, vaccine, person.birth + datetime.timedelta(days=month * MONTH), dose)
        return
    for turn, age in enumerate(a for a in ADULT_BOOSTERS[-1::-1] if a <= person.age):
        if turn < 2:
            given(chart, DTP, person.birth + datetime.timedelta(days=age * 365.25 + 40))
    for dose in (1, 2, 3):
        given(
            chart,
            COVID,
            datetime.date(2021, 3 + 2 * dose, 4) + datetime.timedelta(days=chart.random.randrange(40)),
            dose,
        )
    if person.age >= 65:
        for years in (1, 2, 3):
            autumn = datetime.date(chart.today.year - years, 10, 20)
            given(chart, FLU, autumn + datetime.timedelta(days=chart.random.randrange(30)))


def given(chart, vaccine, day, dose=None):
    """One injection, if its day has come."""
    if not chart.person.birth < day < chart.today:
        return
    random = chart.random
    said = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": concept(ATC, vaccine.atc, vaccine.name),
        "patient": chart.subject,
        "occurrenceDateTime": day.isoformat(),
        "primarySource": True,
        "manufacturer": {"display": vaccine.maker},
        "lotNumber": f"{random.choice('ABCDEFGH')}{random.randrange(10**5):05d}",
        "site": {"coding": [coding(f"{V3}ActSite", "LA", "left arm")], "text": "Bras gauche"},
        "route": {
            "coding": [coding(f"{V3}RouteOfAdministration", "IM", "Injection, intramuscular")],
            "text": "Voie intramusculaire",
        },
        "performer": [{"actor": reference(chart.doctor)}],
    }
    if dose:
        said["protocolApplied"] = [{"doseNumberPositiveInt": dose}]
    chart.add(said)
