"""`manage.py link_identity`: which login, or which organisation, an identifier of another system is."""

import re

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from accessctl.external import FINESS, ExternalIdentity
from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach


class Command(BaseCommand):
    help = "Link an identifier to a login, or a FINESS number to an organisation; linked anew it is the new one's."

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("identifier", metavar="IDENTIFIER", help="SubjectNameID, or a FINESS number")
        parser.add_argument("--login", help="the login of the professional")
        parser.add_argument("--organization", help="id of the Organization that has this FINESS number")
        parser.add_argument("--issuer", default=settings.FHIRSERVER_OIDC_ISSUER, help="else FHIRSERVER_OIDC_ISSUER")

    def handle(self, *, identifier, login, organization, issuer, data, **_):
        if (login is None) == (organization is None):
            raise CommandError("Give either --login or --organization.")
        if login and not issuer:
            raise CommandError("Give --issuer, or set FHIRSERVER_OIDC_ISSUER.")
        if organization and not re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", organization):
            raise CommandError(f"{organization!r} is not an id.")
        try:
            with reach(data, holder="link_identity"):
                user = get_user_model().objects.get(username=login) if login else None
                ExternalIdentity.objects.update_or_create(
                    system=issuer if login else FINESS,
                    value=identifier,
                    defaults={"user": user, "party": f"Organization/{organization}" if organization else None},
                )
        except FolderError as error:
            raise CommandError(str(error)) from error
        except get_user_model().DoesNotExist as error:
            raise CommandError(f"There is no user {login!r}.") from error
        self.stdout.write(f"{identifier}: {login or f'Organization/{organization}'}")
