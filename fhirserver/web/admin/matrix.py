"""The authorisation matrix as a grid: a version, what two of them say differently, taken along, brought anew."""

import json

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accessctl import matrix
from records.database import atomic, execute

from ..sheets import sheet
from .staff import noted, shown, staff

LARGEST = 4_000_000  # characters of a version that is brought
COLUMNS = ("version", "profession", "category", "name", "permit", "provenance")


def versions():
    rows = execute("SELECT matrix, min(since), max(until), count(*) FROM matrix GROUP BY 1 ORDER BY 2 DESC LIMIT 100")
    return [dict(zip(("name", "since", "until", "cells"), row, strict=True)) for row in rows]


def chosen(asked):
    """The version of that name; the one in force where none is asked for."""
    version = asked or matrix.in_force()
    if version is None or not any(each["name"] == version for each in versions()):
        raise Http404
    return version


@staff("data-protection", "operations")
def habilitation(request):
    """A version as a grid: professions across, classes of data down."""
    version = chosen(request.GET.get("version"))
    cells, names = matrix.kept(version), matrix.names()
    professions = sorted({profession for profession, _category in cells})
    classes = [each["number"] for each in matrix.data()["classes"]]
    grid = [(names[n], n, [cells.get((p, n)) for p in professions]) for n in classes]
    other = request.GET.get("against", "")
    changed = [(p, names.get(c, c), a, b) for p, c, a, b in matrix.differences(matrix.kept(chosen(other)), cells)]
    return shown(
        request, "matrix", "matrix/", version=version, professions=professions, grid=grid, versions=versions(),
        against=other, changed=changed if other else None, brings="data-protection" in request.roles,
    )  # fmt: skip


@staff("data-protection", "operations")
def export(request):
    """A version as JSON, which can be brought again under another name, or as a table."""
    version = chosen(request.GET.get("version"))
    if request.GET.get("as") == "csv":
        names = matrix.names()
        return sheet("matrix", COLUMNS, (
            (version, p, c, names.get(c, ""), permit, provenance)
            for (p, c), (permit, provenance) in sorted(matrix.kept(version).items())
        ))  # fmt: skip
    response = HttpResponse(json.dumps(matrix.written(version), indent=1, ensure_ascii=False),
                            content_type="application/json")  # fmt: skip
    response["Content-Disposition"] = 'attachment; filename="matrix.json"'
    return response


@staff("data-protection")
def bring(request):
    """A new version: first what it changes, then in force from now on."""
    text, wrong, changed, version = request.POST.get("text", ""), "", None, ""
    if file := request.FILES.get("file"):
        text = file.read(LARGEST).decode(errors="replace")
    if request.method == "POST":
        try:
            tree = json.loads(text[:LARGEST])
            if isinstance(tree, dict) and any(each["name"] == tree.get("version") for each in versions()):
                raise matrix.InvalidMatrix(_("There is a version of this name already: give it another."))
            version, cells = matrix.checked(tree)
            before = matrix.in_force()
            names = matrix.names()
            changed = [(p, names.get(c, c), a, b)
                       for p, c, a, b in matrix.differences(matrix.kept(before) if before else {}, cells)]  # fmt: skip
            if request.POST.get("do") == "take":
                with atomic():
                    matrix.put_in_force(version, cells)
                    noted(request, "bring-matrix", version=version, before=before, changes=len(changed))
                messages.success(request, _("The version is in force."))
                return HttpResponseRedirect("/admin/matrix/")
        except matrix.InvalidMatrix as error:
            wrong = str(error)
        except (ValueError, RecursionError) as error:
            wrong = _("This is not JSON: %(error)s") % {"error": error}
    return shown(request, "matrix_new", "matrix/", text=text, wrong=wrong, changed=changed, version=version)
