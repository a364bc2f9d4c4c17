"""python -m benchmarks run --base URL ... | python -m benchmarks bench | python -m benchmarks people N DIR"""

import argparse
import json
import sys
import time
from pathlib import Path

from . import bundles, compare, cost, lag, pages, plans, report, rights, run, scale
from .connection import Target


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure a running server, or two in turns")
    one.add_argument("--base", required=True, help="FHIR base URL")
    one.add_argument("--token", help="bearer token")
    one.add_argument("--pid", type=int, help="root of the server's process tree: memory and CPU are measured")
    one.add_argument("--name", default="server")
    one.add_argument("--vs", metavar="URL", help="a second server, given the same work")
    one.add_argument("--vs-token")
    one.add_argument("--vs-pid", type=int)
    one.add_argument("--vs-name", default="other")
    both = commands.add_parser("bench", help="start this server and sekmet on empty data and compare them")
    both.add_argument("--alone", action="store_true", help="this server only")
    many = commands.add_parser("people", help="write the synthetic population as files for `manage.py load`")
    many.add_argument("count", type=int, help="how many people, a transaction Bundle each")
    many.add_argument("folder", type=Path)
    many.add_argument("--seed", type=int, default=1)
    scale.command(commands)
    rights.command(commands)
    lag.command(commands)
    cost.command(commands)
    pages.command(commands)
    compare.command(commands)
    plans.command(commands)
    for command in (one, both):
        command.add_argument("--scenario", default="all", help="load,read,search,crud or all")
        command.add_argument("--clients", type=int, default=4, help="that load (default 4)")
        command.add_argument("--readers", type=int, default=32, help="that read, search and change (default 32)")
        command.add_argument("--duration", type=float, default=5.0, help="seconds of each round but the load")
        command.add_argument("--rounds", type=int, default=3)
        command.add_argument("--repeat", type=int, default=1, help="copies of the bundles per round of load")
        command.add_argument("--source", default="population:40", help="population:N or a folder of Bundles")
        command.add_argument("--rate", type=float, help="add an open loop of so many arrivals a second")
        command.add_argument("--json", type=Path, help="where to write the result")
    return parser.parse_args(arguments)


def plan(options):
    names = run.SCENARIOS if options.scenario == "all" else tuple(options.scenario.split(","))
    unknown = set(names) - set(run.SCENARIOS)
    if unknown:
        raise SystemExit(f"unknown scenario {', '.join(sorted(unknown))}; known: {', '.join(run.SCENARIOS)}")
    given = ("clients", "readers", "duration", "rounds", "repeat", "source", "rate")
    return run.Plan(names, **{name: getattr(options, name) for name in given})


def main(arguments=None):
    options = parse(arguments)
    if options.command == "people":
        written = bundles.write(options.count, options.folder, options.seed)
        print(f"{options.count:,} people, {written:,} entries in {options.folder}")
        return 0
    if options.command == "scale":
        return scale.main(options)
    if options.command == "compare":
        return compare.main(options)
    if options.command == "rights":
        print(json.dumps(rights.measure(options), indent=1))
        return 0
    if options.command == "lag":
        print(json.dumps(lag.measure(options), indent=1))
        return 0
    if options.command == "pages":
        return pages.main(options)
    if options.command == "plans":
        return plans.main(options)
    if options.command == "cost":
        return told(cost.measure(options), options.json)
    todo = plan(options)
    if options.command == "bench":
        from . import peers

        with peers.started(alone=options.alone) as targets:
            result = run.measure(targets, todo)
    else:
        targets = [Target(options.name, options.base, options.token, options.pid)]
        if options.vs:
            targets.append(Target(options.vs_name, options.vs, options.vs_token, options.vs_pid))
        result = run.measure(tuple(targets), todo)
    return told(result, options.json)


def told(result, where):
    """Print the table, keep the result whole; 1 when the first server answered an error."""
    print("\n".join(["", *report.table(result)]))
    where = where or Path("bench-results") / time.strftime("%Y%m%dT%H%M%S.json")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(json.dumps(result, indent=1))
    print(f"written to {where}")
    ours = next(iter(result["summary"].values()))
    failed = any(said["errors"] for said in ours.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
