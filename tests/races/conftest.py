"""One server with two web processes for all races. Nobody dies here, so nothing is forced to the disk."""

import pytest

from tests.faults.conftest import FAST
from tests.faults.server import Server


@pytest.fixture(scope="session")
def server():
    server = Server(FAST, FHIRSERVER_WAITING="248")  # two hundred clients are not too many here
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def nothing_unexpected(server):
    """No race is answered with a 500."""
    yield
    assert server.log() == []
