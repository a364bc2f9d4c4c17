"""One server for the tests of a folder, kept as long as they leave it standing."""

import pytest

from tests.faults.server import Server

FAST = "fsync = off\nfull_page_writes = off\n"


@pytest.fixture(scope="session")
def durable():
    """A server whose PostgreSQL writes to the disk what it says it has written."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(durable):
    """The server, healed by itself from what the test before did to it."""
    durable.ready()
    return durable
