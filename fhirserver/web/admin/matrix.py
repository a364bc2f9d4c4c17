"""The authorisation matrix as a grid."""

from accessctl import matrix
from accessctl.pieces import dated
from records.database import execute

from .staff import shown, staff


@staff("data-protection", "operations")
def habilitation(request):
    """The matrix in force as a grid: professions across, classes of data down."""
    rows = execute(
        f"SELECT m.matrix, m.profession, m.category, m.permit, m.provenance FROM matrix m WHERE {dated('m')}"
        " ORDER BY m.profession, m.category"
    )
    classes = {c["number"]: c.get("display") or c.get("name") or str(c["number"]) for c in matrix.data()["classes"]}
    professions = sorted({row[1] for row in rows})
    cells = {(row[1], row[2]): (row[3], row[4]) for row in rows}
    grid = [(classes[n], [cells.get((p, n)) for p in professions]) for n in sorted({r[2] for r in rows} & set(classes))]
    versions = execute("SELECT matrix, min(since), max(until), count(*) FROM matrix GROUP BY 1 ORDER BY 2 DESC")
    return shown(request, "matrix", "matrix/", professions=professions, grid=grid, versions=versions)
