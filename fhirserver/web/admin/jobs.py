"""Jobs of the index: asked for, watched, cancelled."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _

from records.database import atomic
from records.indexing import jobs as reindexing

from .staff import noted, shown, staff


@staff("operations")
def jobs(request):
    if request.method == "POST":
        with atomic():
            if id := request.POST.get("cancel", ""):
                done = id.isdigit() and reindexing.cancel(int(id))
                noted(request, "cancel-job", job=id)
            else:
                done = reindexing.ask("reindex", request.asking.visitor.actor.principal)
                noted(request, "reindex", job=done)
        if done:
            messages.success(request, _("Done."))
        else:
            messages.error(request, _("There is no such job."))
        return HttpResponseRedirect("/admin/jobs/")
    return shown(request, "jobs", "jobs/", rows=reindexing.listed(50))
