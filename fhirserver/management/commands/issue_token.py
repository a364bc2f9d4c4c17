"""`manage.py issue_token`: an access token for a client, printed as the last line."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from accessctl import actor, scopes
from accessctl.purposes import purpose
from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach


class Command(BaseCommand):
    help = "Issue a bearer token, whether the server is up or not; the token is the last line printed."

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("--client", required=True, help="name of the client; registered when new")
        parser.add_argument("--scope", required=True, help="SMART scopes, such as 'system/*.cruds'")
        parser.add_argument("--user", help="login of the person on whose behalf the client acts")
        parser.add_argument("--purpose", type=purpose, help="purpose of use, such as TREAT")
        parser.add_argument("--patient", help="id of the Patient in context, for patient/ scopes")
        parser.add_argument("--hours", type=float, default=12, help="how long it is valid (default 12)")

    def handle(self, **options):
        try:
            with reach(options["data"], holder="issue_token"):
                token = actor.issue(
                    options["client"], options["scope"], options["user"], options["purpose"], options["patient"],
                    timedelta(hours=options["hours"]),
                )  # fmt: skip
        except (scopes.InvalidScope, FolderError) as error:
            raise CommandError(str(error)) from error
        except get_user_model().DoesNotExist as error:
            raise CommandError(f"There is no user {options['user']!r}.") from error
        self.stdout.write(token)
