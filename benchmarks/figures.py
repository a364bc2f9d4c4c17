"""Latencies and counts of a piece of work, and what is said of them."""

from array import array
from collections import Counter
from dataclasses import dataclass, field


def percentile(ordered, share):
    """Nearest-rank percentile of a sorted sequence; None when it is empty."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]


@dataclass
class Tally:
    """What one client saw under one label."""

    seconds: array = field(default_factory=lambda: array("d"))
    resources: int = 0
    errors: int = 0
    examples: list = field(default_factory=list)  # the first few errors, in words

    def add(self, other):
        self.seconds.extend(other.seconds)
        self.resources += other.resources
        self.errors += other.errors
        self.examples = (self.examples + other.examples)[:3]


@dataclass
class Round:
    """One piece of work on one server, all clients together."""

    elapsed: float
    tallies: dict  # label -> Tally
    found: list  # (type, id) that the server made
    cpu: float | None = None  # CPU seconds of the server's processes
    client_cpu: float = 0.0  # and of the clients, which share the machine with it
    peak: int | None = None  # bytes of PSS
    pieces: Counter = field(default_factory=Counter)  # how often each piece of the work succeeded
    unsent: int = 0  # arrivals of an open loop that the clients did not get to send

    def figures(self):
        """The round as plain data: totals and one row a label."""
        rows = {label: row(tally, self.elapsed) for label, tally in sorted(self.tallies.items())}
        whole = Tally()
        for tally in self.tallies.values():
            whole.add(tally)
        total = row(whole, self.elapsed)
        answers = len(whole.seconds)
        units = whole.resources or answers
        total["client_cpu_ms_each"] = round(self.client_cpu * 1000 / units, 3) if units else None
        if self.cpu is not None:
            total["server_cpu_s"] = round(self.cpu, 3)
            total["server_cpu_ms_each"] = round(self.cpu * 1000 / units, 3) if units else None
        if self.peak is not None:
            total["peak_pss_mb"] = round(self.peak / 1e6, 1)
        if self.unsent:
            total["unsent"] = self.unsent
        return {"elapsed_s": round(self.elapsed, 3), "total": total, "labels": rows}


def row(tally, elapsed):
    """Throughput, percentiles in milliseconds, errors."""
    ordered = sorted(tally.seconds)

    def ms(share):
        value = percentile(ordered, share)
        return None if value is None else round(value * 1000, 3)

    said = {
        "answers": len(ordered),
        "per_second": round(len(ordered) / elapsed, 1) if elapsed else None,
        "p50_ms": ms(50),
        "p95_ms": ms(95),
        "p99_ms": ms(99),
        "max_ms": round(ordered[-1] * 1000, 3) if ordered else None,
        "errors": tally.errors,
    }
    if tally.resources:
        said["resources"] = tally.resources
        said["resources_per_second"] = round(tally.resources / elapsed, 1)
    if tally.examples:
        said["error_examples"] = tally.examples
    return said
