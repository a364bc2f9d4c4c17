"""How far the index is behind: under all the load that the server takes, after it, and at half of that rate.

    python -m benchmarks lag --source ../shared/data/synthea --seconds 30

The lag is the age of the oldest write that waits for the indexer, as /metrics tells it, looked at ten times a second.
"""

import re
import threading
import time
import urllib.request
from urllib.parse import urlsplit

from . import bundles, drive, peers, work
from .figures import percentile
from .run import OPEN_CLIENTS, Turns

LAG, PENDING = (re.compile(rf"^fhir_index_{name}\S* (\S+)$", re.M) for name in ("lag_seconds", "pending"))
EVERY = 0.1  # seconds
GONE = 60  # seconds that the rest may take
ENDLESS = 1_000_000  # copies: the time ends the load


def command(commands):
    """The command's arguments."""
    parser = commands.add_parser("lag", help="how far the index is behind under full and half load")
    parser.add_argument("--source", default="population:40", help="population:N or a folder of Bundles")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the two loads")
    return parser


class Watch(threading.Thread):
    """Samples of (lag in seconds, writes that wait) until told to stop."""

    def __init__(self, base):
        super().__init__(daemon=True)
        parts = urlsplit(base)
        self.url, self.over, self.samples = f"{parts.scheme}://{parts.netloc}/metrics", threading.Event(), []

    def look(self):
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text = answer.read().decode()
        return float(LAG.search(text)[1]), float(PENDING.search(text)[1])

    def run(self):
        while not self.over.wait(EVERY):
            self.samples.append(self.look())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def figures(self):
        lags = sorted(lag for lag, _ in self.samples)
        told = {f"p{share}_s": round(percentile(lags, share), 3) for share in (50, 99)}
        return told | {"max_s": round(lags[-1], 3), "max_waiting": int(max(n for _, n in self.samples))}


def measure(options):
    """Figures of both loads on a server of its own, as plain data."""
    result = {}
    with peers.started(alone=True) as (target,):
        rate = None
        for name in ("full", "half"):
            templates = bundles.sources(options.source, 0)
            entries = sum(t.entries for t in templates) / len(templates)
            jobs = work.load(templates, ENDLESS, Turns())
            clients = options.clients if rate is None else max(options.clients, OPEN_CLIENTS)
            with Watch(target.base) as watch:
                done = drive.run(target, jobs, clients, options.seconds, rate)
            ended = time.monotonic()
            while watch.look()[1] and time.monotonic() - ended < GONE:
                time.sleep(EVERY)
            total = done.figures()["total"]
            result[name] = {
                "resources_per_second": total["resources_per_second"], "errors": total["errors"],
                **watch.figures(), "gone_after_s": round(time.monotonic() - ended, 2),
            }  # fmt: skip
            rate = total["resources_per_second"] / entries / 2
    return result
