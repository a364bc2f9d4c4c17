"""What consent, audit and row-level security cost together: this server against itself without the three, in turns.

    python -m benchmarks cost --source population:40

Each of the two runs on an empty folder of its own; an application loads, then it and a doctor, to whom every patient
consents, read by id and search pages of 50. The ratio is the share of the bare server's rate that is left.
"""

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from . import bare, bundles, discover, drive, peers, run, work

PAGES = ("patient page", "code page")
WARM = 1.0  # seconds of each before its rounds: connections plan what they have not seen


def command(commands):
    """The command's arguments."""
    parser = commands.add_parser("cost", help="what consent, audit and row-level security cost, as rates")
    parser.add_argument("--source", default="population:40", help="population:N or a folder of Bundles")
    parser.add_argument("--clients", type=int, default=4, help="that load")
    parser.add_argument("--readers", type=int, default=16, help="that read and search")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=1, help="copies of the bundles per round of load")
    parser.add_argument("--duration", type=float, default=4.0, help="seconds of each round but the load")
    parser.add_argument("--json", type=Path, help="where to write the result")
    return parser


def measure(options):
    """Rates of both, and their ratios, as plain data."""
    plan = run.Plan((), clients=options.clients, readers=options.readers, duration=options.duration,
                    rounds=options.rounds, repeat=options.repeat, source=options.source)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="cost-") as folder, contextlib.ExitStack() as stack:
        folders = {name: Path(folder) / name for name in ("whole", "bare")}
        targets = (
            stack.enter_context(peers.ours(folders["whole"], "whole")),
            stack.enter_context(peers.ours(folders["bare"], "bare", ("-m", "benchmarks.bare"))),
        )
        bare.unwall(folders["bare"])
        result = {"servers": {t.name: {"base": t.base, "rounds": {}} for t in targets}}
        known = {}
        for n in range(plan.rounds):
            templates = bundles.sources(plan.source, n)
            for target in run.order(targets, n):
                said, known[target.name] = run.load(target, templates, plan, n)
                run.keep(result, target, "load", said, print)
        known = {t.name: discover.known(t, known[t.name]) for t in targets}
        for who, each in (("application", targets), ("doctor", as_doctor(targets, folders))):
            for name, piece in pieces():
                for target in each:
                    drive.run(target, piece(known[target.name]), plan.readers, WARM)
                for n in range(plan.rounds):
                    for target in run.order(each, n):
                        run.drive_once(result, target, f"{who}: {name}", piece(known[target.name]), plan, n, print)
        result["summary"] = run.summary(result)
        result["ratios"] = run.ratios(result, targets)
        return result


def pieces():
    """(name, Known -> work) of each piece of work besides the load."""
    yield "read", lambda known: work.read(known, (200, 404))  # a restricting label hides some from the doctor
    for label in PAGES:
        yield label, lambda known, label=label: work.search(known, label)


def as_doctor(targets, folders):
    """The same servers, asked by a doctor whom every patient of theirs permits."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")
    import django

    django.setup()
    from accessctl import actor
    from fhirserver.embedded.reach import reach
    from records.database import as_system

    from .rights import doctor

    found = []
    for target in targets:
        with reach(folders[target.name]), as_system():
            doctor(EVERYBODY)
            token = actor.issue("benchmark", "user/*.rs", user=f"benchmark-{EVERYBODY}")
        found.append(replace(target, token=token))
    return tuple(found)


EVERYBODY = 1_000_000
