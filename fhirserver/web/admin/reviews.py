"""What data protection judges: openings in emergencies, and accesses that patients doubt."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext as _

from accessctl import reviews
from records import errors
from records.database import atomic, execute
from records.interactions.interaction import Touched

from .staff import noted, number, shown, staff


@staff("data-protection")
def emergencies(request):
    """What was opened in emergencies and waits for a verdict."""
    actor = request.asking.visitor.actor
    if request.method == "POST":
        id = request.POST.get("opening", "")
        try:
            reviews.review(actor, number(id), request.POST.get("verdict"), request.POST.get("conclusion", ""))
            messages.success(request, _("The verdict is recorded."))
        except (errors.BadRequest, errors.NotFound) as error:
            messages.error(request, str(error))
        return HttpResponseRedirect("/admin/reviews/")
    return shown(request, "reviews", "reviews/", waiting=reviews.waiting(actor), done=reviews.done(actor, 20))


@staff("data-protection")
def doubts(request):
    """What patients find doubtful; the answer is shown to them."""
    if request.method == "POST":
        id, answer = request.POST.get("doubt", ""), request.POST.get("answer", "").strip()
        with atomic():
            rows = execute(
                "UPDATE doubt SET answered = now(), answer = %s WHERE id = %s AND answered IS NULL AND %s <> ''"
                " RETURNING patient",
                (answer[:4000], number(id), answer),
            )
            if rows:
                noted(request, "answer-doubt", [Touched("Patient", "", None, rows[0][0])], doubt=id)
        messages.success(request, _("The patient can read the answer.")) if rows else messages.error(
            request, _("Say something.")
        )
        return HttpResponseRedirect("/admin/doubts/")
    rows = execute(
        "SELECT d.id, d.event, d.text, d.created, d.answered, d.answer, u.username FROM doubt d LEFT JOIN auth_user u"
        " ON u.id = d.person_id ORDER BY d.answered IS NOT NULL, d.created DESC LIMIT 100"
    )
    names = ("id", "event", "text", "created", "answered", "answer", "login")
    return shown(request, "doubts", "doubts/", rows=[dict(zip(names, row, strict=True)) for row in rows])
