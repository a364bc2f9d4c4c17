from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "records"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from .indexing import on_write  # noqa: F401  listens
        from .interactions import interaction
        from .resources import rules

        interaction.load()
        rules.load()
