"""Create, read, update, delete, history: what a client sees. (http.html)"""

import json

import pytest

from records.formats.json import parse, text_equal
from tests.api import Api

PATIENT = {"resourceType": "Patient", "name": [{"family": "d'Arc-Lefèvre", "given": ["Étienne"]}], "active": True}
WEIGHT = (
    b'{"status":"final","resourceType":"Observation","code":{"text":"weight"},"subject":{"reference":"Patient/%s"},'
    b'"valueQuantity":{"value":72.10,"unit":"kg"},"effectiveDateTime":"2026-01-02T10:00:00+01:00"}'
)


@pytest.fixture
def api(database):
    return Api()


def test_create_read(api):
    made = api.post("Patient", PATIENT)
    assert made.status_code == 201, made.content
    id = made.tree["id"]
    assert made.headers["Location"] == f"http://testserver/fhir/Patient/{id}/_history/1"
    assert made.headers["ETag"] == 'W/"1"'
    read = api.get(f"Patient/{id}")
    assert read.status_code == 200
    assert read.content == made.content
    assert read.tree["name"] == PATIENT["name"]
    assert read.tree["meta"]["versionId"] == "1"
    assert read.headers["Last-Modified"].endswith("GMT")


def test_what_was_written_comes_back_to_the_digit(api):
    made = api.post("Observation", WEIGHT % b"p1")
    assert made.status_code == 201, made.content
    read = api.get(f"Observation/{made.tree['id']}")
    assert b"72.10" in read.content
    given, got = parse(WEIGHT % b"p1"), parse(read.content)
    rest = {k: v for k, v in got.items() if k not in ("id", "meta")}
    # the server puts id and meta after resourceType; all else keeps its order
    assert text_equal({k: v for k, v in rest.items() if k != "resourceType"},
                      {k: v for k, v in given.items() if k != "resourceType"})  # fmt: skip


def test_update_makes_a_version_unless_it_says_nothing_new(api):
    made = api.post("Patient", PATIENT).tree
    again = api.put(f"Patient/{made['id']}", {**PATIENT, "id": made["id"]})
    assert (again.status_code, again.tree["meta"]["versionId"]) == (200, "1")
    changed = api.put(f"Patient/{made['id']}", {**PATIENT, "id": made["id"], "gender": "male"})
    assert (changed.status_code, changed.tree["meta"]["versionId"]) == (200, "2")
    assert changed.tree["meta"]["lastUpdated"] > made["meta"]["lastUpdated"]
    first = api.get(f"Patient/{made['id']}/_history/1")
    assert first.status_code == 200 and "gender" not in first.tree


def test_update_as_create_and_only_for_system_clients(api, database):
    made = api.put("Patient/my-id", {**PATIENT, "id": "my-id"})
    assert made.status_code == 201 and made.tree["id"] == "my-id"
    user = Api("user/*.cruds", name="app")
    assert user.put("Patient/other-id", {**PATIENT, "id": "other-id"}).status_code == 404


def test_delete_and_after(api):
    id = api.post("Patient", PATIENT).tree["id"]
    assert api.delete(f"Patient/{id}").status_code == 204
    gone = api.get(f"Patient/{id}")
    assert gone.status_code == 410 and gone.tree["issue"][0]["code"] == "deleted"
    assert api.delete(f"Patient/{id}").status_code == 204
    assert api.delete("Patient/never-was").status_code == 204
    assert api.get(f"Patient/{id}/_history/1").status_code == 200
    assert api.get(f"Patient/{id}/_history/2").status_code == 410
    back = api.put(f"Patient/{id}", {**PATIENT, "id": id})
    assert (back.status_code, back.tree["meta"]["versionId"]) == (201, "3")


def test_history_of_an_instance(api):
    id = api.post("Patient", PATIENT).tree["id"]
    for gender in ("male", "female", "other"):
        api.put(f"Patient/{id}", {**PATIENT, "id": id, "gender": gender})
    api.delete(f"Patient/{id}")
    whole = api.get(f"Patient/{id}/_history").tree
    assert whole["total"] == 5
    assert [e["request"]["method"] for e in whole["entry"]] == ["DELETE", "PUT", "PUT", "PUT", "POST"]
    assert [e["response"]["etag"] for e in whole["entry"]] == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]
    seen, path = [], f"Patient/{id}/_history?_count=2"
    while path:
        page = api.get(path).tree
        seen += [e["response"]["etag"] for e in page.get("entry", ())]
        path = next((li["url"] for li in page["link"] if li["relation"] == "next"), "").partition("/fhir/")[2]
    assert seen == [f'W/"{n}"' for n in (5, 4, 3, 2, 1)]


def test_history_of_a_type_and_of_the_system_since(api):
    first = api.post("Patient", PATIENT).tree
    api.post("Observation", WEIGHT % first["id"].encode())
    assert [e["resource"]["resourceType"] for e in api.get("Patient/_history").tree["entry"]] == ["Patient"]
    assert len(api.get("_history").tree["entry"]) == 2
    since = first["meta"]["lastUpdated"]
    assert len(api.get(f"_history?_since={since}").tree["entry"]) == 2
    assert "entry" not in api.get("_history?_since=2100-01-01T00:00:00Z").tree
    assert api.get("_history?_since=nonsense").status_code == 400


def test_a_history_of_parts_or_of_a_number(api):
    id = api.post("Patient", {**PATIENT, "gender": "female"}).tree["id"]
    api.put(f"Patient/{id}", {**PATIENT, "id": id, "gender": "other"})
    api.delete(f"Patient/{id}")
    for path in (f"Patient/{id}/_history", "Patient/_history", "_history"):
        cut = api.get(f"{path}?_elements=gender").tree["entry"]
        assert "resource" not in cut[0]
        assert [e["resource"]["gender"] for e in cut[1:]] == ["other", "female"]
        for each in cut[1:]:
            assert set(each["resource"]) == {"resourceType", "id", "meta", "gender"}
            assert each["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
        counted = api.get(f"{path}?_summary=count").tree
        assert (counted["total"], counted.get("entry")) == (3, None)
        assert api.get(f"{path}?_summary=nonsense").status_code == 400
    assert "text" not in api.get("Patient/_history?_summary=data").tree["entry"][1]["resource"]


def test_conditions_of_headers(api):
    made = api.post("Patient", PATIENT)
    id = made.tree["id"]
    assert api.get(f"Patient/{id}", if_none_match='W/"1"').status_code == 304
    assert api.get(f"Patient/{id}", if_none_match='W/"2"').status_code == 200
    assert api.get(f"Patient/{id}", if_modified_since=made.headers["Last-Modified"]).status_code == 304
    wrong = api.put(f"Patient/{id}", {**PATIENT, "id": id, "gender": "male"}, if_match='W/"7"')
    assert wrong.status_code == 412
    right = api.put(f"Patient/{id}", {**PATIENT, "id": id, "gender": "male"}, if_match='W/"1"')
    assert right.status_code == 200
    assert api.delete(f"Patient/{id}", if_match='W/"1"').status_code == 412


def test_prefer(api):
    minimal = api.post("Patient", PATIENT, prefer="return=minimal")
    assert minimal.status_code == 201 and minimal.content == b"" and minimal.headers["ETag"]
    told = api.post("Patient", PATIENT, prefer="return=OperationOutcome")
    assert told.tree["resourceType"] == "OperationOutcome"


def test_head_answers_as_get_without_a_body(api):
    id = api.post("Patient", PATIENT).tree["id"]
    head = api.request("HEAD", f"Patient/{id}")
    assert head.status_code == 200 and head.headers["ETag"] == 'W/"1"' and head.content == b""


def test_idempotency_key(api):
    first = api.post("Patient", PATIENT, idempotency_key="k1")
    again = api.post("Patient", PATIENT, idempotency_key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.tree["id"] == again.tree["id"] and again.headers["Idempotent-Replayed"] == "true"
    other = api.post("Patient", {**PATIENT, "gender": "male"}, idempotency_key="k1")
    assert other.status_code == 422
    elsewhere = Api(name="another client").post("Patient", PATIENT, idempotency_key="k1")
    assert elsewhere.tree["id"] != first.tree["id"]


def test_a_replay_shows_what_the_rights_of_now_show(api):
    """The same client and key with another patient in context gets the name of what was written, and nothing of it."""
    mine, other = (api.post("Patient", PATIENT).tree["id"] for _ in range(2))
    scope = "patient/Observation.cruds"
    first = Api(scope, name="phone", patient=mine).post("Observation", WEIGHT % mine.encode(), idempotency_key="k")
    assert first.status_code == 201 and first.tree["id"]
    again = Api(scope, name="phone", patient=mine).post("Observation", WEIGHT % mine.encode(), idempotency_key="k")
    assert again.content == first.content
    elsewhere = Api(scope, name="phone", patient=other)
    assert elsewhere.post("Observation", WEIGHT % mine.encode(), idempotency_key="k").content == b""


def test_meta_operations(api):
    id = api.post("Patient", PATIENT).tree["id"]
    tag = {"system": "urn:s", "code": "x"}
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    added = api.post(f"Patient/{id}/$meta-add", body)
    assert added.status_code == 200, added.content
    assert added.tree["parameter"][0]["valueMeta"]["tag"] == [tag]
    assert api.get(f"Patient/{id}").tree["meta"]["versionId"] == "2"
    assert api.get(f"Patient/{id}/$meta").tree["parameter"][0]["valueMeta"]["tag"] == [tag]
    assert api.post(f"Patient/{id}/_history/1/$meta-add", body).status_code == 405
    api.post(f"Patient/{id}/$meta-delete", body)
    now = api.get(f"Patient/{id}").tree["meta"]
    assert now["versionId"] == "3" and "tag" not in now


def test_scopes_and_the_patient_in_context(api):
    mine = api.post("Patient", PATIENT).tree["id"]
    other = api.post("Patient", PATIENT).tree["id"]
    weight = api.post("Observation", WEIGHT % other.encode()).tree["id"]
    patient = Api("patient/Patient.r patient/Observation.r", name="phone", patient=mine)
    assert patient.get(f"Patient/{mine}").status_code == 200
    hidden, absent = patient.get(f"Patient/{other}"), patient.get("Patient/no-such-patient-here")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content.replace(other.encode(), b"X") == absent.content.replace(b"no-such-patient-here", b"X")
    assert patient.get(f"Observation/{weight}").status_code == 404
    assert patient.get(f"Condition/{weight}").status_code == 403
    assert patient.post("Observation", WEIGHT % mine.encode()).status_code == 403


def test_a_write_outside_the_access_is_undone(api):
    mine, other = (api.post("Patient", PATIENT).tree["id"] for _ in range(2))
    patient = Api("patient/Observation.cruds", name="phone", patient=mine)
    assert patient.post("Observation", WEIGHT % mine.encode()).status_code == 201
    before = len(api.get("Observation/_history").tree["entry"])
    assert patient.post("Observation", WEIGHT % other.encode()).status_code == 403
    assert len(api.get("Observation/_history").tree["entry"]) == before


@pytest.mark.parametrize("token", [None, "wrong"])
def test_no_token_no_answer(api, token):
    nobody = Api(token=token or "")
    for path in ("Patient", "Patient/1", "_history", "Patient/$meta"):
        answer = nobody.get(path)
        assert answer.status_code == 401 and answer.tree["resourceType"] == "OperationOutcome"
        assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert nobody.get("metadata").status_code == 200


def test_a_revoked_token_counts_at_the_next_request(api):
    from accessctl.models import Token

    assert api.get("Patient/1").status_code == 404
    Token.objects.update(revoked="2020-01-01T00:00:00Z")
    assert api.get("Patient/1").status_code == 401


def test_every_interaction_leaves_a_record(api):
    from accessctl.models import AuditRecord

    id = api.post("Patient", PATIENT).tree["id"]
    api.get(f"Patient/{id}")
    api.get("Patient/absent")
    rows = list(AuditRecord.objects.order_by("seq").values_list("interaction", "status", "entities"))
    assert rows == [("create", 201, f"Patient/{id}"), ("read", 200, f"Patient/{id}"), ("read", 404, "Patient/absent")]


def test_metadata_is_true_to_the_registries(database):
    statement = Api(token="").get("metadata").tree
    types = [r["type"] for r in statement["rest"][0]["resource"]]
    assert len(types) == 145 and "Parameters" not in types
    assert json.dumps(statement)
