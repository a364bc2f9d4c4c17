"""`manage.py load`: files of Bundles and NDJSON into the records, as the interactions of a client would be."""

import time
import uuid

from django.core.management.base import BaseCommand, CommandError

from fhirserver.embedded.folder import Folder, FolderError
from fhirserver.embedded.reach import add_data_argument, reach
from records.loading import indexing, inputs, ledger, load, processes, progress, report


class Command(BaseCommand):
    help = (
        "Load Bundles (transaction, batch, collection, searchset), single resources and NDJSON, from files and folders,"
        " also .gz and .bz2, whether the server is up or not. Run again it does what is left: what was loaded is"
        " known by its content. Exit status 1 when something was refused."
    )

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder with all below it")
        parser.add_argument("--processes", type=int, default=2, help="how many work at once (default 2)")
        parser.add_argument("--report", metavar="FILE", help="where refusals are told, one JSON object a line")

    def handle(self, *, paths, processes: int, data, report, **_):
        try:
            found = inputs.find(paths)
            with reach(data, holder="load"):
                summary, where = run(found, processes, report or report_in(data))
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on where this one ended.", returncode=130) from None
        except EXPECTED as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(summary))
        if summary.refused:
            raise CommandError(f"{summary.refused:,} refused: {where} says what and why.")


EXPECTED = (inputs.NothingToLoad, ledger.AlreadyRunning, processes.ProcessEnded, FolderError)


def run(found, count, where):
    """Load, then index what is not indexed yet; (Summary, path of the report)."""
    from fhirserver.system import execute

    shown = progress.Progress(sum(source.size for source in found))
    with report.Report(where) as told:
        try:
            summary = load.load(found, execute, told, shown, count)
        finally:
            shown.close()
    indexing.index_rest(count)
    return summary, where


def report_in(data):
    """A new file in the folder's log, or here when there is no such folder."""
    name = f"load-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:4]}.refused.ndjson"
    log = Folder.at(data).log
    return log / name if log.is_dir() else name
