"""A large population, and how long searches over it take: `python -m benchmarks scale --data DIR --people N --shapes`.

Reading order: making.py (the data), shapes.py (the searches), scan.py (what they
must find), timing.py (the clock).
"""

import json
import os
import sys
import time
from pathlib import Path


def command(commands):
    """The command's arguments."""
    parser = commands.add_parser(
        "scale", help="make a large population in a data folder of its own, and measure searches"
    )
    parser.add_argument("--data", required=True, help="data folder, made and grown as needed")
    parser.add_argument("--people", type=int, default=0, help="grow to so many people, about 70 resources each")
    parser.add_argument("--processes", type=int, default=2, help="that make the data (default 2)")
    parser.add_argument("--shapes", action="store_true", help="compare searches with a scan, and time them")
    parser.add_argument("--compare", action="store_true", help="compare searches with a scan, and time none")
    parser.add_argument("--only", action="append", help="shapes whose name has this in it")
    parser.add_argument("--warm", action="store_true", help="not cold: no restarts, no empty page cache")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def main(options):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")
    os.environ.setdefault("FHIRSERVER_STATEMENT_TIMEOUT", "600000")  # what takes long is to be seen, not cut short
    import django

    django.setup()
    from fhirserver.embedded import Folder

    from . import making, timing

    folder = Folder.at(options.data)
    where = options.json or Path("bench-results") / time.strftime("scale-%Y%m%dT%H%M%S.json")
    with folder.lock("scale"):
        if options.people:
            people, resources = making.grow(folder, options.people, options.processes, say)
            say(f"{people:,} people, {resources:,} resources")
        else:
            making.migrate(folder, say)  # it may be of an older version
        if options.shapes:
            result, known = timing.measure(folder, say, options.only, chilled=not options.warm)
            written(result, where)
    if options.shapes:
        if not options.only:
            result["http"] = timing.over_http(folder, known)  # the server holds the folder itself
            written(result, where)
    elif options.compare:
        result = {}
    else:
        return 0
    with folder.lock("scale"):
        result["compared"] = timing.compare(folder, say, options.only)
    written(result, where)
    say(f"written to {where}")
    return 0


def written(result, where):
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(json.dumps(result, indent=1))


def say(line):
    print(line, file=sys.stderr, flush=True)
