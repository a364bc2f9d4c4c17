"""`manage.py check_index`: is the index what the resources say? Exit status 1 when it is not."""

import sys
import time

from django.core.management.base import BaseCommand, CommandError

from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach
from records.definitions.structures import is_resource_type
from records.indexing import drift

EVERY = 10.0  # seconds between two lines


class Command(BaseCommand):
    help = (
        "Make the index rows of every resource anew and compare them with the stored ones, whether the server is up or"
        " not. Differences are listed by type and parameter; exit status 1 when there are any."
    )

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("types", nargs="*", metavar="TYPE", help="only these resource types")
        parser.add_argument("--repair", action="store_true", help="index again what differs")

    def handle(self, *, types, repair, data, **_):
        check_types(types)
        try:
            with reach(data, holder="check_index"):
                report = drift.check(types or None, repair, told=Progress())
        except FolderError as error:
            raise CommandError(str(error)) from error
        for (type, code, table, what), count in sorted(report.differences.items()):
            self.stdout.write(f"{type or 'any type'}\t{code or '-'}\t{table or '-'}\t{what}\t{count:,}")
        said = f"{report.checked:,} checked, {report.waiting:,} wait for the indexer, {report.failed:,} failed before"
        if report.differences:
            done = "indexed again" if repair else "--repair indexes them again"
            raise CommandError(f"{said}; {len(report.resources):,} differ: {done}.")
        self.stdout.write(f"{said}; 0 differences.")


def check_types(types):
    for type in types:
        if not is_resource_type(type):
            raise CommandError(f"{type!r} is not a resource type.")


class Progress:
    """A line on stderr every ten seconds."""

    def __init__(self):
        self.said = time.monotonic()

    def __call__(self, report):
        if time.monotonic() - self.said >= EVERY:
            self.said = time.monotonic()
            print(f"check_index: {report.checked:,} checked", file=sys.stderr, flush=True)
