"""A folder's database for a management command, whether the server is up or not."""

import contextlib
import os
import sys
import time
from pathlib import Path

from .folder import Folder, FolderBusy, FolderError, environment
from .postgres import Postgres

AUDIT = ("FHIRSERVER_AUDIT_KEY", "FHIRSERVER_AUDIT_SIGNING_KEY")
DEFAULT = Path(__file__).resolve().parents[2] / "data"


def add_data_argument(parser):
    """The option --data DIR, as every command has it."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("FHIRSERVER_DATA", str(DEFAULT)),
        help="data folder of the server (default: FHIRSERVER_DATA, else data/ of the checkout)",
    )


@contextlib.contextmanager
def reach(path, holder="command", create=False, wait=120.0):
    """Django's connections and keys are those of this folder inside the block.

    When no server runs there, its PostgreSQL runs for the length of the block, migrated first; with `create` a folder
    is made where there is none. With DATABASE_URL in the environment the real database is used and nothing started.
    """
    if "DATABASE_URL" in os.environ:
        yield None
        return
    folder = Folder.at(path)
    if not folder.exists and not create:
        raise FolderError(folder.empty)
    deadline = time.monotonic() + wait
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(folder.lock(holder))
            except FolderBusy:
                if folder.holder == "up" and folder.state.get("serving"):
                    break
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                stack.enter_context(Postgres(folder, say=lambda line: print(line, file=sys.stderr, flush=True)))
                stack.enter_context(connected(environment(folder.path)))
                _migrate()
                yield folder
                return
        stack.enter_context(connected(environment(folder.path)))
        yield folder


def _migrate():
    from django.core.management import call_command

    call_command("migrate", database="owner", verbosity=0, interactive=False)


@contextlib.contextmanager
def connected(addresses):
    """Inside the block Django's connections and keys are those, whatever settings read at the start."""
    from django.conf import settings
    from django.db import connections

    from records.database import pool

    from ..settings import databases

    before = {alias: dict(connections.settings[alias]) for alias in connections.settings}
    keys = {name: getattr(settings, name) for name in ("SECRET_KEY", "AUDIT_FOLDER", *AUDIT)}
    connections.close_all()
    for alias, described in databases(addresses).items():
        connections.settings[alias].update(described)
    settings.SECRET_KEY = addresses["FHIRSERVER_SECRET_KEY"]
    settings.AUDIT_FOLDER = os.path.join(addresses["FHIRSERVER_DATA"], "audit")
    for name in AUDIT:
        setattr(settings, name, addresses[name])
    pool.reset()
    try:
        yield
    finally:
        connections.close_all()
        for alias, described in before.items():
            connections.settings[alias].update(described)
        pool.reset()
        for name, value in keys.items():
            setattr(settings, name, value)
