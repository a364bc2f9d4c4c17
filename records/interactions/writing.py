"""Create, update, patch and delete, one or thousands, as one set: the shared course of every write. (http.html)

select   conditions that search (If-None-Exist, conditional URLs) find their resource, under a lock on the criteria
name     new resources get their ids, and references to entries of the same Bundle are rewritten
lock     the current rows, in one order for everybody
plan     each verb turns its interaction and the current row into a Write (create.py update.py patch.py delete.py)
accept   validation and the rules of the type
store    one call; then the rows as stored must lie within the writer's access, or all is undone
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .. import errors
from ..database import as_system
from ..formats.json import clone
from ..resources import references, store
from ..resources.intake import accept, missing_targets
from ..resources.located import located
from . import selection
from .interaction import Outcome, Touched

PLANNERS: dict[str, Callable] = {}


def plans(code):
    """Register (target, access) -> Write or Outcome for a writing interaction."""

    def register(planner):
        PLANNERS[code] = planner
        return planner

    return register


RECOGNISERS: dict[str, Callable] = {}


def recognises(type):
    """Register (resource, access) -> id of the resource that a create of the type would make a second time, or None."""

    def register(function):
        RECOGNISERS[type] = function
        return function

    return register


@dataclass(slots=True)
class Target:
    """One interaction on its way to a Write."""

    interaction: object
    id: str | None = None  # of the resource it will write or has found
    resource: dict | None = None
    row: store.Row | None = None  # current and visible; also a deleted one
    found: bool = False  # a condition that searches matched
    selected: int | None = None  # version that it matched
    recognised: bool = False  # there already, by what it says of itself; told by its id alone
    hidden: bool = False  # a row is there, outside the writer's access
    assigned: bool = False  # the id is the server's own choice
    shares: int | None = None  # position of an earlier target with the same If-None-Exist
    expression: str = ""  # "Bundle.entry[3].resource" when it is an entry
    issues: list = field(default_factory=list)

    @property
    def current(self):
        """The current row, unless deleted."""
        return None if self.row is None or self.row.deleted else self.row


class Refused(NamedTuple):
    """Why a set of writes was refused: the position of the target, and the error."""

    position: int
    error: errors.FHIRError


def carry_out(interactions, access, expressions=None):
    """Outcomes of the writing interactions, in order; all of them happen, or the error raised says why none did."""
    targets = [
        Target(each, each.id, clone(each.body) if isinstance(each.body, dict) else None, selected=each.version)
        for each in interactions
    ]
    for target, expression in zip(targets, expressions or (), strict=False):
        target.expression = expression
    targets = selection.select(targets, access)
    recognise(targets, access)
    name(targets)
    references.resolve(
        [(t.resource, t.expression) for t in targets if t.resource is not None and t.interaction.code != "patch"],
        {t.interaction.full_url: f"{t.interaction.type}/{t.id}" for t in targets if t.interaction.full_url and t.id},
        lambda type, criteria: selection.referenced(type, criteria, access),
    )
    refuse_duplicates(targets)
    lock(targets, access)
    planned = [one(plan, t, access) for t in targets]
    pairs = [(t, p) for t, p in zip(targets, planned, strict=True) if isinstance(p, store.Write)]
    accept(pairs)
    require_targets(pairs, access)
    writes = [write for _, write in pairs]
    written = iter(store.write(writes, access) if writes else ())
    done = [next(written) if isinstance(p, store.Write) else None for p in planned]
    refuse_hidden([d for d in done if d is not None], targets, access)
    unread = {d.pk for d in store.hidden_after([d for d in done if d], access, lambda d: "read")}
    outcomes = []
    for target, plan_, result in zip(targets, planned, done, strict=True):
        if target.shares is not None:
            outcomes.append(already(target, outcomes[target.shares]))
        else:
            outcomes.append(plan_ if result is None else told(target, result, result.pk not in unread))
    return outcomes


def recognise(targets, access):
    """A create of what is there already, as its type knows it, finds that."""
    for target in targets:
        interaction = target.interaction
        recogniser = RECOGNISERS.get(interaction.type) if interaction.code == "create" else None
        if recogniser is None or target.found or target.shares is not None or target.resource is None:
            continue
        id = one(lambda t, a, of=recogniser: of(t.resource, a), target, access)
        if id is not None:
            target.id, target.found, target.recognised = id, True, True


def plan(target, access):
    if target.shares is not None:
        return None
    return PLANNERS[target.interaction.code](target, access)


def one(function, target, access):
    """Call for one target; an error says which entry it is about, and tells of the row that it was judged by."""
    try:
        return function(target, access)
    except errors.FHIRError as error:
        if (row := target.row) is not None:
            error.about(Touched(target.interaction.type, row.id, row.version, None if row.shared else row.patient))
        raise located(error, target.expression) from error


def name(targets):
    """Give each new resource its id."""
    for target in targets:
        if target.interaction.code in ("create", "update") and target.id is None and target.shares is None:
            target.id, target.assigned = store.new_id(), True
    for target in targets:
        if target.shares is not None:
            target.id = targets[target.shares].id


def refuse_duplicates(targets):
    """No resource may be named twice in one transaction. (http.html#trules)"""
    seen = {}
    for target in targets:
        if target.id is None or target.shares is not None or (target.interaction.code == "create" and target.found):
            continue
        place = seen.setdefault((target.interaction.type, target.id), target)
        if place is not target:
            raise errors.BadRequest(
                f"{target.interaction.type}/{target.id} is written twice in this transaction, here and in"
                f" {place.expression}; each resource may occur once.",
                expression=target.expression,
            )


def lock(targets, access):
    """Take the current rows; to the planners, one that the access hides is absent."""
    by_code = {}
    for target in targets:
        if target.interaction.code != "create" and target.id is not None:
            by_code.setdefault(target.interaction.code, []).append(target)
    named = [(t.interaction.type, t.id) for group in by_code.values() for t in group if not t.assigned]
    several = len(named) > 1
    if several:  # all in the one order first, whatever is done to each: no two transactions wait for each other
        store.hold(named)
    # One statement for each code; rows of several codes cannot overlap, duplicates were refused.
    for code in sorted(by_code):
        group = by_code[code]
        rows = store.lock([(t.interaction.type, t.id) for t in group], access, code, wait=not several)
        for target in group:
            row = rows.get((target.interaction.type, target.id))
            if row is not None and not row.visible:
                target.hidden = True
            else:
                target.row = row
            selection.require_unchanged(target)


def refuse_hidden(done, targets, access):
    """A write whose result lies outside the writer's access is undone."""
    codes = {(t.interaction.type, t.id): t.interaction.code for t in targets}
    with as_system():  # who adds to a record need not see what is added: the predicate of this write alone judges it
        refused = store.hidden_after([d for d in done if d.changed], access, lambda d: codes[d.type, d.id])
    if refused:
        first = refused[0]
        raise errors.Forbidden(f"The access given does not allow this {codes[first.type, first.id]} of {first.type}.")


def require_targets(pairs, access):
    """With referential integrity, what is referred to is there, was written here, or the whole is refused."""
    here = {(t.interaction.type, t.id) for t, _ in pairs}
    missing = missing_targets(pairs, lambda asked: here | store.present([a for a in asked if a not in here], access))
    if missing:
        raise errors.Invalid(issues=missing)


def told(target, written, readable):
    """The outcome of what was written, shown to whoever may read it; with what validation said beside errors."""
    status = 204 if written.resource is None else 201 if written.created else 200
    return Outcome(
        status,
        written.body if readable else None,
        written.type,
        written.id,
        written.version,
        written.updated,
        location=written.resource is not None and written.created,
        issues=tuple(target.issues),
        touched=[Touched(written.type, written.id, written.version, written.alone)],
    )


def already(target, outcome):
    """The answer for an If-None-Exist that an earlier entry of the same transaction has met."""
    return replace_status(outcome, 200)


def replace_status(outcome, status):
    return Outcome(status, outcome.body, outcome.type, outcome.id, outcome.version, outcome.updated, location=True,
                   touched=list(outcome.touched))  # fmt: skip
