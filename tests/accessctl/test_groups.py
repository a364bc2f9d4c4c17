"""Every type is in one of three groups, and the table is true to what a type can say."""

from accessctl import matrix
from accessctl.groups import DIRECTORY, PATIENTS, REST
from records.definitions.structures import RESOURCE_TYPES, structure
from records.resources.compartments import SUBJECTS, paths

OF_PRODUCTS = {t for t in DIRECTORY if t.startswith("MedicinalProduct")}  # their subject is a product


def names_patients(type):
    return bool(paths(type)) or any(key in structure(type).elements for key in SUBJECTS)


def test_each_type_once():
    assert len(RESOURCE_TYPES) == len(PATIENTS) + len(DIRECTORY) + len(REST) == 146
    assert set(RESOURCE_TYPES) == PATIENTS | DIRECTORY | REST


def test_what_belongs_to_patients_can_name_one_and_the_directory_cannot():
    assert {t for t in PATIENTS if not names_patients(t)} == set()
    assert {t for t in DIRECTORY if names_patients(t)} <= OF_PRODUCTS
    assert {t for t in REST if names_patients(t)} == {"Basic", "Group", "List"}


def test_each_type_of_patients_has_a_class():
    assert set(matrix.data()["types"]) == PATIENTS
    assert set(matrix.data()["types"].values()) <= {c["number"] for c in matrix.data()["classes"]}
