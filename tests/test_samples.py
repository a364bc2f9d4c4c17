"""A sample a minute of how the server does: of the counters that web processes keep in files."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from fhirserver.metrics import SECONDS
from fhirserver.models import Sample
from fhirserver.samples import Counted, Sampler, counted

BOUNDS = [*(str(float(bound)) for bound in SECONDS._kwargs["buckets"]), "+Inf"]
ANSWERS = some.lists(
    some.tuples(some.sampled_from(["read", "search-type", "$lastn", "é" * 9]), some.sampled_from([200, 404, 500, 503]),
                some.floats(0, 60)), max_size=30)  # fmt: skip


def served(folder, process, answers):
    """What a web process leaves in its files after these answers (interaction, status, seconds)."""
    totals, times = (MmapedDict(str(folder / f"{kind}_{process}.db")) for kind in ("counter", "histogram"))
    for interaction, status, took in answers:
        add(totals, "fhir_requests", "_total", {"interaction": interaction, "status": str(status)}, 1)
        add(times, "fhir_request_seconds", "_sum", {"interaction": interaction}, took)
        for bound in BOUNDS:  # each is there from the first answer on
            add(times, "fhir_request_seconds", "_bucket", {"interaction": interaction, "le": bound}, 0)
        bound = next(bound for bound in BOUNDS if took <= float(bound))
        add(times, "fhir_request_seconds", "_bucket", {"interaction": interaction, "le": bound}, 1)
    for each in (totals, times):
        each.close()


def add(file, family, suffix, labels, amount):
    key = mmap_key(family, family + suffix, list(labels), list(labels.values()), "said for people")
    file.write_value(key, file.read_value(key)[0] + amount, 0.0)


@given(ANSWERS, ANSWERS)
def test_reads_what_prometheus_reads(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("metrics")
    served(folder, 1, first)
    served(folder, 2, second)
    (folder / "gauge_mostrecent_1.db").write_bytes(b"something else")
    registry = CollectorRegistry()
    told = {}
    for family in MultiProcessCollector(registry, str(folder)).merge(
        [str(path) for path in folder.iterdir() if "gauge" not in path.name], accumulate=False
    ):
        for sample in family.samples:
            told[sample.name] = told.get(sample.name, 0) + sample.value
    found = counted(str(folder))
    assert found.requests == told.get("fhir_requests_total", 0) == len(first) + len(second)
    assert found.errors == sum(status >= 500 for _, status, _ in first + second)
    assert found.seconds == pytest.approx(told.get("fhir_request_seconds_sum", 0))
    assert sum(found.within.values()) == found.requests
    slow = found.slow()
    if found.requests:
        took = sorted(seconds for *_, seconds in first + second)
        assert slow >= min(30, took[-1 - len(took) // 20]), "19 of 20 answers took no longer"
    else:
        assert slow is None


def test_what_came_since_the_sample_before(database, tmp_path):
    sampler = Sampler(str(tmp_path))
    served(tmp_path, 1, [("read", 200, 0.002), ("read", 500, 0.2)])
    Sample.objects.create(at=datetime.now(UTC) - timedelta(days=1, minutes=1), node="x", waiting=0, lag=0)
    sampler.take()
    (sample,) = Sample.objects.all()
    assert (sample.requests, sample.errors, sample.slow) == (2, 1, 0.25), "and that of the day before is gone"
    assert sample.seconds == pytest.approx(0.202)
    sampler.take()
    assert Sample.objects.count() == 1, "one a minute"
    assert sampler.before.since(sampler.before) == Counted(0, 0, 0.0, dict.fromkeys(sampler.before.within, 0))


def test_where_nobody_counts_the_queue_is_told_alone(database, tmp_path):
    for folder in (None, str(tmp_path / "nothing")):
        Sample.objects.all().delete()
        Sampler(folder).take()
        (sample,) = Sample.objects.all()
        assert (sample.requests, sample.slow, sample.waiting) == (None, None, 0)


def test_counters_that_began_anew_say_nothing_of_the_minute():
    before = Counted(10, 0, 1.0, {0.1: 10})
    assert Counted(3, 0, 0.1, {0.1: 3}).since(before) is None
    assert Counted(12, 1, 1.5, {0.1: 10, 0.5: 2}).since(before) == Counted(2, 1, 0.5, {0.1: 0, 0.5: 2})
