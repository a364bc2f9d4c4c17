"""Every official search parameter has its place in the index, or stands in the list of those that have none."""

import pytest

from records.definitions.structures import RESOURCE_TYPES
from records.fhirpath import plain
from records.indexing import extract
from records.search import parameters, stored
from records.search.parameters import by_url, parameter
from records.search.types import TYPES

WITHOUT_ROWS = {"_query", "_id", "_lastUpdated"}  # no expression, or a column of the resource


def every():
    for type in RESOURCE_TYPES:
        for param in parameters.parameters(type).values():
            yield type, param


def test_there_are_as_many_as_in_the_specification():
    urls = {param.url for _, param in every()}
    assert len(urls) == 1375


def test_every_parameter_is_indexed():
    missing = {(type, param.code) for type, param in every() if not (param.indexed and param.family in TYPES)}
    assert not {m for m in missing if m[1] not in WITHOUT_ROWS}


def test_every_parameter_makes_rows_of_at_least_one_data_type():
    for type, param in every():
        if param.indexed and param.code not in parameters.FULL_TEXT:
            routes = plain.routes(param.expression, type)
            kind = TYPES[param.kind]
            if callable(routes):
                assert kind.emitter(param, plain.Route((), "boolean")), (type, param.code)
            else:
                assert any(kind.emitter(param, route) for route in routes), (type, param.code)


def test_every_plan_compiles():
    for type in RESOURCE_TYPES:
        assert extract.extract({"resourceType": type, "id": "x"}, type)


def test_components_of_composites_are_parameters():
    for _, param in every():
        for definition, _ in param.components:
            assert by_url(param.type, definition), (param.type, param.code, definition)


def test_keys_are_all_different():
    keys = [param.key for _, param in every()]
    assert len(set(keys)) == len(keys)


@pytest.fixture
def custom():
    yield
    parameters.use((), 0)


def test_stored_parameters_join_the_official_ones(custom):
    given = {
        "url": "http://x.org/SearchParameter/nickname",
        "code": "nickname",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.where(use='nickname').given",
    }
    parameters.use([given], 7)
    assert parameters.version() == 7
    assert parameter("Patient", "nickname").kind == "string"
    assert parameter("Patient", "gender")
    resource = {"resourceType": "Patient", "id": "x", "name": [{"use": "nickname", "given": ["Zaz"]}]}
    key = parameter("Patient", "nickname").key
    assert (key, "zaz", "Zaz") in extract.extract(resource, "Patient").string
    parameters.use((), 8)
    assert parameter("Patient", "nickname") is None


def test_what_another_thread_learns_after_the_look_makes_it_void(database):
    """The query was parsed by what the process knew before."""
    seen = stored.look()
    assert stored.known(seen)
    before = stored.look()
    stored.moved()
    stored.learn()
    assert not stored.known(before) and stored.known(stored.look())
