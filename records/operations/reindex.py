"""$reindex: index rows made anew by a durable job, at every level; its progress, and its end before the end.

POST [base]/$reindex                    everything; several types: type=Patient&type=Observation
POST [base]/[type]/$reindex             a type, or with parameter=[code] one search parameter of it
POST [base]/[type]/[id]/$reindex        one resource, at once: also tries again one that could not be indexed
GET  [base]/$reindex-status?job=[id]    the job; without id the latest hundred, and what could not be indexed
POST [base]/$reindex-cancel?job=[id]    stops it

Those who may administer the server ask for it. A job is 202 with its status under Content-Location.
"""

from dataclasses import replace

from .. import errors
from ..access import over_types
from ..database import execute
from ..definitions.structures import is_resource_type, type_name, type_number
from ..formats.json import dump
from ..indexing import jobs, registration
from ..interactions.interaction import Conditions, Outcome, Touched
from ..interactions.parse import SERVED
from ..interactions.read import read
from ..keys import identity
from ..resources.compartments import ALONE
from ..search import stored
from ..search.parameters import parameter, to_index
from . import ADMINISTER, inputs, operation


@operation("reindex", "system", needs=ADMINISTER, affects_state=True)
def of_system(interaction, access):
    """A job over everything, or over some types."""
    interaction = inputs.taken(interaction)
    refuse_unknown(interaction, ("type",))
    types = [v for n, v in interaction.parameters if n == "type"]
    for type in types:
        if not is_resource_type(type):
            raise errors.InvalidValue("type", type, "expected a resource type")
    return accepted(
        interaction, jobs.ask("reindex", access.principal, types=[type_number(t) for t in sorted(set(types))] or None)
    )


@operation("reindex", "type", needs=ADMINISTER, affects_state=True)
def of_type(interaction, access):
    """A job over a type, perhaps of one parameter."""
    interaction = inputs.taken(interaction)
    refuse_unknown(interaction, ("parameter",))
    code = inputs.one(interaction.parameters, "parameter")
    number = type_number(interaction.type)
    if code is None:
        return accepted(interaction, jobs.ask("reindex", access.principal, types=[number]))
    stored.learn()
    usable = parameter(interaction.type, code) is not None  # and stays so; one that is not is when this is done
    if not usable and (job := registration.rebuild(access.principal, number, code)) is not None:
        return accepted(interaction, job)
    param = to_index(interaction.type).get(code)
    if param is None or not param.indexed:
        raise errors.UnknownParameter(interaction.type, code, "or it has no index")
    name = f"{interaction.type}.{code}"
    return accepted(interaction, jobs.ask("reindex", access.principal, types=[number], keys=[param.key], names=[name]))


@operation("reindex", "instance", needs=ADMINISTER, affects_state=True)
def of_instance(interaction, access):
    """One resource, now; why it cannot be indexed when it cannot."""
    found = read(replace(interaction, conditions=Conditions()), access)
    stored.learn()
    [(pk,)] = execute("SELECT pk FROM resource WHERE identity = %s", (identity(interaction.type, interaction.id),))
    failed = jobs.renew([pk])
    if failed:
        raise errors.Invalid(issues=[errors.Issue("error", "processing", f"It cannot be indexed: {failed[pk]}")])
    said = "Indexed." if not waiting(pk) else "It is being written or indexed now: the indexer goes on."
    issues = [errors.Issue("information", "informational", said)]
    return Outcome(200, dump(errors.operation_outcome(issues)), "OperationOutcome", touched=found.touched)


def waiting(pk):
    return execute("SELECT 1 FROM pending WHERE resource = %s LIMIT 1", (pk,))


@operation("reindex-status", "system", needs=ADMINISTER)
def status(interaction, access):
    """How far a job is, or the latest jobs."""
    interaction = inputs.taken(interaction)
    refuse_unknown(interaction, ("job",))
    id = inputs.one(interaction.parameters, "job")
    found = jobs.listed() if id is None else [known(id)]
    if id is not None:
        return Outcome(200, dump({"resourceType": "Parameters", "parameter": parts(found[0])}), "Parameters")
    failed, touched = failures(access)
    listed = [{"name": "job", "part": parts(job)} for job in found] + failed
    tree = {"resourceType": "Parameters"} | ({"parameter": listed} if listed else {})
    return Outcome(200, dump(tree), "Parameters", touched=touched)


def failures(access):
    """Resources that could not be indexed, with the reason, and Touched; the oldest hundred that the caller may see."""
    visible = over_types(access, "read", sorted(SERVED))
    rows = execute(
        f"SELECT r.type, r.id, p.reason, p.attempts, p.retry_at, {ALONE} FROM pending p"
        f" JOIN resource r ON r.pk = p.resource WHERE p.retry_at IS NOT NULL AND ({visible.text})"
        " ORDER BY p.seq LIMIT 100",
        visible.params,
    )
    touched = [Touched(type_name(type), id, None, patient) for type, id, _, _, _, patient in rows]
    return [
        {"name": "failed", "part": [
            {"name": "resource", "valueReference": {"reference": f"{type_name(type)}/{id}"}},
            {"name": "reason", "valueString": reason},
            {"name": "attempts", "valueInteger": attempts},
            {"name": "retry", "valueInstant": retry.isoformat(timespec="milliseconds")},
        ]}
        for type, id, reason, attempts, retry, _ in rows
    ], touched  # fmt: skip


@operation("reindex-cancel", "system", needs=ADMINISTER, affects_state=True)
def cancel(interaction, access):
    """Stop a job; one that is over stays as it is."""
    interaction = inputs.taken(interaction)
    refuse_unknown(interaction, ("job",))
    job = known(inputs.one(interaction.parameters, "job") or "")
    if not jobs.cancel(job.id):
        raise errors.Conflict(f"Job {job.id} is {job.state}.")
    return Outcome(200, dump({"resourceType": "Parameters", "parameter": parts(jobs.find(job.id))}), "Parameters")


def refuse_unknown(interaction, names):
    """Such an operation runs as asked or not at all."""
    inputs.unknown(replace(interaction, strict=True), names)


def known(id):
    job = jobs.find(int(id)) if id.isascii() and id.isdigit() and len(id) < 19 else None
    if job is None:
        raise errors.NotFound(f"Job {id!r}")
    return job


def accepted(interaction, id):
    """202, and where to see how far it is."""
    outcome = Outcome(202, dump({"resourceType": "Parameters", "parameter": parts(jobs.find(id))}), "Parameters")
    outcome.headers["Content-Location"] = f"{interaction.base}/$reindex-status?job={id}"
    return outcome


def parts(job):
    """A job as parameters."""
    found = [
        {"name": "job", "valueInteger": job.id},
        {"name": "kind", "valueCode": job.kind},
        {"name": "status", "valueCode": job.state},
        {"name": "done", "valueInteger": job.done},
        {"name": "failed", "valueInteger": job.failed},
    ]
    if job.total is not None:
        found.append({"name": "total", "valueInteger": job.total})
    found += [{"name": "parameter", "valueString": name} for name in job.parameters.get("names") or ()]
    for name in ("asked", "started", "heartbeat", "finished"):
        if moment := getattr(job, name):
            found.append({"name": name, "valueInstant": moment.isoformat(timespec="milliseconds")})
    if job.error:
        found.append({"name": "error", "valueString": job.error})
    return found
