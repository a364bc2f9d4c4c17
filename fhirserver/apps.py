from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class ServerConfig(AppConfig):
    name = "fhirserver"

    def ready(self):
        # Once a migration, whichever applications it touches.
        from django.apps import apps

        from . import celery, roles  # noqa: F401  every process sends its messages by this Celery application

        records = apps.get_app_config("records")
        pre_migrate.connect(roles.before_migration, sender=records)
        post_migrate.connect(roles.after_migration, sender=records)
