"""The world of two patients that attacks start from, and a trap for who looks outside."""

import socket

import pytest

from tests.accessctl.people import World


@pytest.fixture
def world(database):
    return World()


class Outside(AssertionError):
    """Somebody opened a connection, or asked for an address."""


@pytest.fixture
def trap(monkeypatch):
    """No name is resolved and nothing but the database connected to (libpq connects by itself, not by Python)."""

    def caught(*given, **_):
        raise Outside(str(given))

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, caught, raising=False)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, caught)
