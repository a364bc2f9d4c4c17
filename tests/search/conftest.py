"""Resources in the database, indexed inline, for the tests of one module; rolled back after it."""

from contextlib import contextmanager, suppress

import pytest

from records.access import Everything
from records.database import atomic
from records.indexing.index import index_pending
from records.resources.store import Write, write
from tests.conftest import sweep


def put(*resources):
    """Store resources and index them at once."""
    done = write([Write("PUT", r["resourceType"], r["id"], r) for r in resources], Everything())
    while index_pending(1000):
        pass
    return done


class Undo(Exception):
    pass


@contextmanager
def undone():
    """A transaction, or a savepoint in one, that leaves nothing."""
    with suppress(Undo), atomic():
        yield
        raise Undo


@pytest.fixture(scope="module")
def rows(django_db_setup, django_db_blocker):
    """A transaction for the whole module."""
    with django_db_blocker.unblock():
        sweep()
        with undone():
            yield


@pytest.fixture
def store(django_db_setup, django_db_blocker):
    """A transaction for one test."""
    with django_db_blocker.unblock():
        sweep()
        with undone():
            yield
