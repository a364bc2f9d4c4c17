"""Plans of a measurement of `scale`, as Markdown: what PostgreSQL did, in short, for the slowest draw of a shape.

    python -m benchmarks plans bench-results/scale-....json > docs/explanation/plans.md

Kept are the nodes that ran, with the rows that left them, and by what an index was entered.
"""

import json
import re
from pathlib import Path

HEAD = """# How the searches run that nothing bounds

Plans at {resources:,} resources of the shapes that neither a patient, nor a code, nor the order of an index bounds: for
those, `python -m benchmarks scale` keeps the plan of the slowest of its draws (see [performance](../performance.md)).
`rows` is what left a node each time, `loops` how often it was begun; nodes that did not run are left out, and so is
what a filter says: for an administrator [`$explain`](../reference/search.md) shows all of it, of any search.

Made by `python -m benchmarks plans`.
"""
RAN = re.compile(r"^( *)(->  )?(.*?) \(actual time=[\d.]+\.\.([\d.]+) rows=([\d.]+) loops=(\d+)\)")
ENTERED = re.compile(r"^( *)(Index Cond|Sort Key|Group Key): (.*)")
NAMED = re.compile(r"^( *)(CTE \w+|SubPlan \d+|InitPlan \d+)$")
WIDE = 118


def command(commands):
    """The command's arguments."""
    parser = commands.add_parser("plans", help="plans of what `scale` measured, as Markdown")
    parser.add_argument("measured", type=Path, help="the JSON that `scale` wrote")
    return parser


def markdown(measured):
    """The document, of what `scale` measured."""
    parts = [HEAD.format(**measured)]
    for name, shape in measured["shapes"].items():
        if shape["bound"] is None and shape.get("plan"):
            warm, cold = shape["warm"]["p95_ms"], shape["cold"]["p95_ms"]
            plan = "\n".join(short(shape["plan"].splitlines()))
            parts.append(f"## {name}\n\np95 {warm:.0f} ms, cold {cold:.0f} ms.\n\n```\n{plan}\n```\n")
    return "\n".join(parts)


def short(lines):
    """The lines of a plan that say what it did."""
    hidden, name = None, None  # the indentation of a node that did not run; the name of what comes next
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if hidden is not None and depth > hidden:
            continue
        hidden = None
        if "(never executed)" in line:
            hidden, name = depth, None
        elif found := RAN.match(line):
            if name:
                yield name
            name = None
            before, arrow, node, took, rows, loops = found.groups()
            yield cut(f"{before}{arrow or ''}{node}  {took} ms, {float(rows):.0f} rows x {loops}")
        elif NAMED.match(line):
            name = line
        elif ENTERED.match(line):
            yield cut(line)


def cut(line):
    return line if len(line) <= WIDE else line[: WIDE - 3] + "..."


def main(options):
    print(markdown(json.loads(options.measured.read_text())), end="")
    return 0
