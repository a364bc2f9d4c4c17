"""$export: what it contains, how it is asked for and fetched. (FHIR Bulk Data Access 2.0)"""

import pytest

from tests.accessctl.people import World

from .exports import exported, kicked, manifest, named, resources, robot, worked


@pytest.fixture
def world(database):
    return World()


def test_first(world):
    id = world.observation()
    api = robot()
    told = exported(api)
    print(told)
    assert {("Observation", id, "1")} <= named(resources(api, told))
