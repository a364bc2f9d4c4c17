"""What searches must find, by reading every resource: no index, no SQL beyond SELECT."""

from decimal import Decimal
from typing import NamedTuple

import msgspec

from records.definitions.structures import type_number

from .shapes import PAGE, newest

KEPT = 2000  # candidates for a page, before they are sorted and cut
DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Found(NamedTuple):
    """Ids of a page in order, how many match in all, "Type/id" of what comes along."""

    page: list
    total: int
    beside: set


class Candidates:
    """The first of all that match, in the order of the answer."""

    def __init__(self, case):
        self.case, self.total, self.rows = case, 0, []
        self.order = case.order or newest
        self.most = PAGE * case.page

    def add(self, resource, pk):
        self.total += 1
        self.rows.append((self.order(resource, pk), resource))
        if len(self.rows) > KEPT:
            self._cut()

    def _cut(self):
        self.rows.sort(key=lambda row: row[0])
        del self.rows[self.most :]

    def found(self, gathered, size):
        self._cut()
        page = [resource for _, resource in self.rows[self.most - PAGE :]][:size]
        beside = self.case.beside(page, gathered) if self.case.beside else set()
        return Found([r["id"] for r in page], self.total, beside)


def scan(cases, connection, say=lambda line: None, size=PAGE):
    """The Found of each case: one pass for what they gather, one over the types they ask for."""
    gathered = [set() for _ in cases]
    gathering = {}
    for case, into in zip(cases, gathered, strict=True):
        for type in case.gather[0] if case.gather else ():
            gathering.setdefault(type, []).append((case.gather[1], into))
    for type, collectors in gathering.items():
        say(f"reading every {type} for {len(collectors)} searches that need what they are referred to by")
        for _, resource in everything(type, connection):
            for collect, into in collectors:
                if (what := collect(resource)) is not None:
                    into.add(what)
    candidates = [Candidates(case) for case in cases]
    by_type = {}
    for case, into, collected in zip(cases, candidates, gathered, strict=True):
        by_type.setdefault(case.type, []).append((case.test, into, collected))
    for type, asked in by_type.items():
        say(f"reading every {type} for {len(asked)} searches")
        for pk, resource in everything(type, connection):
            for test, into, collected in asked:
                if test(resource, collected):
                    into.add(resource, pk)
    return [c.found(g, size) for c, g in zip(candidates, gathered, strict=True)]


def everything(type, connection):
    """(pk, resource) of every current resource of a type."""
    with connection.transaction(), connection.cursor("everything", binary=True) as rows:
        rows.itersize = 5000
        rows.execute("SELECT pk, body FROM resource WHERE type = %s AND NOT deleted", [type_number(type)])
        for pk, body in rows:
            yield pk, DECODER.decode(body)
