"""After an upgrade: rows that older code has made are made anew, in the background, while the server works."""

from records.database import as_system, atomic, execute

from . import jobs

NAME = "extraction"
EXTRACTION = 4  # raised by whoever changes what rows a resource has; docs/how-to/upgrade.md


@as_system()
def renew():
    """Ask for a reindex when the index was made by other code; the id of the job, or None."""
    with atomic():
        known = execute("SELECT version FROM registry WHERE name = %s FOR UPDATE", (NAME,))
        if known and known[0][0] == EXTRACTION:
            return None
        execute(
            "INSERT INTO registry (name, version) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (NAME, EXTRACTION),
        )
        if not execute("SELECT EXISTS (SELECT FROM resource)")[0][0]:
            return None
        return jobs.ask("reindex", "system")
