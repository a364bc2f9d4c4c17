from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "accessctl"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from . import sources

        sources.load()
