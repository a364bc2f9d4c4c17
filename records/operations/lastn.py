"""$lastn: the newest observations of one patient, so many of each code. (operation-observation-lastn.html)

Two codes are one group when they share a coding, or through a third that shares one with each; a code without coding
is known by its text. Observations of the same moment as the last one taken come along.
"""

from dataclasses import replace
from datetime import UTC, datetime

from django.conf import settings
from msgspec import Raw

from .. import errors
from .. import search as engine
from ..database import execute
from ..formats.json import dump
from ..formats.json import parse as tree
from ..indexing.index import catch_up, searchable_until
from ..interactions import paging
from ..interactions.interaction import Outcome, Touched
from ..interactions.search import bound_patient, lag
from ..search import compile
from ..search.query import Criterion
from ..search.results import narrowed
from . import inputs, operation

LARGEST = 100  # of max
MOST = 20_000  # observations looked at; more are a matter for a search
MOST_SHOWN = 5000
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
    behind = catch_up(["Observation"], patient, settings.FHIRSERVER_CATCH_UP_MS)
    return replace(interaction, query=query, behind=behind)


def grouped(param):
    return param.code in GROUPED or "code" in (param.expression or "").lower()


@operation("lastn", "type", on="Observation", needs="search-type", snapshot=True, before=prepare)
def lastn(interaction, access):
    """The newest of each code, newest first."""
    most = most_of(interaction)
    rows = matching(interaction.query, access)
    if len(rows) > MOST:
        raise errors.TooCostly(f"More than {MOST} observations match; narrow by code, category or date.")
    chosen = newest(rows, most)
    issues = [*interaction.query.warnings, *lag(interaction)]
    if len(chosen) > MOST_SHOWN:
        chosen = chosen[:MOST_SHOWN]
        issues.append(errors.Issue("warning", "too-costly", f"Only the newest {MOST_SHOWN} are here."))
    return answer(interaction, chosen, issues)


def most_of(interaction):
    given = inputs.one(interaction.parameters, "max") or "1"
    if not (given.isascii() and given.isdigit() and 0 < int(given[:9]) <= LARGEST):
        raise errors.InvalidValue("max", given, f"expected a whole number from 1 to {LARGEST}")
    return int(given)


def matching(query, access):
    """(pk, occurred, code as text) of the patient's observations that match, newest first."""
    found = compile.page(narrowed(replace(query, sort=(), count=MOST, contained=None), access), access)
    rows = execute(
        "SELECT f.pk, r.occurred, (convert_from(r.body, 'UTF8')::json -> 'code')::text"
        f" FROM ({found.text}) f(pk), LATERAL (SELECT occurred, body FROM resource WHERE pk = f.pk OFFSET 0) r"
        " ORDER BY r.occurred DESC, f.pk DESC",  # OFFSET 0: by its key; who expects one row would look through all
        found.params,
        prepare=False,
    )
    return [(pk, occurred, code or "{}") for pk, occurred, code in rows]


def newest(rows, most):
    """pks of the newest `most` of each group, with those of the same moment as the last of them."""
    codes = list(dict.fromkeys(code for _, _, code in rows))  # a few, however many observations have them
    groups = dict(zip(codes, group([names(tree(code.encode())) for code in codes]), strict=True))
    taken, last, chosen = {}, {}, []
    for pk, occurred, code in rows:
        name = groups[code]
        if taken.get(name, 0) >= most and occurred != last[name]:
            continue
        taken[name], last[name] = taken.get(name, 0) + 1, occurred
        chosen.append(pk)
    return chosen


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


def answer(interaction, chosen, issues):
    rows = {
        pk: rest
        for pk, *rest in execute(
            "SELECT pk, id, version, body, patient FROM resource WHERE pk = ANY(%s)", (chosen,)
        )  # seen already in this snapshot
    }
    rows = [rows[pk] for pk in chosen]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(rows)}
    bundle["link"] = [{"relation": "self", "url": paging.url(interaction, interaction.parameters)}]
    entries = [
        {"fullUrl": f"{interaction.base}/Observation/{id}", "resource": Raw(body), "search": {"mode": "match"}}
        for id, _, body, _ in rows
    ]
    if issues:
        entries.append({"resource": errors.operation_outcome(issues), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    touched = [Touched("Observation", id, version, patient) for id, version, _, patient in rows]
    outcome = Outcome(200, dump(bundle), "Bundle", issues=tuple(issues), touched=touched)
    if interaction.behind:
        outcome.headers["X-Searchable-Until"] = (searchable_until() or datetime.now(UTC)).isoformat()
    return outcome
