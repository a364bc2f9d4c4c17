from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "accessctl"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self):
        from django.db.models.signals import post_migrate

        # They register themselves.
        from . import (  # noqa: F401
            consent,
            decisions,
            emergency,
            explain,
            files,
            guard,
            identities,
            labelling,
            labels,
            majority,
            matrix,
            provenance,
            sources,
        )
        from .audit import history, served  # noqa: F401
        from .export import job, operations  # noqa: F401
        from .granular import indexed_at_once  # noqa: F401

        sources.load()
        post_migrate.connect(matrix.migrated, sender=self)
