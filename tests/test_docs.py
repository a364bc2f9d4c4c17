"""A truthful documentation: what it names is there, and what is there it names."""

import argparse
import re
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class
from prometheus_client.metrics import MetricWrapperBase

from accessctl import scopes, sources
from fhirserver import metrics
from fhirserver.embedded import folder
from fhirserver.settings import SETTINGS
from records import errors, operations
from records.definitions.structures import RESOURCE_TYPES
from records.formats import json
from records.interactions import interaction
from records.resources import rules
from records.resources.validation import check
from records.search.parse import INCLUDES, RESULTS
from records.search.ranges import RANGES
from records.search.types import TYPES

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = ("fhirserver", "accessctl", "records")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s#]*)")


@pytest.fixture(autouse=True, scope="module")
def registries():
    interaction.load()
    rules.load()
    sources.load()


def table(page, header):
    """Cells of each row of the table that has this header, backticks taken off a cell that is one word of code."""
    found, inside = [], False
    for line in (REFERENCE / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            inside = False
        elif cells[: len(header)] == list(header):
            inside = True
        elif inside and not set(cells[0]) <= {"-"}:
            found.append([m[1] if (m := CODE.fullmatch(cell)) else cell for cell in cells])
    assert found, f"{page} has no table {header}"
    return found


def sections(page):
    """Heading -> text below it, of a page's second level."""
    parts = re.split(r"^## (.+)$", (REFERENCE / page).read_text(), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


# settings and commands


def test_settings():
    documented = {name: default for name, default, _ in table("settings.md", ("setting", "default"))}
    assert documented == {name: default for name, (default, _) in SETTINGS.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_settings_that_a_page_names(page):
    named = set(re.findall(r"\bFHIRSERVER_[A-Z_]*[A-Z]\b", page.read_text()))
    assert named <= set(SETTINGS)


def our_commands():
    return {name: app for name, app in get_commands().items() if app in OURS}


def test_commands():
    documented = {m[1] for title in sections("commands.md") if (m := CODE.fullmatch(title))}
    assert documented == set(our_commands())


@pytest.mark.parametrize("name", sorted(our_commands()))
def test_options_of_a_command(name):
    command = load_command_class(our_commands()[name], name)
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    known = {action.option_strings[0] if action.option_strings else action.metavar for action in parser._actions}
    rows = re.findall(r"^\| `([^`]+)` \|", sections("commands.md")[f"`{name}`"], re.M)
    assert set(rows) == known


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_that_a_page_names(page):
    named = set(re.findall(r"manage\.py ([a-z_]+)", page.read_text()))
    assert named <= set(get_commands())


def test_make_targets():
    targets = set(re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split())
    texts = {page: page.read_text() for page in PAGES}
    for page, text in texts.items():
        named = set(re.findall(r"(?:`|^ *)make ([a-z][a-z-]*)", text, re.M))
        assert named <= targets, page
    assert targets <= set(re.findall(r"make ([a-z][a-z-]*)", texts[ROOT / "README.md"]))


# REST


def test_interactions():
    documented = {tuple(row[:2]) for row in table("interactions.md", ("interaction", "request"))}
    assert documented == {(v.code, f"{v.method} /{'/'.join(v.pattern)}") for v in interaction.VERBS}


def test_operations():
    documented = {tuple(row) for row in table("operations.md", ("operation", "level", "types"))}
    assert documented == {
        (f"${o.name}", o.level, ", ".join(o.types) if o.types else "all", "yes" if o.affects_state else "no")
        for o in operations.OPERATIONS
    }


def test_number_of_types():
    assert f"All {len(RESOURCE_TYPES) - 1} concrete resource types" in (REFERENCE / "interactions.md").read_text()


def test_errors():
    def below(kind):
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    documented = {tuple(row) for row in table("errors.md", ("class", "status"))}
    assert documented == {
        (kind.__name__, str(kind.status), kind.code, kind.sentence)
        for kind in below(errors.FHIRError)
        if kind.__module__ == errors.__name__
    }


# search


def test_modifiers():
    rows = table("search.md", ("type", "modifiers"))
    documented = {kind: set(re.findall(r":([a-z-]+)", cell)) for kind, cell in rows}
    assert documented == {kind: set(each.modifiers) for kind, each in TYPES.items()}


def test_prefixes():
    assert {row[0] for row in table("search.md", ("prefix",))} == set(RANGES)


def test_result_parameters():
    documented = set(re.findall(r"^\| `(_\w+)` \|", sections("search.md")["Results"], re.M))
    assert documented == set(RESULTS) | set(INCLUDES)


# rights, rules, limits, metrics, data folder


def test_letters_of_scopes():
    assert dict(table("tokens.md", ("interaction", "letter"))) == scopes.LETTERS


def test_sources_of_access():
    kinds = {"ceiling": sources.CEILINGS, "permit": sources.PERMITS, "denial": sources.DENIALS}
    documented = {(name, kind) for name, kind, _ in table("tokens.md", ("source", "kind"))}
    assert documented == {(f.__module__.rpartition(".")[2], kind) for kind, all in kinds.items() for f in all}


def test_types_with_rules():
    assert {row[0] for row in table("rules.md", ("type", "rule"))} == set(rules.BEFORE_WRITE)


@pytest.mark.parametrize("limit", table("limits.md", ("limit", "value")), ids=lambda row: row[2])
def test_limits_of_the_code(limit):
    _, value, where = limit
    module, _, name = where.rpartition(".")
    assert str(getattr(import_module(module), name)) == value


@pytest.mark.parametrize("limit", table("limits.md", ("limit", "default")), ids=lambda row: row[2])
def test_limits_by_setting(limit):
    _, value, setting = limit
    assert SETTINGS[setting][0] == value


def test_metrics():
    rows = table("metrics.md", ("metric", "kind"))
    documented = {(name, kind, *sorted(re.findall(r"\w+", labels))) for name, kind, labels, _ in rows}
    found = {
        (each._name + ("_total" if each._type == "counter" else ""), each._type, *sorted(each._labelnames))
        for each in vars(metrics).values()
        if isinstance(each, MetricWrapperBase)
    }
    assert documented == found


def test_parts_of_the_data_folder():
    """The folder's own docstring lists them, one a line."""
    listed = {line.split()[0] for line in folder.__doc__.splitlines()[3:] if line.startswith("  ") and line.split()}
    assert {row[0] for row in table("data-folder.md", ("path",))} == listed


def test_tables():
    text = (ROOT / "docs" / "explanation" / "storage.md").read_text()
    ours = {model._meta.db_table for model in apps.get_models() if model._meta.app_label in OURS}
    assert {name for name in ours if f"`{name}`" not in text} == set()


# every page


def anchors(page):
    """The ids that headings get."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links(page):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(target)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_names_of_the_code(page):
    """`records/errors.py` is there, and so is `records.signals.resources_written`."""
    wrong = []
    for name in CODE.findall(page.read_text()):
        if re.fullmatch(r"(?:records|accessctl|fhirserver|tests|benchmarks|fixtures|docs)/[\w./-]*", name):
            if not (ROOT / name).exists():
                wrong.append(name)
        elif re.fullmatch(r"(?:records|accessctl|fhirserver)(?:\.\w+)+", name):
            module, _, last = name.rpartition(".")
            path = ROOT / name.replace(".", "/")
            if not (path.is_dir() or path.with_suffix(".py").exists() or hasattr(import_module(module), last)):
                wrong.append(name)
    assert not wrong


def examples(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_json_of_examples(page):
    """Blocks marked as JSON are read by the same parser as requests, and resources in them are valid."""
    for text in examples(page, "json"):
        tree = json.parse(text.strip().encode(), list if text.startswith("[") else dict)
        if type(tree) is dict:
            entries = [entry["resource"] for entry in tree.get("entry", ())] or [tree]
            assert [i for each in entries for i in check(each) if i.severity == "error"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_of_examples(page):
    for text in examples(page, "python"):
        compile(dedent(text), str(page), "exec")


def test_a_link_leads_to_every_page():
    found = {(page.parent / path).resolve() for page in PAGES for path in LINK.findall(page.read_text()) if path}
    assert [str(page.relative_to(ROOT)) for page in PAGES[1:] if page not in found] == []
