"""What the CapabilityStatement claims is there, and what is there it claims. (http.html#capabilities)"""

import pytest

from records.definitions.parameters import search_parameter_definitions
from records.formats import json, xml
from records.operations import OPERATIONS, fits
from records.resources.validation import check
from records.search.parameters import parameters
from tests.api import Api

FIRST = ("Patient", "AllergyIntolerance", "MedicationStatement", "Observation", "ImagingStudy")
ADMINISTRATION = "system/*.cruds"


@pytest.fixture(scope="module")
def api(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        yield Api(ADMINISTRATION)


@pytest.fixture(scope="module")
def rest(api):
    """The server's side of the statement."""
    (found,) = api.get("metadata").tree["rest"]
    return found


@pytest.fixture(scope="module")
def types(rest):
    return {each["type"]: each for each in rest["resource"]}


def answers(answer):
    """Is it an answer to the interaction, be it that the resource is not there or not right?"""
    if answer.status_code in (405, 415, 501) or answer.status_code >= 500:
        return False
    unknown = answer.status_code == 404 and answer.tree["issue"][0]["code"] == "not-supported"
    return not unknown


PATCH = {"type": "application/json-patch+json"}
HOW = {
    "read": lambda api, type: api.get(f"{type}/no-such-id"),
    "vread": lambda api, type: api.get(f"{type}/no-such-id/_history/1"),
    "update": lambda api, type: api.put(f"{type}/no-such-id", {"resourceType": type, "id": "another"}),
    "patch": lambda api, type: api.patch(f"{type}/no-such-id", [], **PATCH),
    "delete": lambda api, type: api.delete(f"{type}/no-such-id"),
    "history-instance": lambda api, type: api.get(f"{type}/no-such-id/_history"),
    "history-type": lambda api, type: api.get(f"{type}/_history?_count=0"),
    "create": lambda api, type: api.post(type, {"resourceType": type, "nmae": 1}),
    "search-type": lambda api, type: api.get(f"{type}?_id=no-such-id"),
}
OF_AUDIT_EVENTS = ("read", "create", "search-type")  # kept in a table of their own
EXPECTED = {"read": 404, "vread": 404, "update": 400, "patch": 404, "delete": 204, "history-instance": 404,
            "history-type": 200, "create": 400, "search-type": 200}  # fmt: skip


@pytest.mark.parametrize("code", HOW)
def test_every_interaction_of_every_type(api, types, code):
    claimed = [name for name, each in types.items() if {"code": code} in each["interaction"]]
    assert len(claimed) == (145 if code in OF_AUDIT_EVENTS else 144)
    found = {name: HOW[code](api, name) for name in claimed}
    assert {name: a.content for name, a in found.items() if not answers(a)} == {}
    assert {name: a.status_code for name, a in found.items() if a.status_code != EXPECTED[code]} == {}


def test_nothing_else_is_claimed_of_a_type(types):
    assert {i["code"] for each in types.values() for i in each["interaction"]} == set(HOW)


def test_every_operation_is_defined_where_the_statement_says(api, rest, types):
    """By HL7, or here: then its definition is to be read."""
    claimed = {o["definition"] for each in (rest, *types.values()) for o in each.get("operation", ())}
    ours = {url for url in claimed if not url.startswith("http://hl7.org/")}
    assert {url.rpartition("/")[2] for url in claimed - ours} == {
        "Patient-everything", "Observation-lastn", "Resource-meta", "Resource-meta-add", "Resource-meta-delete",
        "Resource-validate", "export", "patient-export", "group-export",
    }  # fmt: skip
    for url in ours:
        found = api.get(url.partition("/fhir/")[2])
        assert found.status_code == 200 and found.tree["url"] == url
        assert not [i for i in check(found.tree, "OperationDefinition") if i.severity == "error"]
    assert api.get("OperationDefinition/Patient-nothing").status_code == 404


BATCH = {"resourceType": "Bundle", "type": "batch"}
OF_THE_SYSTEM = {
    "batch": lambda api: api.post("", BATCH),
    "transaction": lambda api: api.post("", {**BATCH, "type": "transaction"}),
    "history-system": lambda api: api.get("_history?_count=0"),
    "search-system": lambda api: api.get("?_type=Patient&_id=no-such-id"),
}


def test_every_interaction_of_the_system(api, rest):
    claimed = {i["code"] for i in rest["interaction"]}
    assert claimed <= set(OF_THE_SYSTEM)
    for code, ask in OF_THE_SYSTEM.items():
        assert (ask(api).status_code == 200) == (code in claimed), code


def test_every_operation(api, rest, types):
    """Each is found where it is claimed, and each that is registered is claimed."""
    claimed = {(None, o["name"]) for o in rest.get("operation", ())}
    claimed |= {(name, o["name"]) for name, each in types.items() for o in each.get("operation", ())}
    registered = {
        (name, o.name)
        for o in OPERATIONS
        for name in ((None,) if o.level == "system" else o.types or types)
        if name is None or (name in types and fits(o, name))
    }
    assert claimed == registered
    missing = [(name, operation) for name, operation in claimed if name in (None, *FIRST)
               if not any(answers(a) for a in called(api, name, operation))]  # fmt: skip
    assert missing == []


def called(api, type, operation):
    """The answers of an operation at its levels, by the methods that it may take."""
    for path in ("",) if type is None else (f"{type}/", f"{type}/no-such-id/"):
        for method, body in (("GET", None), ("POST", {"resourceType": "Parameters"})):
            yield api.request(method, f"{path}${operation}", body)


def test_every_operation_has_a_definition(rest, types):
    for each in (*rest.get("operation", ()), *(o for t in types.values() for o in t.get("operation", ()))):
        assert "None" not in each["definition"] and each["definition"].endswith(each["name"]), each


FORM = "application/x-www-form-urlencoded"
VALUES = {
    "string": "x",
    "token": "urn:s|x",
    "reference": "Patient/x",
    "date": "2024-01",
    "quantity": "gt5|http://unitsofmeasure.org|kg",
    "number": "3",
    "uri": "http://example.org/x",
    "special": "x",
}
BY_CODE = {"_id": "x", "_lastUpdated": "gt2020"}


def value(type, name):
    """A plausible value of a search parameter."""
    found = parameters(type)[name]
    if name in BY_CODE:
        return BY_CODE[name]
    if found.kind == "composite":
        kinds = {p.url: p.kind for p in parameters(type).values()}
        return "$".join(VALUES[kinds[url]].removeprefix("urn:s|") for url, _ in found.components)
    if found.kind == "reference":
        return f"{found.targets[0] if found.targets else 'Patient'}/x"
    return VALUES[found.kind]


@pytest.mark.parametrize("name", FIRST)
def test_every_search_parameter_is_accepted(api, types, name):
    refused = {}
    for parameter in types[name]["searchParam"]:
        form = f"{parameter['name']}={value(name, parameter['name'])}&_summary=count".encode()
        answer = api.post(f"{name}/_search", form, type=FORM, prefer="handling=strict")
        if answer.status_code != 200:
            refused[parameter["name"]] = answer.tree["issue"][0]["diagnostics"]
    assert refused == {}


@pytest.mark.parametrize("name", FIRST)
def test_every_include_is_claimed_and_accepted(api, types, name):
    """An empty list would say that the server does not support includes. (capabilitystatement-definitions.html)"""
    references = {f"{name}:{p.code}" for p in parameters(name).values() if p.kind == "reference"}
    assert set(types[name]["searchInclude"]) == {"*", f"{name}:*", *references}
    assert "Provenance:target" in types[name]["searchRevInclude"]
    for how in ("searchInclude", "searchRevInclude"):
        form = "&".join(f"_{how.removeprefix('search').lower()}={value}" for value in types[name][how])
        answer = api.post(f"{name}/_search", f"_count=1&{form}".encode(), type=FORM, prefer="handling=strict")
        assert answer.status_code == 200, answer.content
    assert "Observation:patient" in types["Patient"]["searchRevInclude"]


def test_what_is_searched_everywhere_is_claimed_once_for_all(api, rest, types):
    claimed = {p["name"] for p in rest["searchParam"]}
    assert {"_id", "_lastUpdated", "_tag", "_content", "_sort", "_filter", "_has"} <= claimed and "_text" not in claimed
    for name in claimed & {p["name"] for p in types["Binary"]["searchParam"]}:
        form = f"{name}={value('Binary', name)}&_summary=count".encode()
        assert api.post("_search", form, type=FORM, prefer="handling=strict").status_code == 200, name


def test_what_is_not_claimed_is_not_accepted(api, types):
    for name in FIRST:
        claimed = {p["name"] for p in types[name]["searchParam"]}
        assert "shoe" not in claimed
        assert api.get(f"{name}?shoe=43", prefer="handling=strict").status_code == 400


def test_what_no_search_parameter_defines_is_named_and_accepted(api, rest):
    values = {
        "_filter": "_id%20eq%20x", "_list": "x", "_has": None, "_type": None, "_count": "1", "_sort": "_id",
        "_include": "Patient:general-practitioner", "_revinclude": "Observation:patient", "_summary": "true",
        "_total": "none", "_elements": "id", "_contained": "both", "_containedType": "contained",
    }  # fmt: skip
    named = set(rest["documentation"].rstrip(".").partition(" knows ")[2].split(", "))
    assert named == set(values)
    for name, value in values.items():
        assert value is None or api.get(f"Patient?{name}={value}", prefer="handling=strict").status_code == 200, name
    assert api.get("Patient?_has:Observation:patient:status=final", prefer="handling=strict").status_code == 200
    assert api.get("?_type=Patient", prefer="handling=strict").status_code == 200
    assert "_query" not in named and api.get("Patient?_query=x").status_code == 400


def test_every_search_parameter_has_its_definition(types):
    official = {d["url"] for d in search_parameter_definitions()}
    claimed = {p["definition"] for each in types.values() for p in each["searchParam"]}
    assert claimed <= official
    assert all(len({p["name"] for p in t["searchParam"]}) == len(t["searchParam"]) for t in types.values())


def test_compartments(api, rest):
    """A compartment that is claimed shows its members and nobody else's; one that is not is no URL of this server."""
    claimed = {url.rpartition("/")[2] for url in rest.get("compartment", ())}
    for id in ("inside", "outside"):
        assert api.put(f"Patient/{id}", {"resourceType": "Patient", "id": id}).status_code in (200, 201)
        weight = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "weight"},
                  "subject": {"reference": f"Patient/{id}"}}  # fmt: skip
        assert api.put(f"Observation/{id}", weight).status_code in (200, 201)
    found = api.get("Patient/inside/Observation")
    if "patient" not in claimed:
        assert found.status_code == 404
        return
    assert [e["resource"]["id"] for e in found.tree["entry"]] == ["inside"]
    everything = api.get("Patient/inside/*").tree
    assert {e["resource"]["id"] for e in everything["entry"]} == {"inside"}


def test_the_statement_is_valid(api):
    statement = api.get("metadata").tree
    told = api.post("CapabilityStatement/$validate", statement)
    assert told.status_code == 200
    assert [i for i in told.tree["issue"] if i["severity"] in ("fatal", "error", "warning")] == []


def test_the_statement_in_xml_says_the_same(api):
    got = xml.parse(api.get("metadata", accept="application/fhir+xml").content)
    assert json.same(got, json.parse(api.get("metadata").content))
    assert api.get("metadata?_summary=true").status_code == 200


def test_formats_that_are_claimed(api):
    statement = api.get("metadata").tree
    for format in statement["format"]:
        assert api.get("Patient?_summary=count", accept=format if "/" in format else "*/*").status_code == 200
        assert api.get(f"Patient?_summary=count&_format={format.replace('+', '%2B')}").status_code == 200
    for format in statement["patchFormat"]:
        assert api.patch("Patient/no-such-id", b"", type=format).status_code == 400  # no body; the format is known
