"""Run the whole server on this machine until Ctrl-C: PostgreSQL, migrations, demo people, web, worker."""

import os
import sys
from pathlib import Path

from django.core.management.base import BaseCommand

from fhirserver.embedded import supervisor


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser):
        supervisor.add_arguments(parser)

    def handle(self, *, port, host, workers, empty, data, **_):
        options = ["--port", port, "--host", host, "--workers", workers, "--data", Path(data).expanduser().resolve()]
        os.chdir(supervisor.CHECKOUT)
        # Django was needed to find this command; what stays is a process without it.
        program = [sys.executable, "-m", "fhirserver.embedded.supervisor", *map(str, options)]
        os.execv(sys.executable, [*program, "--empty"] if empty else program)
