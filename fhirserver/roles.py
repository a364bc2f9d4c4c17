"""The two database roles: the owner's tables are opened to the application role as they are made, no wider."""

from django.conf import settings
from django.db import connections

OWNER = "owner"  # the alias that migrates


def before_migration(using, **_):
    """Tables and sequences made from here on may be used by the application role.

    A migration may take some of it back: `REVOKE UPDATE, DELETE ON version FROM <settings.DATABASES default USER>`
    holds, as a grant is made only when a table is.
    """
    if using != OWNER:
        return
    with connections[OWNER].cursor() as cursor:
        if application := application_role(cursor):
            scope = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT"
            cursor.execute(f"{scope} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application}")
            cursor.execute(f"{scope} USAGE, SELECT ON SEQUENCES TO {application}")


def after_migration(using, **_):
    """What the database looks like is the owner's business alone."""
    if using != OWNER:
        return
    with connections[OWNER].cursor() as cursor:
        if application := application_role(cursor):
            cursor.execute(f"REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {application}")


def application_role(cursor):
    """The application role, quoted; None where one role does both."""
    name = settings.DATABASES["default"]["USER"]
    if not name or name == settings.DATABASES[OWNER]["USER"]:
        return None
    return connections[OWNER].ops.quote_name(name)
