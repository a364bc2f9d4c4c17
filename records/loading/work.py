"""A chunk of NDJSON or a Bundle becomes interactions; what is refused is told with its place and reason.

`execute(interaction, after)` runs an interaction in a transaction of its own and calls `after()` in it before the
commit: there the ledger notes what the transaction wrote, so that no part is loaded twice or taken for loaded.
"""

import logging
import re
import time
from dataclasses import dataclass, field, replace

from .. import errors
from ..formats import json, xml
from ..interactions import transaction
from ..interactions.interaction import Interaction
from . import ledger
from .inputs import DAMAGED, Input
from .lines import LONGEST, Line

log = logging.getLogger("records.loading")
PARSERS = {".json": json.parse, ".xml": xml.parse, ".ndjson": json.parse, ".jsonl": json.parse}
LARGEST = 512 << 20  # bytes of one Bundle, unpacked
PATIENCE = 60.0  # seconds to wait for a database that is busy
ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
COLLECTIONS = ("collection", "searchset")


@dataclass(frozen=True, slots=True)
class Lines:
    """A chunk of an NDJSON input."""

    number: int  # of the input in the ledger
    source: Input
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is one Bundle or one resource."""

    number: int
    source: Input
    done: tuple = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not loaded and why."""

    path: str
    place: str  # "line 12", "Bundle.entry[3]", or "" for the file
    resource: str  # "Patient/1" as far as known
    status: int
    issues: tuple
    again: bool = False  # it may go well once other inputs are loaded

    def told(self):
        """As plain data, for the report."""
        return {
            "input": self.path,
            "place": self.place,
            "resource": self.resource,
            "status": self.status,
            "issue": errors.operation_outcome(self.issues)["issue"],
        }


@dataclass(slots=True)
class Result:
    """What became of a unit of work."""

    number: int
    written: int = 0  # resources
    refused: list = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """One resource to load, and its part of the input."""

    resource: dict
    start: int
    until: int
    place: str


def load(unit, execute):
    """The Result of a unit."""
    result = Result(unit.number)
    try:
        if isinstance(unit, Lines):
            load_lines(unit, execute, result)
        else:
            load_whole(unit, execute, result)
    except DAMAGED as error:
        refuse(result, unit, "", "", errors.BadRequest(f"The file cannot be read: {error}"))
    return result


def load_lines(unit, execute, result):
    """Lines as transactions: update where there is an id, else create."""
    items, seen = [], set()
    for line in unit.lines:
        place = f"line {line.number}"
        try:
            if line.data is None:
                raise errors.TooLarge(f"The line is longer than {LONGEST} bytes.")
            resource = PARSERS[unit.source.kind](line.data)
            kind_and_id(resource)
        except errors.FHIRError as error:
            refuse(result, unit, place, "", error)
            continue
        who = kind_and_id(resource)
        if who[1] and who in seen:  # a later state of the same resource: a transaction may name each but once
            load_items(items, unit, execute, result)
            items, seen = [], set()
        seen.add(who)
        items.append(Item(resource, line.start, line.until, place))
    load_items(items, unit, execute, result)


def load_items(items, unit, execute, result):
    """All in one transaction; what is refused is taken out, and the others go without it."""
    while items:
        ranges = ledger.joined((item.start, item.until) for item in items)
        asked = interaction(transaction_of([entry(item.resource) for item in items]))
        try:
            answer = attempt(execute, asked, lambda ranges=ranges: ledger.note(unit.number, ranges))
        except errors.FHIRError as error:
            wrong = located(error, len(items))
            if isinstance(error, errors.Busy):
                wrong = dict.fromkeys(range(len(items)), error.issues)
            if not wrong and len(items) > 1:  # nobody knows which one: halve until it is known
                middle = len(items) // 2
                load_items(items[:middle], unit, execute, result)
                items = items[middle:]
                continue
            for n, issues in (wrong or {0: error.issues}).items():
                said = [alone(issue, n, items[n].resource) for issue in issues]
                refuse(result, unit, items[n].place, named(items[n].resource), error, said)
            items = [item for n, item in enumerate(items) if wrong and n not in wrong]
        else:
            result.written += writes(answer)
            return


def load_whole(unit, execute, result):
    """A Bundle by its type, or a single resource."""
    with unit.source.open() as content:
        data = content.read(LARGEST + 1)
    try:
        if len(data) > LARGEST:
            raise errors.TooLarge(f"The file has more than {LARGEST} bytes unpacked; cut it, or write it as NDJSON.")
        tree = PARSERS[unit.source.kind](data)
        del data
        kind_and_id(tree)
        kind = tree.get("type") if tree["resourceType"] == "Bundle" else None
        if unit.done and kind != "batch":  # written, but the last run ended before it could say so
            return
        if tree["resourceType"] != "Bundle":
            load_items([Item(tree, 0, 1, "")], unit, execute, result)
        elif kind == "batch":
            load_batch(tree, unit, execute, result)
        elif kind == "transaction" or kind in COLLECTIONS:
            asked = interaction(tree if kind == "transaction" else transaction_of(collected(tree)))
            answer = attempt(execute, asked, lambda: ledger.note(unit.number, [(0, 1)]))
            result.written += writes(answer)
        else:
            raise errors.InvalidStructure(
                f"A Bundle of type {kind!r} is not loaded; transaction, batch, collection and searchset are."
                " To store it as a resource, put it on a line of an NDJSON file.",
                expression="Bundle.type",
            )
    except errors.FHIRError as error:
        refuse(result, unit, "", "", error)


def load_batch(tree, unit, execute, result):
    """Every entry alone. (http.html#brules)"""
    passed = {n for start, until in unit.done for n in range(start, until)}
    for n, asked in enumerate(transaction.entries(interaction(tree))):
        if n in passed:
            continue
        try:
            if isinstance(asked, errors.FHIRError):
                raise asked
            answer = attempt(execute, asked, lambda n=n: ledger.note(unit.number, [(n, n + 1)]))
        except errors.FHIRError as error:
            resource = tree["entry"][n].get("resource") if isinstance(tree["entry"][n], dict) else None
            refuse(result, unit, f"Bundle.entry[{n}]", named(resource), error)
        else:
            result.written += asked.code in transaction.WRITES and answer.status in (200, 201)


def attempt(execute, asked, after):
    """Execute; wait for a database that is busy; an unexpected error is told by its name and logged."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return execute(asked, after)
        except errors.Busy as error:
            if time.monotonic() > until:
                raise
            time.sleep(min(2.0, float(error.headers.get("Retry-After", 1))))
        except errors.FHIRError:
            raise
        except Exception as error:
            log.exception("a part of the load met an unexpected error")
            raise errors.FHIRError(f"The server met an unexpected error: {type(error).__name__}.") from error


def interaction(tree):
    """The Bundle as if a client had sent it."""
    return Interaction("transaction", "system", method="POST", body=tree, prefer_return="minimal")


def transaction_of(entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def entry(resource, full_url=None):
    """Update of a resource that has an id, create of one that has none."""
    kind, id = kind_and_id(resource)
    request = {"method": "PUT", "url": f"{kind}/{id}"} if id else {"method": "POST", "url": kind}
    return ({"fullUrl": full_url} if full_url else {}) | {"resource": resource, "request": request}


def collected(tree):
    """Entries of a transaction for the resources of a collection or the matches of a search."""
    found = []
    for given in tree.get("entry", ()):
        if not isinstance(given, dict) or not isinstance(given.get("resource"), dict):
            raise errors.InvalidStructure("The entry has no resource.", expression=f"Bundle.entry[{len(found)}]")
        if (given.get("search") or {}).get("mode") != "outcome":
            found.append(entry(given["resource"], given.get("fullUrl")))
    return found


def kind_and_id(resource):
    """("Patient", "1"); id is None when it has none. InvalidStructure when it is no resource."""
    kind, id = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str):
        raise errors.InvalidStructure("There is no resourceType.")
    return kind, id if isinstance(id, str) else None


def named(resource):
    if not isinstance(resource, dict):
        return ""
    return "/".join(str(resource[key]) for key in ("resourceType", "id") if resource.get(key))


def located(error, count):
    """entry -> its issues, for the errors of a transaction that say where they are."""
    found = {}
    for issue in error.issues:
        match = ENTRY.match(issue.expression or "")
        if match and int(match[1]) < count and issue.severity in ("error", "fatal"):
            found.setdefault(int(match[1]), []).append(issue)
    return found


def alone(issue, n, resource):
    """The issue as it reads when the resource is not entry n of a Bundle that nobody else saw."""
    within = f"Bundle.entry[{n}]"
    if not issue.expression or not issue.expression.startswith(within):
        return issue
    path = issue.expression.removeprefix(within).removeprefix(".resource")
    return replace(issue, expression=f"{resource['resourceType']}{path}")


AGAIN = ("not-found", "conflict", "transient")


def refuse(result, unit, place, resource, error, issues=None):
    issues = tuple(issues or error.issues)
    again = any(issue.code in AGAIN for issue in issues)
    result.refused.append(Refusal(str(unit.source.path), place, resource, error.status, issues, again))


def writes(answer):
    """Resources that a transaction made or changed."""
    return sum(1 for touched in answer.touched if touched.version is not None)
