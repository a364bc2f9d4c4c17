from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "accessctl"
    default_auto_field = "django.db.models.BigAutoField"
