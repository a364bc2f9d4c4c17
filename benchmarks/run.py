"""Rounds of the same work over one server or, in turns, over two; everything measured as plain data."""

import os
import statistics
import time
from dataclasses import dataclass

from . import bundles, discover, drive, processes, work
from .figures import Round

SCENARIOS = ("load", "read", "search", "crud")
OPEN_CLIENTS = 16  # enough that a client is free when an arrival is due


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    scenarios: tuple = SCENARIOS
    clients: int = 4  # of the load
    readers: int = 32  # of everything else: answers wait for commits, so few clients measure the disk
    duration: float = 10.0
    rounds: int = 3
    repeat: int = 1  # copies of the bundles per round of load
    source: str = "population:40"
    rate: float | None = None  # arrivals a second of an open loop beside each closed one


class Turns:
    """Hands out 0, 1, 2, ... to the clients of a round."""

    def __init__(self):
        self.next = drive.FORK.Value("l", 0)

    def __call__(self):
        with self.next.get_lock():
            turn = self.next.value
            self.next.value = turn + 1
        return turn


def measure(targets, plan, say=print):
    """All scenarios on all targets, rounds interleaved: A B, B A, A B, ..."""
    result = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": {"cpus": os.cpu_count(), "load_average_before": os.getloadavg()[0]},
        "plan": {name: getattr(plan, name) for name in Plan.__slots__},
        "servers": {t.name: {"base": t.base, "rounds": {}} for t in targets},
    }
    known = {}
    if "load" in plan.scenarios:
        for n in range(plan.rounds):
            templates = bundles.sources(plan.source, n)
            for target in order(targets, n):
                said, found = load(target, templates, plan, n)
                keep(result, target, "load", said, say)
                known[target.name] = found
    known = {t.name: discover.known(t, known.get(t.name, ())) for t in targets}
    for name, make in pieces(plan.scenarios):
        for n in range(plan.rounds):
            for target in order(targets, n):
                drive_once(result, target, name, make(known[target.name]), plan, n, say)
    for target in targets:
        if target.pid:
            memory = processes.memory(target.pid)
            result["servers"][target.name]["memory"] = {
                "pss_mb": round(sum(p.pss for p in memory) / 1e6, 1),
                "processes": [{"pid": p.pid, "name": p.name, "pss_mb": round(p.pss / 1e6, 1)} for p in memory],
            }
    result["summary"] = summary(result)
    if len(targets) == 2:
        result["ratios"] = ratios(result, targets)
    return result


def order(targets, n):
    """Who goes first alternates, so that a drift of the machine harms both alike."""
    return targets if n % 2 == 0 else tuple(reversed(targets))


def pieces(scenarios):
    """(name, Known -> work) of each piece of work besides the load."""
    if "read" in scenarios:
        yield "read", work.read
    if "search" in scenarios:
        for label in work.LABELS:
            yield f"search: {label}", lambda known, label=label: work.search(known, label)
    if "crud" in scenarios:
        yield "crud", work.crud


def load(target, templates, plan, n):
    """One load, then the wait until search finds all of it."""
    before = discover.counts(target, discover.watched(templates))
    loaded = drive.run(target, work.load(templates, plan.repeat, Turns()), plan.clients, seed=n)
    more = {query: number for query, number in discover.expected(templates, loaded.pieces).items() if query in before}
    seconds, missing = discover.searchable_after(target, before, more)
    said = loaded.figures()
    said["searchable_after_s"] = seconds
    if missing:
        said["not_found_by_search"] = missing
    return said, loaded.found


def drive_once(result, target, name, piece, plan, n, say):
    closed: Round = drive.run(target, piece, plan.readers, plan.duration, seed=n)
    keep(result, target, name, closed.figures(), say)
    if plan.rate:
        opened = drive.run(target, piece, max(plan.readers, OPEN_CLIENTS), plan.duration, plan.rate, seed=n)
        keep(result, target, f"{name}, {plan.rate:g}/s arriving", opened.figures(), say)


def keep(result, target, name, said, say):
    result["servers"][target.name]["rounds"].setdefault(name, []).append(said)
    total = said["total"]
    speed = total.get("resources_per_second")
    speed = f"{speed} resources/s" if speed else f"{total['per_second']} req/s"
    say(f"{target.name:>10}  {name}: {speed}, p99 {total['p99_ms']} ms, {total['errors']} errors", flush=True)


def summary(result):
    """The median round of every piece of work on every server."""
    return {
        server: {name: median(rounds) for name, rounds in data["rounds"].items()}
        for server, data in result["servers"].items()
    }


def median(rounds):
    """Medians over the rounds; errors are summed and the peak of memory is the highest."""
    merged = {}
    for key in (
        "per_second",
        "resources_per_second",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "server_cpu_ms_each",
        "client_cpu_ms_each",
    ):
        values = [r["total"][key] for r in rounds if r["total"].get(key) is not None]
        if values:
            merged[key] = round(statistics.median(values), 3)
    merged["errors"] = sum(r["total"]["errors"] for r in rounds)
    peaks = [r["total"]["peak_pss_mb"] for r in rounds if "peak_pss_mb" in r["total"]]
    if peaks:
        merged["peak_pss_mb"] = max(peaks)
    waits = [r["searchable_after_s"] for r in rounds if "searchable_after_s" in r]
    if waits:
        merged["searchable_after_s"] = max(waits)
    return merged


def ratios(result, targets):
    """How many times faster the first server is than the second; median of the ratios of paired rounds."""
    first, second = (result["servers"][t.name]["rounds"] for t in targets)
    found = {}
    for name in first:
        pairs = []
        for a, b in zip(first[name], second.get(name, ()), strict=False):
            speeds = [s["total"].get("resources_per_second") or s["total"]["per_second"] for s in (a, b)]
            if all(speeds):
                pairs.append(speeds[0] / speeds[1])
        if pairs:
            found[name] = round(statistics.median(pairs), 2)
    return found
