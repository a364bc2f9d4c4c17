"""`manage.py up`."""

import os
import sys

from django.core.management.base import BaseCommand

from fhirserver.embedded import supervisor


class Command(BaseCommand):
    """What `manage.py help` and call_command know of; manage.py itself goes to the supervisor at once."""

    help = "Run the whole server on this machine until Ctrl-C: PostgreSQL, migrations, demo people, web, worker."
    requires_system_checks = []

    def add_arguments(self, parser):
        supervisor.add_arguments(parser)

    def handle(self, *, port, host, workers, empty, data, **_):
        options = [
            "--port",
            port,
            "--host",
            host,
            "--workers",
            workers,
            "--data",
            data,
            *(["--empty"] if empty else []),
        ]
        os.execv(sys.executable, [sys.executable, str(supervisor.CHECKOUT / "manage.py"), "up", *map(str, options)])
