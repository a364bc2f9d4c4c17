"""The synthetic population: deterministic, valid, French, and each person's record hangs together."""

import datetime
import re
from collections import Counter
from decimal import Decimal
from itertools import islice

import pytest

from records.formats.json import dump
from records.population import people
from records.population.identity import INS_TEST, IPP
from records.population.nir import ean, key, luhn, nir
from records.population.places import BIRTHPLACES, HOMES
from records.resources import rules
from records.resources.validation import check, validate

BIRTH = datetime.date(1985, 7, 14)
NIR = re.compile(r"[12]\d{2}(0[1-9]|1[0-2])(\d{2}|2[AB])\d{6}\d{2}\Z")


@pytest.fixture(scope="module")
def population():
    return list(people(60, seed=3))


def resources(bundle, kind=None):
    found = (entry["resource"] for entry in bundle["entry"])
    return [r for r in found if kind is None or r["resourceType"] == kind]


def patient_of(bundle):
    return resources(bundle, "Patient")[0]


def codes(bundle, kind):
    return {c["code"] for r in resources(bundle, kind) for c in r["code"]["coding"]}


def test_the_same_seed_means_the_same_people():
    assert dump(list(people(5, seed=9))) == dump(list(people(5, seed=9)))
    assert dump(next(people(1, seed=9))) != dump(next(people(1, seed=10)))


def test_a_person_does_not_depend_on_how_many_there_are():
    assert dump(list(people(3, seed=4))[2]) == dump(next(people(1, seed=4, start=2)))


def test_every_resource_is_valid(population):
    rules.load()
    wrong = [
        (resource["resourceType"], issue)
        for bundle in population
        for resource in resources(bundle)
        for issue in (*check(resource), *rules.issues(resource, resource["resourceType"]))
        if issue.severity in ("error", "fatal")
    ]
    assert wrong == []


def test_vital_signs_follow_the_profiles_they_claim(population):
    wrong, checked = [], Counter()
    for bundle in population[:12]:
        for observation in resources(bundle, "Observation"):
            for profile in observation.get("meta", {}).get("profile", ()):
                checked[profile] += 1
                issues = validate(observation, profiles=[profile])
                wrong += [(profile, i) for i in issues if i.severity in ("error", "fatal")]
    assert wrong == []
    assert len(checked) >= 5


def test_references_and_full_urls_resolve_within_the_bundle(population):
    for bundle in population:
        full_urls = [entry["fullUrl"] for entry in bundle["entry"]]
        assert len(set(full_urls)) == len(full_urls)
        named = set(re.findall(r'"reference":"([^"]+)"', dump(bundle).decode()))
        assert named <= set(full_urls)


def test_sizes_and_types():
    sizes, types = [], Counter()
    for bundle in people(150, seed=1):
        sizes.append(len(bundle["entry"]))
        types.update(r["resourceType"] for r in resources(bundle))
    assert 55 < sum(sizes) / len(sizes) < 85
    assert {
        "Patient", "Practitioner", "Organization", "AllergyIntolerance", "MedicationStatement", "Observation",
        "ImagingStudy", "Condition", "Encounter", "Immunization", "DocumentReference", "DiagnosticReport",
    } == set(types)  # fmt: skip


def test_ages_follow_a_pyramid():
    births = [patient_of(bundle)["birthDate"] for bundle in people(400, seed=2)]
    ages = [2025 - int(birth[:4]) for birth in births]
    assert 0.14 < sum(age < 18 for age in ages) / len(ages) < 0.3
    assert 0.14 < sum(age >= 65 for age in ages) / len(ages) < 0.3
    assert max(births) < "2025-06-30"


def test_identity_is_the_ins_in_the_test_oid_and_a_local_number(population):
    for bundle in population:
        patient = patient_of(bundle)
        ins, ipp = patient["identifier"]
        assert ins["system"] == INS_TEST == "urn:oid:1.2.250.1.213.1.4.10"
        assert ins["type"]["coding"][0]["code"] == "INS-NIR-TEST"
        assert NIR.match(ins["value"]) and ins["value"][13:] == key(ins["value"][:13])
        assert ins["value"][0] == {"male": "1", "female": "2"}[patient["gender"]]
        assert ins["value"][1:5] == patient["birthDate"][2:4] + patient["birthDate"][5:7]
        assert ipp["system"] == IPP
        official, usual = patient["name"]
        assert (official["use"], usual["use"]) == ("official", "usual")
        assert len(official["given"]) == 1
        assert official["extension"][0]["valueString"].split()[0].startswith(official["given"][0].split()[0])
        born = patient["extension"][1]["valueAddress"]["extension"][0]["valueCoding"]["code"]
        assert re.fullmatch(r"\d{5}|2[AB]\d{3}", born)


def test_no_two_people_share_a_matricule_or_a_local_number():
    patients = [patient_of(bundle) for bundle in people(2000, seed=5)]
    for n in (0, 1):
        assert len({p["identifier"][n]["value"] for p in patients}) == len(patients)


def test_names_have_accents_particles_and_apostrophes():
    names = " ".join(f"{n['given'][0]} {n['family']}" for b in people(300, seed=1) for n in patient_of(b)["name"])
    assert all(sign in names for sign in "éèëïôçŒœÉ'-" if sign != "Œ")
    assert re.search(r"\bd'[AEHÉ]", names) and re.search(r"\bLe [A-Z]", names)


@pytest.mark.parametrize(
    ("number", "expected"),
    [("2061275111005", "64"), ("188102A004001", None), ("188102B033001", None)],
)
def test_key(number, expected):
    digits = number.replace("2A", "19", 1) if "2A" in number[5:7] else number
    digits = digits[:5] + "18" + digits[7:] if number[5:7] == "2B" else digits
    assert key(number) == f"{97 - int(digits) % 97:02d}"
    assert expected is None or key(number) == expected


def test_corsica_and_births_abroad():
    assert nir("male", BIRTH, "2A004", 12)[:13] == "185072A004012"
    assert nir("male", BIRTH.replace(year=1960), "2A004", 12)[:13] == "1600720004012"  # one department, 20, until 1975
    assert nir("female", BIRTH, "99352", 7)[:13] == "2850799352007"
    born = {patient_of(b)["identifier"][0]["value"][5:7] for b in people(400, seed=1)}
    assert "99" in born and born & {"2A", "2B", "20"} and "97" in born


def test_check_digits():
    assert luhn("8997000000") in "0123456789"
    assert ean("340093595583") == "8"  # a CIP13 in the medicines database ends so
    assert luhn("7992739871") == "3"


def test_professionals_and_structures(population):
    for bundle in population:
        for practitioner in resources(bundle, "Practitioner"):
            rpps = practitioner["identifier"][0]["value"]
            assert len(rpps) == 11 and luhn(rpps[:10]) == rpps[10]
        for organization in resources(bundle, "Organization"):
            assert re.fullmatch(r"(\d{2}|2[AB])\d{7}", organization["identifier"][0]["value"])


def test_shared_resources_are_conditional_creates_and_the_same_for_all():
    seen = {}
    for bundle in people(120, seed=1):
        for entry in bundle["entry"]:
            resource, request = entry["resource"], entry["request"]
            if resource["resourceType"] in ("Practitioner", "Organization"):
                assert request["ifNoneExist"].startswith("identifier=https://")
                assert seen.setdefault(request["ifNoneExist"], resource) == resource
            else:
                assert "ifNoneExist" not in request
    assert len(seen) > 50


def test_with_put_ids_are_fixed():
    first, second = (next(people(1, seed=1, method="PUT")) for _ in range(2))
    urls = [e["request"]["url"] for e in first["entry"] if e["request"]["method"] == "PUT"]
    assert urls == [e["request"]["url"] for e in second["entry"] if e["request"]["method"] == "PUT"]
    assert all(u == f"{r['resourceType']}/{r['id']}" for u, r in ((e["request"]["url"], e["resource"])
               for e in first["entry"] if e["request"]["method"] == "PUT"))  # fmt: skip


def test_a_diabetic_takes_metformin_and_has_hba1c():
    diabetics = [b for b in people(300, seed=1) if "44054006" in codes(b, "Condition")]
    assert len(diabetics) > 5
    for bundle in diabetics:
        taken = {
            c["code"]
            for m in resources(bundle, "MedicationStatement")
            for c in m["medicationCodeableConcept"]["coding"]
        }
        assert "A10BA02" in taken
        assert "4548-4" in codes(bundle, "Observation")


def test_blood_pressure_is_a_series_over_years():
    bundle = next(b for b in people(100, seed=1) if "38341003" in codes(b, "Condition"))
    series = [o for o in resources(bundle, "Observation") if o["code"]["coding"][0]["code"] == "85354-9"]
    assert len(series) == 10
    times = [datetime.datetime.fromisoformat(o["effectiveDateTime"]) for o in series]
    assert times == sorted(times) and (times[-1] - times[0]).days > 1000
    for observation in series:
        systolic, diastolic = (part["valueQuantity"] for part in observation["component"])
        assert systolic["code"] == diastolic["code"] == "mm[Hg]"
        assert 70 < systolic["value"] < 230 and 40 < diastolic["value"] < 130


def test_numbers_are_never_floats(population):
    def numbers(node):
        for value in node.values() if isinstance(node, dict) else node:
            if isinstance(value, dict | list):
                yield from numbers(value)
            elif not isinstance(value, str):
                yield value

    kinds = {type(n) for bundle in population[:20] for n in numbers(bundle)}
    assert kinds <= {int, bool, Decimal}


def test_imaging_studies_have_valid_uids(population):
    studies = [s for b in population for s in resources(b, "ImagingStudy")]
    assert studies
    for study in studies:
        uids = [series["uid"] for series in study["series"]]
        uids += [i["uid"] for series in study["series"] for i in series["instance"]]
        assert all(re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", uid) for uid in uids)
        assert study["numberOfSeries"] == len(study["series"])
        assert study["numberOfInstances"] == sum(len(series["instance"]) for series in study["series"])


def test_nothing_happens_before_birth_or_after_today(population):
    moment = re.compile(r'"(?:effectiveDateTime|started|occurrenceDateTime|onsetDateTime|start)":"([^"]{10})')
    for bundle in population:
        birth = patient_of(bundle)["birthDate"]
        days = moment.findall(dump(bundle).decode())
        assert days and min(days) >= birth and max(days) <= "2025-06-30"


def test_places():
    assert len({p.cog for p in BIRTHPLACES}) == len(BIRTHPLACES)
    assert all(re.fullmatch(r"(\d{2}|2[AB])\d{3}", p.cog) for p in BIRTHPLACES)
    assert all(re.fullmatch(r"\d{5}", p.postal) for p in HOMES)
    assert list(islice((p for p in BIRTHPLACES if p.abroad and p.cog[:2] != "99"), 1)) == []
