"""`manage.py reindex`: a job as $reindex would ask for, and its end waited for."""

import sys
import time

from django.core.management.base import BaseCommand, CommandError

from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach
from records.definitions.structures import is_resource_type, type_number
from records.indexing import jobs, registration
from records.indexing.index import index_pending
from records.search import stored
from records.search.parameters import to_index

EVERY = 5.0  # seconds between two lines
PAUSE = 0.2  # when another process has the slice in hand


class Command(BaseCommand):
    help = (
        "Make index rows anew, whether the server is up or not: of all resources, of some types, or of one search"
        " parameter of a type. Stopped half way, the server's worker goes on with it."
    )

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("types", nargs="*", metavar="TYPE", help="only these resource types")
        parser.add_argument("--parameter", metavar="CODE", help="only this search parameter of the one TYPE")

    def handle(self, *, types, parameter, data, **_):
        for type in types:
            if not is_resource_type(type):
                raise CommandError(f"{type!r} is not a resource type.")
        if parameter and len(types) != 1:
            raise CommandError("--parameter needs the one TYPE that it belongs to.")
        try:
            with reach(data, holder="reindex"):
                job = finished(ask(types, parameter))
        except FolderError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped here; the worker goes on, $reindex-cancel ends it.", returncode=130) from None
        if job.state != "done":
            raise CommandError(f"Job {job.id} is {job.state}: {job.error or 'no error'}")
        said = f"Job {job.id}: {job.done:,} resources indexed anew"
        if job.failed:
            raise CommandError(f"{said}, {job.failed:,} could not be.")
        self.stdout.write(f"{said}.")


def ask(types, parameter):
    """The id of a new job."""
    numbers = sorted({type_number(t) for t in types}) or None
    if not parameter:
        return jobs.ask("reindex", "system", types=numbers)
    stored.learn()
    job = registration.rebuild("system", numbers[0], parameter)
    if job is not None:
        return job
    param = to_index(types[0]).get(parameter)
    if param is None or not param.indexed:
        raise CommandError(f"{types[0]} has no indexed search parameter {parameter!r}.")
    return jobs.ask("reindex", "system", types=numbers, keys=[param.key], names=[f"{types[0]}.{parameter}"])


def finished(id):
    """The job when it is over; this process works on it, beside the server's worker where one runs."""
    said = time.monotonic()
    while (job := jobs.find(id)).state in ("waiting", "running"):
        if not jobs.advance() and not index_pending():
            time.sleep(PAUSE)
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            print(f"reindex: {job.done:,} of {job.total or 0:,}", file=sys.stderr, flush=True)
    return job
