"""`manage.py register_client`: an application or a backend service that may ask for tokens."""

import json
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from accessctl.smart.registration import InvalidClient, register
from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach


class Command(BaseCommand):
    help = "Register an application or a backend service under its client_id, or register it anew."

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("client_id", metavar="CLIENT_ID", help="the client_id")
        parser.add_argument("--title", default="", help="name that people see; else the client_id")
        parser.add_argument("--scope", required=True, help="the most that it may be granted")
        parser.add_argument("--redirect", action="append", default=[], help="redirect address of an application")
        parser.add_argument("--launch-url", help="where an EHR launch of it begins")
        parser.add_argument("--jwks", help="its public keys: a file, or an https address")
        parser.add_argument("--behalf", metavar="LOGIN", help="the person on whose behalf a backend service acts")
        parser.add_argument("--purpose", action="append", default=[], help="purpose of use that it may state")
        parser.add_argument("--introspects", action="store_true", help="it may ask about tokens of other clients")

    def handle(self, **options):
        try:
            with reach(options["data"], holder="register_client"):
                client = register(
                    options["client_id"],
                    title=options["title"],
                    scopes=options["scope"],
                    redirects=options["redirect"],
                    launch_url=options["launch_url"],
                    introspects=options["introspects"],
                    purposes=options["purpose"],
                    behalf=get_user_model().objects.get(username=options["behalf"]) if options["behalf"] else None,
                    **keys(options["jwks"]),
                )
        except (InvalidClient, FolderError) as error:
            raise CommandError(str(error)) from error
        except get_user_model().DoesNotExist as error:
            raise CommandError(f"There is no user {options['behalf']!r}.") from error
        self.stdout.write(f"{client.client_id}: {'confidential' if client.confidential else 'public'}")


def keys(given):
    """Inline keys of a file, or the address of keys."""
    if not given:
        return {}
    if given.startswith(("https://", "http://")):
        return {"jwks_uri": given}
    try:
        return {"jwks": json.loads(Path(given).read_bytes())}
    except (OSError, ValueError) as error:
        raise CommandError(f"{given} holds no JWKS: {error}") from error
