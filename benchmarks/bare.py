"""This server without consent, audit and row-level security, for `python -m benchmarks cost` alone.

    python -m benchmarks.bare --port P --data DIR --empty        `manage.py up`, with the application of this file

The product has no switch for any of the three: this file replaces what it calls. Tokens, scopes of what is asked,
validation, labelling and indexing stay.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
APPLICATION = "benchmarks.bare:application"


def application(environ, start_response):
    """The WSGI application; the three are taken out when the first request comes, in the process that serves it."""
    return _bare()(environ, start_response)


def _bare():
    global _bare
    from fhirserver.wsgi import application

    strip()
    _bare = lambda: application  # noqa: E731
    return application


def strip():
    """Everybody is shown everything, nothing is recorded, the database is told nobody's name."""
    from accessctl.access import ActorAccess
    from fhirserver import endpoint
    from records import database
    from records.access import Everything
    from records.database.asking import NOBODY

    everything = Everything()

    class Open(ActorAccess):
        def __init__(self, actor):
            super().__init__(actor)
            self.asked_by = NOBODY

        def resources(self, code, type, alias="r", pk="pk"):
            return everything.resources(code, type, alias, pk)

        def patients(self, code, type):
            return None

    def untold(session, asked):
        return session.run([statement for _, statement in asked])

    endpoint.access_for = Open
    endpoint.record = lambda actor, interaction, outcome, request_id: None
    database._told = untold


def unwall(folder):
    """Row-level security off in the database of this folder, which a server runs."""
    import psycopg

    from fhirserver.embedded import environment
    from records.database import WALLED

    with psycopg.connect(environment(folder)["FHIRSERVER_OWNER_DATABASE_URL"]) as connection:
        for table in sorted(WALLED):
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def up(arguments):
    """`manage.py up` whose web processes serve `application`."""
    from fhirserver.embedded import supervisor

    web = supervisor.Server._web

    def bare(self):
        child = web(self)
        child.command = [APPLICATION if part == "fhirserver.wsgi:application" else part for part in child.command]
        return child

    supervisor.Server._web = bare
    return supervisor.main(arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(up(sys.argv[1:]))
