"""A whole load: all inputs, in parallel, each part once, with a report of what was refused."""

import time
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connections

from .. import errors
from . import ledger, work
from .inputs import DAMAGED, Input, position
from .lines import chunks
from .processes import Pool
from .work import Lines, Refusal, Whole

MOST_ENTRIES = 100_000  # of one Bundle: no client waits for the answer, and its size is bounded by bytes


@dataclass(slots=True)
class Summary:
    """What a load did."""

    inputs: int = 0
    finished_before: int = 0
    written: int = 0
    refused: int = 0
    seconds: float = 0.0

    def __str__(self):
        before = f", {self.finished_before:,} of them loaded before" if self.finished_before else ""
        rate = self.written / self.seconds if self.seconds else 0
        return (
            f"{self.inputs:,} inputs{before}: {self.written:,} resources written in {self.seconds:.1f} s"
            f" ({rate:,.0f}/s), {self.refused:,} refused"
        )


@dataclass(slots=True)
class Course:
    """How far one input is."""

    source: Input
    waiting: int = 0  # units given to the processes and not back yet
    all_given: bool = False
    refused: int = 0


@dataclass(slots=True)
class Load:
    """One run over the inputs."""

    inputs: list
    report: object
    progress: object
    summary: Summary = field(default_factory=Summary)
    courses: dict = field(default_factory=dict)  # number in the ledger -> Course
    held: list = field(default_factory=list)  # Bundles to try once more when all others are in, with their refusals
    second: bool = False  # trying those

    def run(self, pool):
        began = time.monotonic()
        self.summary.inputs = len(self.inputs)
        for result in pool.map(self.units()):
            self.take(result)
        self.second = True
        if self.summary.written:
            for result in pool.map([unit for unit, _ in self.held]):
                self.take(result)
        else:
            for unit, refusals in self.held:
                for refusal in refusals:
                    self.refuse(refusal, self.courses[unit.number])
        self.summary.seconds = time.monotonic() - began
        return self.summary

    def units(self):
        """The work of all inputs that is not done yet."""
        for source in self.inputs:
            try:
                number, finished = ledger.enter(source)
            except OSError as error:
                self.unreadable(source, error)
                continue
            if finished or number in self.courses:
                self.summary.finished_before += finished
                self.progress.read(source.size)
                continue
            course = self.courses[number] = Course(source)
            for unit in self.units_of(number, source):
                course.waiting += 1
                yield unit
            course.all_given = True
            self.settle(number)

    def units_of(self, number, source):
        done = ledger.done(number)
        if not source.is_lines:
            yield Whole(number, source, tuple(done))
            return
        read = 0
        try:
            with source.open() as content:
                for chunk in chunks(content, done):
                    yield Lines(number, source, chunk)
                    now = position(content)
                    self.progress.read(now - read)
                    read = now
        except DAMAGED as error:
            self.unreadable(source, error, number)
        self.progress.read(source.size - read)

    def take(self, result):
        """Account for the result of a unit."""
        course = self.courses[result.number]
        self.summary.written += result.written
        self.progress.wrote(result.written)
        if not course.source.is_lines and not self.second:
            self.progress.read(course.source.size)
            if [(r.place, r.again) for r in result.refused] == [("", True)]:
                self.held.append((Whole(result.number, course.source), result.refused))
                return  # still waiting
        course.waiting -= 1
        for refusal in result.refused:
            self.refuse(refusal, course)
        self.settle(result.number)

    def settle(self, number):
        """All parts are back and none was refused: the input is finished."""
        course = self.courses[number]
        if course.all_given and not course.waiting and not course.refused:
            ledger.finish(number)

    def refuse(self, refusal, course=None):
        self.report.add(refusal)
        self.summary.refused += 1
        self.progress.wrote(0, 1)
        if course:
            course.refused += 1

    def unreadable(self, source, error, number=None):
        issue = errors.Issue("error", "exception", f"The file cannot be read: {error}")
        self.refuse(Refusal(str(source.path), "", "", 400, (issue,)), self.courses.get(number))


def load(inputs, execute, report, progress, processes=2):
    """Load the Inputs by `execute` (see work.py) in so many processes; a Summary."""

    def carry_out(unit):
        settings.FHIRSERVER_MAX_ENTRIES = MOST_ENTRIES  # in this process only
        settings.FHIRSERVER_INDEX_BACKLOG = 0  # a load leaves all of it to the worker, or to the end
        return work.load(unit, execute)

    connections.close_all()
    with Pool(processes, carry_out) as pool, ledger.claimed():
        return Load(inputs, report, progress).run(pool)
