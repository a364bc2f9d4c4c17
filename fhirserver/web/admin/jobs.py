"""Jobs of the index and exports: watched, cancelled, asked for again; and files that are being loaded."""

from pathlib import PurePath

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _

from accessctl.export import kept
from records.database import atomic, execute
from records.definitions.structures import type_number
from records.indexing import jobs as reindexing
from records.indexing import registration

from .staff import noted, number, shown, staff

ENDED = ("failed", "cancelled")


@staff("operations")
def jobs(request):
    if request.method == "POST":
        principal = request.asking.visitor.actor.principal
        cancel, again = (request.POST.get(name, "") for name in ("cancel", "again"))
        with atomic():
            if cancel:
                done = reindexing.cancel(number(cancel))
                noted(request, "cancel-job", job=cancel)
            elif again:
                done = asked_again(number(again), principal)
                noted(request, "retry-job", job=again)
            else:
                done = reindexing.ask("reindex", principal)
                noted(request, "reindex", job=done)
        if done:
            messages.success(request, _("Done."))
        else:
            messages.error(request, _("There is no such job."))
        return HttpResponseRedirect("/admin/jobs/")
    rows = [(job, asker(job.principal), may_go_on(job)) for job in reindexing.listed(50)]
    return shown(request, "jobs", "jobs/", rows=rows, loads=loads())


def asker(principal):
    """Who asked: the client, and the person before it."""
    client, _, user = principal.partition("|")
    return f"{user} ({client})" if user else client


def may_go_on(job):
    """Can it be asked for again? An export that its client has deleted is over for good."""
    return job.state in ENDED and (job.kind != kept.KIND or kept.of_job(job.id) is not None)


def loads():
    """Files that `manage.py load` has begun, what is not finished first; of NDJSON how many bytes are written."""
    rows = execute(
        "SELECT i.path, i.size, i.since, i.finished, coalesce(sum(r.until - r.start), 0)::bigint FROM loaded_input i"
        " LEFT JOIN loaded_range r ON r.input = i.id GROUP BY i.id"
        " ORDER BY i.finished IS NOT NULL, i.since DESC LIMIT 50"
    )
    return [
        {"file": PurePath(path).name, "since": since, "finished": finished,
         "size": size if path.endswith(".ndjson") else None, "done": min(done, size)}
        for path, size, since, finished, done in rows
    ]  # fmt: skip


def asked_again(id, principal):
    """A new job for what one that failed or was cancelled had to do; of a parameter, while it is still defined."""
    job = reindexing.find(id)
    if job is None or job.state not in ENDED:
        return None
    if (other := reindexing.OTHERS.get(job.kind)) and other.again:
        return other.again(job)
    told = dict(job.parameters)
    if job.kind == "parameter":
        named = [each.split(".", 1) for each in told["names"]]
        made = [registration.rebuild(principal, type_number(type), code) for type, code in named]
        return any(made)
    return reindexing.ask(job.kind, principal, **told)
