"""The shipped definitions say what HL7's bundles say."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from records.definitions import compartments, profiles, structures, valuesets
from records.definitions.build import build
from records.definitions.lines import FOLDER
from records.definitions.parameters import search_parameter_definitions

VALUESET = "http://hl7.org/fhir/ValueSet/"


def test_the_146_concrete_types_have_stable_numbers():
    assert len(structures.RESOURCE_TYPES) == 146
    assert structures.RESOURCE_TYPES[0] == "Account" and structures.type_number("Account") == 1
    assert all(structures.type_name(structures.type_number(t)) == t for t in structures.RESOURCE_TYPES)
    assert not {"Resource", "DomainResource", "MetadataResource"} & set(structures.RESOURCE_TYPES)


def test_every_element_of_every_structure_has_a_known_type():
    seen, todo = set(), [*structures.RESOURCE_TYPES, *structures.PRIMITIVES, "Extension"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        found = structures.structure(name)
        assert found, name
        todo += [e.type for e in found.elements.values()]
    assert "Timing.repeat" in seen and "Questionnaire.item" in seen


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        ("Patient", "id", {"type": "id", "min": 0, "max": 1, "summary": True}),
        ("Patient", "contact", {"type": "Patient.contact", "max": None}),
        ("Patient", "gender", {"type": "code", "binding": ("required", VALUESET + "administrative-gender")}),
        ("Patient", "deceasedBoolean", {"type": "boolean", "choice": "deceased", "modifier": True}),
        ("Patient.contact", "id", {"type": "string", "is_attribute": True}),
        ("Observation", "status", {"type": "code", "min": 1, "path": "Observation.status"}),
        ("Observation", "subject", {"type": "Reference", "targets": ("Patient", "Group", "Device", "Location")}),
        ("Observation", "focus", {"type": "Reference", "targets": ()}),
        ("Observation.component", "referenceRange", {"type": "Observation.referenceRange"}),
        ("Observation.referenceRange", "low", {"type": "Quantity", "profile": "SimpleQuantity"}),
        ("Extension", "url", {"type": "uri", "min": 1, "is_attribute": True}),
        ("Narrative", "div", {"type": "xhtml", "min": 1}),
        ("Questionnaire.item", "item", {"type": "Questionnaire.item"}),
        ("Bundle.entry", "resource", {"type": "Resource"}),
    ],
)
def test_an_element(name, key, expected):
    element = structures.structure(name).elements[key]
    assert {k: getattr(element, k) for k in expected} == expected


def test_elements_stand_in_the_order_of_xml():
    keys = list(structures.structure("HumanName").elements)
    assert keys == ["id", "extension", "use", "text", "family", "given", "prefix", "suffix", "period"]
    assert structures.structure("Observation").choices["effective"] == (
        "effectiveDateTime",
        "effectivePeriod",
        "effectiveTiming",
        "effectiveInstant",
    )
    assert structures.structure("Nonsense") is None


def test_the_invariants_stand_where_they_are_defined():
    assert [c.key for c in structures.structure("Observation").constraints] == ["obs-6", "obs-7"]
    assert {c.key for c in structures.structure("DomainResource").constraints} == {f"dom-{n}" for n in range(2, 7)}
    assert [c.key for c in structures.structure("Patient.contact").constraints] == ["pat-1"]


def test_value_sets():
    assert valuesets.codes(VALUESET + "administrative-gender|4.0.1") == {"male", "female", "other", "unknown"}
    assert valuesets.codes(VALUESET + "mimetypes") is None
    assert valuesets.codes("http://example.org/unknown") is None
    assert valuesets.binding_system(VALUESET + "administrative-gender") == "http://hl7.org/fhir/administrative-gender"
    assert valuesets.binding_system(VALUESET + "mimetypes") == "urn:ietf:bcp:13"
    v3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    assert (v3, "AMB") in valuesets.pairs("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")
    # Every code is a resource type or a data type: two systems behind one value set.
    assert valuesets.system_of(VALUESET + "all-types", "Patient") == "http://hl7.org/fhir/resource-types"
    assert valuesets.binding_system(VALUESET + "all-types") is None


def test_parameters_compartments_profiles():
    found = list(search_parameter_definitions())
    assert len(found) == 1375 and all({"url", "code", "base", "type"} <= p.keys() for p in found)
    assert set(compartments.compartments()) == {"Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"}
    assert compartments.compartment("Patient")["Observation"] == ("subject", "performer")
    assert compartments.compartment("Nonsense") == {}
    assert len(profiles.profile_urls()) == 44
    assert profiles.profile("http://hl7.org/fhir/StructureDefinition/bp")["type"] == "Observation"


def test_the_shipped_files_are_what_the_build_derives(tmp_path):
    spec = Path(__file__).parents[2] / "shared" / "spec" / "r4"
    if not spec.exists() and not os.environ.get("CI"):
        pytest.skip("../shared/spec/r4 is not there")
    build(spec, tmp_path)
    derived = {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.iterdir()}
    assert derived == {path.name: gzip.decompress(path.read_bytes()) for path in FOLDER.iterdir()}


def test_a_process_starts_without_parsing_the_definitions():
    """The structures of a few types cost milliseconds; 0.5 s leaves room for a busy machine and the interpreter."""
    script = (
        "import time; import gzip, msgspec, dataclasses; begin = time.process_time();"
        "from records.definitions.structures import structure; structure('Patient'); structure('Observation');"
        "print(time.process_time() - begin)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(answer.stdout) < 0.1
