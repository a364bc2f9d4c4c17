"""The world of two patients that most tests of access start from."""

import pytest

from .people import World


@pytest.fixture
def world(database):
    return World()
