"""people(): the population, one transaction Bundle a person, the same for the same seed on every machine."""

import datetime
from random import Random

from . import carers, identity, imaging, laboratory, person, problems, vaccines, visits
from .chart import Chart

TODAY = datetime.date(2025, 6, 30)  # fixed, so that a seed means the same people for ever


def people(count, seed=1, *, start=0, method="POST", today=TODAY):
    """Transaction Bundles about `count` people from number `start` on.

    Organizations and Practitioners are conditional creates by FINESS and RPPS. With method PUT every other resource
    has a fixed id, so that writing the population twice changes nothing; with POST the server chooses ids.
    """
    for index in range(start, start + count):
        yield record(index, seed, method, today)


def record(index, seed, method, today):
    """Everything about one person."""
    random = Random(f"{seed} {index}")
    chart = Chart(person.draw(index, random, seed, today), random, today, method)
    carers.settle(chart)
    identity.patient(chart)
    known = problems.write(chart)
    problems.allergies(chart)
    seen = visits.write(chart)
    laboratory.write(chart, seen)
    imaging.write(chart, known)
    vaccines.write(chart)
    return chart.bundle()
