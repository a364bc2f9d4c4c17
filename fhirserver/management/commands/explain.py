"""`manage.py explain`: why a person sees a resource, or not."""

from django.core.management.base import BaseCommand, CommandError

from accessctl import scopes
from accessctl.explain import actor_of, explain, moment
from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach
from records.errors import InvalidValue
from records.resources.references import local


class Command(BaseCommand):
    help = "Every reason for and against seeing a resource, its verdict, and the verdict of the whole."

    def add_arguments(self, parser):
        parser.add_argument("actor", metavar="ACTOR", help="login of the person")
        parser.add_argument("reference", metavar="REFERENCE", help="Type/id of the resource")
        parser.add_argument("--scope", default="user/*.cruds", help="scopes of the token (default user/*.cruds)")
        parser.add_argument("--purpose", help="purpose of use of the token")
        parser.add_argument("--at", metavar="DATE", help="as it was then: a date (its end) or a time; default now")
        parser.add_argument("--interaction", default="read", choices=sorted(scopes.LETTERS), help="default read")
        add_data_argument(parser)

    def handle(self, *, actor, reference, scope, purpose, interaction, at, data, **_):
        named = local(reference)
        if named is None:
            raise CommandError(f"{reference!r} is not Type/id.")
        try:
            then = moment(at) if at else None
            with reach(data, holder="explain"):
                who = actor_of(actor, scope, purpose, then)
                if who is None:
                    raise CommandError(f"There is no user {actor!r}{f' at {at}' if at else ''}.")
                found = explain(who, *named, interaction, then)
        except (scopes.InvalidScope, FolderError, InvalidValue) as error:
            raise CommandError(str(error)) from error
        if found is None:
            raise CommandError(f"{reference} is not there{f' at {at}' if at else ''}.")
        said, verdict = found
        for each in said:
            self.stdout.write(f"{each.kind:8} {each.source:10} {'yes' if each.holds else 'no ':3}  {each.sentence}")
        can = ("might" if verdict else "might not") if at else "may" if verdict else "may not"
        self.stdout.write(f"{actor} {can} {interaction} {reference}{f' at {at}' if at else ''}.")
