"""$lastn: the newest observations of one patient, so many of each code. (operation-observation-lastn.html)

Two codes are one group when they share a coding, or through a third that shares one with each; a code without coding
is known by its text. Observations of the same moment as the last one taken come along.
"""

import re
from dataclasses import replace

from django.conf import settings

from .. import errors
from .. import search as engine
from ..database import FIXED, execute
from ..formats.json import dump
from ..formats.json import parse as tree
from ..indexing.index import prepared
from ..interactions import paging
from ..interactions.interaction import Outcome, Touched
from ..interactions.search import announce, at_home, bound_patient, cut, lag, missing
from ..resources.compartments import ALONE
from ..search.conditions import live
from ..search.parameters import parameter
from ..search.query import Criterion
from ..search.walk import start
from ..sql import SQL
from . import inputs, operation

LARGEST = 100  # of max
MOST = 20_000  # observations looked at; more are a matter for a search
MOST_SHOWN = 5000
OF_ROW = re.compile(r"\br\.")  # a condition on the row itself, not on its index rows
UNFOLLOWED = ("_count", "_sort", "_total", "_include", "_revinclude", "_contained", "_containedType")
GROUPED = ("category",)  # beside parameters over a code: what the request must bring


def prepare(interaction):
    """The criteria as a Query of one patient, and its index brought up to date."""
    interaction = inputs.taken(interaction)
    asked = [(n, v) for n, v in interaction.parameters if n not in ("max", "_count", "_sort", paging.PAGE)]
    query = engine.parse("Observation", asked, interaction.strict)
    patient = bound_patient(query, interaction.base)
    if patient is None:
        raise errors.BadRequest("$lastn needs one patient: patient=[id] or subject=Patient/[id].", expression="patient")
    if not any(isinstance(c, Criterion) and grouped(c.param) for c in query.criteria):
        raise errors.BadRequest("$lastn needs a category or a code.", expression="category")
    behind = prepared(["Observation"], patient, settings.FHIRSERVER_CATCH_UP_MS)
    return replace(interaction, query=at_home(query, interaction.base), behind=behind)


def grouped(param):
    return param.code in GROUPED or "code" in (param.expression or "").lower()


@operation("lastn", "type", on="Observation", needs="search-type", snapshot=True, before=prepare)
def lastn(interaction, access):
    """The newest of each code, newest first."""
    most = most_of(interaction)
    rows = walk(interaction.query, access)
    if len(rows) > MOST:  # of these some may be hidden, and hidden ones count nowhere
        rows = walk(interaction.query, access, judged=True)
        if len(rows) > MOST:
            raise errors.TooCostly(f"More than {MOST} observations match; narrow by code, category or date.")
    chosen = newest(rows, most, lambda pks: seen(pks, access))
    since = missing(interaction, access)
    issues = [*interaction.query.warnings, *unfollowed(interaction), *lag(since)]
    if len(chosen) > MOST_SHOWN:
        chosen = chosen[:MOST_SHOWN]
        issues.append(errors.Issue("warning", "too-costly", f"Only the newest {MOST_SHOWN} are here."))
    return answer(interaction, chosen, issues, since)


def unfollowed(interaction):
    """Warnings of result parameters that a search has and this has not; under strict handling they are an error."""
    for name, value in interaction.parameters:
        if name.partition(":")[0] in UNFOLLOWED or (name, value) == ("_summary", "count"):
            fault = errors.UnknownParameter("$lastn", name, "it is for searches")
            if interaction.strict:
                raise fault
            yield errors.Issue("warning", fault.code, f"Ignored: {fault}")


def most_of(interaction):
    given = inputs.one(interaction.parameters, "max") or "1"
    if not (given.isascii() and given.isdigit() and 0 < int(given[:9]) <= LARGEST):
        raise errors.InvalidValue("max", given, f"expected a whole number from 1 to {LARGEST}")
    return int(given)


def walk(query, access, judged=False):
    """(pk, occurred, kind) of the patient's observations that match, newest first, of MOST at most and one more.

    Index rows alone say it, for whoever asks, unless `judged`: what is chosen of them is judged. Of one kind are those
    whose codes have the same index rows: the same codings. A text alone has one row, which tells no case: kind None.
    """
    begun = start(replace(query, sort=(), contained=None), access)
    pk, occurred = ("d.resource", "d.occurred") if begun.walked else ("r.pk", "r.occurred")
    source, where = begun.source, begun.where
    if judged:
        where = where & live("Observation", access)
    elif begun.walked and begun.rows and not OF_ROW.search(begun.others.text):
        source = SQL(f"(SELECT d.occurred, d.resource FROM {begun.rows.text}) d", begun.rows.params)
        where = begun.others
    return execute(
        f"{begun.first.text}SELECT m.pk, m.occurred, k.kind FROM"
        f" (SELECT {pk} AS pk, {occurred} AS occurred FROM {source.text} WHERE {where.text}"
        f" ORDER BY {occurred} DESC, {pk} DESC LIMIT {MOST + 1}) m"
        " CROSS JOIN LATERAL (SELECT CASE WHEN count(*) > 1 THEN"
        " hash_array_extended(array_agg(i.key ORDER BY i.key), 0) END AS kind"
        " FROM token i WHERE i.resource = m.pk AND i.param = %s OFFSET 0) k ORDER BY m.occurred DESC, m.pk DESC",
        (*begun.first.params, *source.params, *where.params, parameter("Observation", "code").key),
        FIXED if begun.fixed else False,
    )


def seen(pks, access):
    """{pk: (names of its code, what is told of it)} of those that the actor may find."""
    visible = live("Observation", access)
    rows = execute(
        f"SELECT r.pk, r.id, r.version, r.body, {ALONE} FROM unnest(%s::int8[]) c(pk)"
        f" CROSS JOIN LATERAL (SELECT * FROM resource s WHERE s.pk = c.pk OFFSET 0) r WHERE {visible.text}",
        (pks, *visible.params),
        FIXED,
    )
    return {
        pk: (names(tree(bytes(body)).get("code") or {}), (id, version, body, patient))
        for pk, id, version, body, patient in rows
    }


def newest(rows, most, seen):
    """What is told of the newest `most` of each group that are seen, with those of the same moment as the last.

    Of each kind the newest are judged until enough of them are seen; groups are made of these alone, for a hidden
    observation joins no two codes.
    """
    kinds = {}
    for pk, occurred, kind in rows:
        kinds.setdefault(kind, []).append((pk, occurred))
    kinds = [Kind(found, most if kind is not None else len(found)) for kind, found in kinds.items()]
    while asked := [pk for each in kinds for pk in each.next()]:
        found = seen(asked)
        for each in kinds:
            each.take(found)
    found = {pk: (occurred, *each.seen[pk]) for each in kinds for pk, occurred in each.rows if pk in each.seen}
    codes = list(dict.fromkeys(tuple(named) for _, named, _ in found.values()))
    groups = dict(zip(codes, group(codes), strict=True))
    taken, last, chosen = {}, {}, []
    for _pk, (occurred, named, told) in sorted(found.items(), key=lambda each: (each[1][0], each[0]), reverse=True):
        name = groups[tuple(named)]
        if taken.get(name, 0) >= most and occurred != last[name]:
            continue
        taken[name], last[name] = taken.get(name, 0) + 1, occurred
        chosen.append(told)
    return chosen


class Kind:
    """Observations of one code, newest first, of which the newest that are seen are looked for."""

    def __init__(self, rows, most):
        self.rows, self.most, self.seen = rows, most, {}
        self.asked, self.step = 0, min(most, MOST) + 1

    def next(self):
        """pks to judge: none when enough are seen, or all are judged."""
        if self.asked >= len(self.rows) or self.enough():
            return []
        begin, self.asked, self.step = self.asked, self.asked + self.step, self.step * 2
        return [pk for pk, _ in self.rows[begin : self.asked]]

    def enough(self):
        """As many as are wanted, and what follows is of another moment than the last of them."""
        moments = [occurred for pk, occurred in self.rows[: self.asked] if pk in self.seen]
        return len(moments) >= self.most and self.rows[self.asked][1] != moments[self.most - 1]

    def take(self, found):
        self.seen |= {pk: found[pk] for pk, _ in self.rows[: self.asked] if pk in found}


def names(code):
    """What a CodeableConcept is known by: its codings, else its text."""
    codings = [(c.get("system"), c["code"]) for c in code.get("coding", ()) if c.get("code")]
    return codings or [code.get("text", "")]


def group(named):
    """A representative for each list of names: the same for lists that share a name, transitively."""
    parent = {}

    def root(name):
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for first, *others in named:
        for other in others:
            parent[root(other)] = root(first)
    return [root(first) for first, *_ in named]


def answer(interaction, rows, issues, since):
    """The searchset of (id, version, body, patient)."""
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(rows)}
    bundle["link"] = [{"relation": "self", "url": paging.url(interaction, interaction.parameters)}]
    base, query = interaction.base, interaction.query
    entries = [
        {"fullUrl": f"{base}/Observation/{id}", "resource": cut(body, query), "search": {"mode": "match"}}
        for id, _, body, _ in rows
    ]
    if issues:
        entries.append({"resource": errors.operation_outcome(issues), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    touched = [Touched("Observation", id, version, patient) for id, version, _, patient in rows]
    outcome = Outcome(200, dump(bundle), "Bundle", issues=tuple(issues), touched=touched)
    announce(outcome, since)
    return outcome
