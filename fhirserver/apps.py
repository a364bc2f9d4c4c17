from allauth.account.apps import AccountConfig
from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class ServerConfig(AppConfig):
    name = "fhirserver"
    default = True

    def ready(self):
        # Once a migration, whichever applications it touches.
        from django.apps import apps

        from records.interactions.capabilities import SECURITY

        from . import celery, roles  # noqa: F401  every process sends its messages by this Celery application
        from .oauth.addresses import oauth_uris

        SECURITY.append(oauth_uris)
        records = apps.get_app_config("records")
        pre_migrate.connect(roles.before_migration, sender=records)
        post_migrate.connect(roles.after_migration, sender=records)


class AccountsConfig(AccountConfig):
    """Of allauth, whose middleware is in PAGE_MIDDLEWARE: its own test reads MIDDLEWARE only."""

    def ready(self):
        from allauth.account import checks  # noqa: F401
