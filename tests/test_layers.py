"""Imports point down only. (docs/architecture.md)"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the top; a package may import those of lower floors, and those beside it on its own floor.
FLOORS = [
    {"fhirserver"},
    {"accessctl"},
    {"records.loading", "records.population"},
    {"records.interactions", "records.operations"},
    {"records.indexing"},
    {"records.search"},
    {"records.resources", "records.signals"},
    {"records.fhirpath", "records.formats"},
    {"records.definitions", "records.errors", "records.sql", "records.keys", "records.access", "records.database"},
]
# Of a lower floor these may see only a part: the rows of the indexer, not the SQL of a query.
ONLY = {"records.indexing": {"records.search": ("types", "parameters", "stored", "fitting", "contained")}}
# What Django reads at its start gathers from everywhere.
GATHERS = {"records/models.py", "records/apps.py", "accessctl/models.py", "accessctl/apps.py"}

FLOOR = {package: number for number, floor in enumerate(FLOORS) for package in floor}
FILES = [
    path.relative_to(ROOT)
    for package in ("fhirserver", "accessctl", "records")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
]


def room(module):
    """The package of FLOORS that a module belongs to."""
    parts = module.split(".")
    if parts[0] != "records":
        return parts[0]
    return "records" if len(parts) < 2 or parts[1].startswith("__") else ".".join(parts[:2])


def imports(path):
    """(module, line) of each import of our own packages, relative ones resolved."""
    module = ".".join(path.with_suffix("").parts)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    if path.name == "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.split(".")[0] in ("fhirserver", "accessctl", "records"):
                yield name, node.lineno


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    if str(path) in GATHERS:
        return
    here = room(".".join(path.with_suffix("").parts))
    wrong = []
    for name, line in imports(path):
        there = room(name)
        if there == here or there == "records":
            continue
        assert there in FLOOR, f"{path}:{line} imports {name}: give {there} a floor in FLOORS"
        allowed = ONLY.get(here, {}).get(there)
        if FLOOR[there] < FLOOR[here] or (allowed and name.split(".")[2] not in allowed):
            wrong.append(f"{path}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_a_floor():
    rooms = {room(".".join(path.with_suffix("").parts)) for path in FILES} - {"records"}
    assert rooms - {"records.__init__", "records.models", "records.apps"} <= set(FLOOR)


def test_records_knows_neither_rights_nor_http():
    wrong = [
        f"{path}:{line} imports {name}"
        for path in FILES
        if path.parts[0] == "records"
        for name, line in imports(path)
        if name.split(".")[0] != "records"
    ]
    assert not wrong, "\n".join(wrong)
