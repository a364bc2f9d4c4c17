"""A write of a SearchParameter changes what is indexed: in its own transaction, the registry moves and jobs are asked.

Active: its rows are made for the resources there are, then it is usable. Retired or deleted: it is gone at once, its
rows follow. A change of the text alone changes nothing.
"""

import json

from records import errors, keys
from records.database import execute
from records.definitions.structures import type_name, type_number
from records.resources.rules.searchparameter import bases, official
from records.search import fitting, stored  # noqa: F401  fitting is a rule of the type

from . import jobs

KEPT = ("code", "type", "expression", "url", "target", "component", "description")
MATTERS = ("code", "type", "expression", "url", "target", "component")


def register(batch):
    """What the SearchParameters of a batch of writes mean for the index."""
    for written in batch:
        if written.type == "SearchParameter":
            _register(written)


def _register(written):
    wanted = in_use(written.resource)
    known = {
        (type, code): (key, json.loads(definition), state)
        for type, code, key, definition, state in execute(
            "SELECT type, code, key, definition, state FROM stored_parameter WHERE resource = %s", (written.pk,)
        )
    }
    gone = [at for at in known if at not in wanted]
    new = [at for at, given in wanted.items() if at not in known or _differ(known[at], given)]
    if not gone and not new:
        return
    principal = f"SearchParameter/{written.id}"
    _refuse_taken(new, written.pk)
    named = {(at[0], definition["url"]) for at, (_, definition, _) in known.items()}
    _refuse_needed(named - {(at[0], given["url"]) for at, given in wanted.items()})
    if gone:
        removed(principal, [(*at, known[at][0]) for at in gone])
    if new:
        rows = [(*at, keys.key(type_name(at[0]), at[1])) for at in new]
        job = build(principal, rows)
        for type, code, key in rows:
            execute(
                "INSERT INTO stored_parameter (type, code, key, resource, state, job, definition)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (type, code) DO UPDATE"
                " SET state = excluded.state, job = excluded.job, definition = excluded.definition",
                (type, code, key, written.pk, stored.BUILDING, job, json.dumps(wanted[type, code])),
            )
        for type, code in composed({(at[0], wanted[at]["url"]) for at in new}):
            rebuild(principal, type, code)  # its parts are compared as the changed one says
    stored.moved()


def in_use(resource):
    """(type number, code) -> definition of a SearchParameter that is active and not one of R4's own."""
    if resource is None or resource.get("status") != "active":
        return {}
    kept = {k: resource[k] for k in KEPT if k in resource}
    return {
        (type_number(type), resource["code"]): kept
        for type in bases(resource)
        if official(type, resource["code"]) is None
    }


def _differ(known, given):
    _, definition, state = known
    return state == stored.FAILED or any(definition.get(k) != given.get(k) for k in MATTERS)


def build(principal, rows):
    """A job that makes the rows of parameters (type, code, key); its id."""
    return _ask("parameter", principal, rows)


def removed(principal, rows):
    """Parameters that are used no more: they go now, their index rows by a job."""
    execute("DELETE FROM stored_parameter WHERE key = ANY(%s)", ([key for _, _, key in rows],))
    _ask("removal", principal, rows)


def rebuild(principal, type, code):
    """Make the rows of a stored parameter anew, whatever became of it; the id of the job, None for one not stored."""
    found = execute("SELECT type, code, key FROM stored_parameter WHERE type = %s AND code = %s", (type, code))
    if not found:
        return None
    job = build(principal, found)
    execute(
        "UPDATE stored_parameter SET state = %s, job = %s WHERE type = %s AND code = %s",
        (stored.BUILDING, job, type, code),
    )
    stored.moved()
    return job


def _ask(kind, principal, rows):
    names = sorted(f"{type_name(type)}.{code}" for type, code, _ in rows)
    types, keys_ = sorted({type for type, _, _ in rows}), sorted(key for _, _, key in rows)
    return jobs.ask(kind, principal, types=types, keys=keys_, names=names)


def composed(named):
    """(type, code) of the stored composites that have one of these (type, url) as a part."""
    rows = execute("SELECT type, code, definition FROM stored_parameter WHERE type = ANY(%s)", ([t for t, _ in named],))
    return [
        (type, code) for type, code, text in rows
        if any((type, part.get("definition")) in named for part in json.loads(text).get("component", ()))
    ]  # fmt: skip


def _refuse_needed(gone):
    """What an active composite is made of stays as long as that is."""
    for type, code in composed(gone):
        raise errors.Conflict(
            f"The active composite SearchParameter {type_name(type)}.{code} has this one as a part: retire that first."
        )


def _refuse_taken(new, pk):
    """A code means one thing on a type."""
    for type, code in new:
        if execute("SELECT 1 FROM stored_parameter WHERE type = %s AND code = %s AND resource <> %s", (type, code, pk)):
            said = f"Another active SearchParameter has the code {code!r} on {type_name(type)}."
            raise errors.Invalid(issues=[errors.Issue("error", "duplicate", said, "SearchParameter.code")])
