"""$explain: what a search costs and why - its SQL, the plan as it ran, the indexes it walked, what would help.

GET [base]/[type]/$explain?[a search] for those who may administer the server. The search runs in a transaction that can
only read and is rolled back, under the same time limit as any. The answer holds the words of the query and counts,
never a value of a row.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field

from ..database import atomic, execute
from ..formats.json import dump
from ..interactions.interaction import Outcome
from ..interactions.search import prepare
from ..search import compile
from ..search.results import narrowed
from . import ADMINISTER, operation

MANY = 1000  # rows; below it nothing is worth a word
WASTE = 20  # rows looked at for one that matches
SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan", "Seq Scan")


class Undone(Exception):
    """The transaction is rolled back, whatever it did."""


@dataclass
class Findings:
    """What a plan shows."""

    walks: list = field(default_factory=list)  # (index or table, rows)
    advice: list = field(default_factory=list)


@operation("explain", "type", needs=ADMINISTER, before=prepare)
def explain(interaction, access):
    """The search as a plan."""
    query = interaction.query
    statement = compile.page(narrowed(query, access), access)
    [plan] = ran(statement)
    found = read(plan["Plan"])
    if not query.criteria:
        found.advice.insert(0, "Nothing bounds this search: name a patient, a code, an identifier or a date.")
    if not found.advice:
        found.advice.append("Nothing to advise: what was looked at is what was asked for.")
    parts = [
        {"name": "sql", "valueString": statement.text},
        {"name": "rows", "valueInteger": rows_of(plan["Plan"])},
        {"name": "milliseconds", "valueDecimal": round(plan["Execution Time"], 3)},
        {"name": "planning", "valueDecimal": round(plan["Planning Time"], 3)},
        {"name": "buffers", "valueInteger": buffers(plan["Plan"])},
        *({"name": "walk", "part": [{"name": "index", "valueString": name}, {"name": "rows", "valueInteger": rows}]}
          for name, rows in found.walks),
        *({"name": "advice", "valueString": text} for text in found.advice),
        *({"name": "warning", "valueString": issue.diagnostics} for issue in query.warnings),
        {"name": "plan", "valueString": json.dumps(plan)},
    ]  # fmt: skip
    return Outcome(200, dump({"resourceType": "Parameters", "parameter": parts}), "Parameters")


def ran(statement):
    """The plans of a statement that runs and leaves nothing."""
    plans = []
    with suppress(Undone), atomic():
        execute("SET TRANSACTION READ ONLY", prepare=False)
        text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}"
        plans += execute(text, statement.params, prepare=False)[0][0]
        raise Undone
    return plans


def rows_of(node):
    """Rows that a node gave in all its runs."""
    return round(node["Actual Rows"] * node["Actual Loops"])


def passed_over(node):
    """Rows that a node looked at and dropped."""
    gone = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck", "Join Filter"))
    return round(gone * node["Actual Loops"])


def buffers(node):
    """Pages of 8 KB looked at, in memory or not."""
    return node.get("Shared Hit Blocks", 0) + node.get("Shared Read Blocks", 0)


def read(plan):
    """Indexes walked and sentences of advice, in the order of the plan."""
    found = Findings()
    for node in nodes(plan):
        kind = node["Node Type"]
        if not node["Actual Loops"]:
            continue
        if kind in SCANS:
            name = node.get("Index Name") or f"{node['Relation Name']} (no index)"
            found.walks.append((name, rows_of(node)))
            looked = rows_of(node) + passed_over(node)
            if kind == "Seq Scan" and looked > MANY:
                found.advice.append(
                    f"The table {node['Relation Name']} is read whole, {looked:,} rows: no index serves this criterion"
                    " on its own. Name a patient, a code, an identifier or a date beside it."
                )
            elif passed_over(node) > max(MANY, WASTE * rows_of(node)):
                found.advice.append(
                    f"{looked:,} rows of {name} are looked at and {rows_of(node):,} of them kept: the other criteria"
                    " are rare in this walk. Name a rarer code, or a patient."
                )
        elif kind in ("Sort", "Incremental Sort"):
            fed = sum(rows_of(child) for child in node.get("Plans", ()))
            if fed > MANY:
                found.advice.append(
                    f"{fed:,} matches are sorted for this page: no index has this order. Sort by the type's date or"
                    " _lastUpdated, or narrow the search."
                )
        elif kind in ("Nested Loop", "Hash Join", "Merge Join") and passed_over(node) > MANY:
            found.advice.append(f"{passed_over(node):,} pairs of rows are joined and dropped again.")
    return found


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
