"""Interactions that search before they write or read. (http.html#ccreate #cond-update #cond-delete #cread #trules)"""

import base64
import json
from threading import Thread

import pytest

from records.interactions import selection
from tests.api import Api

SYSTEM = "urn:example:mrn"


@pytest.fixture
def api(database):
    return Api()


def patient(value="1", **more):
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def by(value="1"):
    return f"identifier={SYSTEM}|{value}"


def weight(subject, code="29463-7", **more):
    coding = [{"system": "http://loinc.org", "code": code}]
    return {"resourceType": "Observation", "status": "final", "code": {"coding": coding},
            "subject": {"reference": subject}, **more}  # fmt: skip


def transaction(*entries):
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def entry(method, url, resource=None, full_url=None, **request):
    found = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        found["resource"] = resource
    if full_url:
        found["fullUrl"] = full_url
    return found


def statuses(answer):
    assert answer.status_code == 200, answer.content
    return [e["response"]["status"][:3] for e in answer.tree["entry"]]


def ids(api, path):
    return {e["resource"]["id"] for e in api.get(path).tree.get("entry", ())}


# -- create


def test_create_once(api):
    made = api.post("Patient", patient(), if_none_exist=by())
    again = api.post("Patient", patient(gender="female"), if_none_exist=by())
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.content == made.content
    assert again.headers["ETag"] == 'W/"1"' and again.headers["Location"] == made.headers["Location"]
    assert len(ids(api, "Patient")) == 1


def test_create_refused_when_several_match(api):
    for _ in range(2):
        api.post("Patient", patient())
    refused = api.post("Patient", patient(), if_none_exist=by())
    assert refused.status_code == 412
    assert refused.tree["issue"][0]["code"] == "multiple-matches" and SYSTEM in refused.tree["issue"][0]["diagnostics"]
    assert len(ids(api, "Patient")) == 2


@pytest.mark.parametrize(
    "criteria",
    ["family=Lef%C3%A8vre", "?family=Lefèvre&birthdate=1970-03-12", "name:exact=Zo%C3%A9", "Patient?gender=female"],
)
def test_create_by_what_the_indexer_indexes(api, criteria):
    """Not only identifiers: the index is brought up to date before the condition is judged."""
    zoe = patient(name=[{"family": "Lefèvre", "given": ["Zoé"]}], gender="female", birthDate="1970-03-12")
    sent = criteria.encode().decode("latin-1")  # as WSGI gives it
    answers = [api.post("Patient", zoe, if_none_exist=sent) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 200]
    assert answers[0].tree["id"] == answers[1].tree["id"]


def test_a_deleted_resource_does_not_count(api):
    first = api.post("Patient", patient(), if_none_exist=by()).tree["id"]
    api.delete(f"Patient/{first}")
    second = api.post("Patient", patient(), if_none_exist=by())
    assert second.status_code == 201 and second.tree["id"] != first


def test_what_no_longer_matches_does_not_count(api):
    first = api.post("Patient", patient()).tree
    api.put(f"Patient/{first['id']}", patient("2", id=first["id"]))
    assert api.post("Patient", patient(), if_none_exist=by()).status_code == 201


def test_create_minimal(api):
    api.post("Patient", patient())
    found = api.post("Patient", patient(), if_none_exist=by(), prefer="return=minimal")
    assert (found.status_code, found.content) == (200, b"") and "/_history/1" in found.headers["Location"]


# -- update


def test_update_when_nothing_matches(api):
    made = api.put(f"Patient?{by()}", patient())
    assert made.status_code == 201 and made.headers["Location"].endswith(f"Patient/{made.tree['id']}/_history/1")


def test_update_when_nothing_matches_under_the_id_of_the_body(api):
    made = api.put(f"Patient?{by()}", patient(id="chosen"))
    assert (made.status_code, made.tree["id"]) == (201, "chosen")
    assert Api("user/*.cruds", name="app").put(f"Patient?{by('9')}", patient("9", id="mine")).status_code == 404


def test_update_that_would_overwrite_what_does_not_match(api):
    api.put("Patient/chosen", patient("other", id="chosen"))
    refused = api.put(f"Patient?{by()}", patient(id="chosen"))
    assert refused.status_code == 409 and refused.tree["issue"][0]["expression"] == ["Patient.id"]
    assert api.get("Patient/chosen").tree["identifier"][0]["value"] == "other"


@pytest.mark.parametrize("with_id", [True, False])
def test_update_when_one_matches(api, with_id):
    id = api.post("Patient", patient()).tree["id"]
    changed = api.put(f"Patient?{by()}", patient(gender="male", **({"id": id} if with_id else {})))
    assert (changed.status_code, changed.tree["id"], changed.tree["meta"]["versionId"]) == (200, id, "2")
    same = api.put(f"Patient?{by()}", patient(gender="male"))
    assert (same.status_code, same.tree["meta"]["versionId"]) == (200, "2")


def test_update_when_one_matches_and_the_body_names_another(api):
    api.post("Patient", patient())
    refused = api.put(f"Patient?{by()}", patient(id="another"))
    assert refused.status_code == 400 and refused.tree["issue"][0]["expression"] == ["Patient.id"]


def test_update_when_many_match(api):
    for _ in range(2):
        api.post("Patient", patient())
    assert api.put(f"Patient?{by()}", patient()).status_code == 412


def test_update_with_if_match(api):
    api.post("Patient", patient())
    assert api.put(f"Patient?{by()}", patient(gender="male"), if_match='W/"2"').status_code == 412
    assert api.put(f"Patient?{by()}", patient(gender="male"), if_match='W/"1"').status_code == 200
    assert api.put(f"Patient?{by('none')}", patient("none"), if_match='W/"1"').status_code == 412


def test_put_if_nothing_is_there(api):
    first = api.put("Patient/a", patient(id="a"), if_none_match="*")
    second = api.put("Patient/a", patient(id="a", gender="male"), if_none_match="*")
    assert (first.status_code, second.status_code) == (201, 412)


# -- patch


def test_patch_by_criteria(api):
    patch, kind = [{"op": "add", "path": "/gender", "value": "female"}], "application/json-patch+json"
    assert api.patch(f"Patient?{by()}", patch, type=kind).status_code == 404
    id = api.post("Patient", patient()).tree["id"]
    changed = api.patch(f"Patient?{by()}", patch, type=kind)
    assert (changed.status_code, changed.tree["id"], changed.tree["gender"]) == (200, id, "female")
    assert changed.headers["ETag"] == 'W/"2"'
    api.post("Patient", patient())
    assert api.patch(f"Patient?{by()}", patch, type=kind).status_code == 412


# -- delete


def test_delete_by_criteria(api):
    kept = api.post("Patient", patient("2")).tree["id"]
    gone = api.post("Patient", patient()).tree["id"]
    none = api.delete(f"Patient?{by('none')}")
    one = api.delete(f"Patient?{by()}")
    assert (none.status_code, none.headers["X-Deleted"]) == (204, "0")
    assert (one.status_code, one.headers["X-Deleted"], one.content) == (204, "1", b"")
    assert api.get(f"Patient/{gone}").status_code == 410 and api.get(f"Patient/{kept}").status_code == 200


def test_delete_of_many(api):
    subject = f"Patient/{api.post('Patient', patient()).tree['id']}"
    for _ in range(5):
        api.post("Observation", weight(subject))
    height = api.post("Observation", weight(subject, "8302-2")).tree["id"]
    many = api.delete(f"Observation?patient={subject}&code=http://loinc.org|29463-7")
    assert (many.status_code, many.headers["X-Deleted"]) == (204, "5")
    assert ids(api, "Observation") == {height}


def test_delete_of_more_than_a_person_can_check(api, monkeypatch):
    monkeypatch.setattr("records.interactions.delete.MOST", 3)
    for n in range(4):
        api.post("Patient", patient(str(n), gender="male"))
    refused = api.delete("Patient?gender=male")
    assert refused.status_code == 412 and "more than 3" in refused.tree["issue"][0]["diagnostics"]
    assert len(ids(api, "Patient")) == 4


def test_delete_sees_only_what_the_client_may_see(api):
    mine, other = (api.post("Patient", patient()).tree["id"] for _ in range(2))
    for id in (mine, other):
        api.post("Observation", weight(f"Patient/{id}"))
    phone = Api("patient/*.cruds", name="phone", patient=mine)
    assert phone.delete("Observation?code=29463-7").headers["X-Deleted"] == "1"
    assert len(ids(api, f"Observation?patient={other}")) == 1


def test_delete_tells_an_outcome_when_asked(api):
    id = api.post("Patient", patient()).tree["id"]
    told = api.delete(f"Patient/{id}", prefer="return=OperationOutcome")
    assert told.status_code == 200 and told.tree["resourceType"] == "OperationOutcome"


# -- read


@pytest.fixture
def overtaken(api, monkeypatch):
    """Another client gives the resource another identifier, between the search of a condition and its lock."""
    id = api.post("Patient", patient()).tree["id"]
    search, left = selection.found, [1]

    def found(*asked):
        rows = search(*asked)
        if rows and left:
            left.pop()
            other = Thread(target=lambda: api.put(f"Patient/{id}", patient("moved", id=id)))
            other.start()
            other.join()
        return rows

    monkeypatch.setattr(selection, "found", found)
    return id


def test_an_update_does_not_overwrite_what_no_longer_matches(api, overtaken):
    answer = api.put(f"Patient?{by()}", patient(gender="male"))
    assert answer.status_code == 201 and answer.tree["id"] != overtaken
    assert api.get(f"Patient/{overtaken}").tree["identifier"][0]["value"] == "moved"


def test_a_patch_looks_again_too(api, overtaken):
    steps = [{"op": "add", "path": "/gender", "value": "male"}]
    patched = api.patch(f"Patient?{by()}", steps, type="application/json-patch+json")
    assert patched.status_code == 404
    assert "gender" not in api.get(f"Patient/{overtaken}").tree


def test_a_delete_looks_again_too(api, overtaken):
    assert api.delete(f"Patient?{by()}").status_code == 204
    assert api.get(f"Patient/{overtaken}").status_code == 200


def test_a_create_looks_again_too(api, overtaken):
    answer = api.post("Patient", patient(), if_none_exist=by())
    assert answer.status_code == 201 and answer.tree["id"] != overtaken


def test_a_transaction_looks_again_too(api, overtaken):
    update = entry("PUT", f"Patient?{by()}", patient(gender="male"))
    answer = api.post("", transaction(update, entry("DELETE", f"Patient?{by('none')}")))
    assert [e["response"]["status"][:3] for e in answer.tree["entry"]] == ["201", "204"]
    assert api.get(f"Patient/{overtaken}").tree["identifier"][0]["value"] == "moved"


def test_conditional_read(api):
    made = api.post("Patient", patient())
    path = f"Patient/{made.tree['id']}"
    for header in ('W/"1"', '"1"', 'W/"7", W/"1"', "*"):
        same = api.get(path, if_none_match=header)
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", 'W/"1"')
        assert "Content-Length" not in same.headers and "Content-Type" not in same.headers
    assert api.get(path, if_none_match='W/"7"').status_code == 200
    assert api.get(path, if_modified_since=made.headers["Last-Modified"]).status_code == 304
    assert api.get(path, if_modified_since="Thu, 01 Jan 1970 00:00:00 GMT").status_code == 200
    assert api.get(path, if_modified_since="yesterday").status_code == 200  # RFC 9110 13.1.3: ignored
    # RFC 9110 13.1.3: with If-None-Match the date does not count
    both = {"if_none_match": 'W/"7"', "if_modified_since": made.headers["Last-Modified"]}
    assert api.get(path, **both).status_code == 200
    assert api.get("Patient/absent", if_none_match="*").status_code == 404
    api.delete(path)
    assert api.get(path, if_none_match='W/"1"').status_code == 410


# -- references


def test_conditional_references(api):
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": SYSTEM, "value": "d"}]}
    id = api.post("Practitioner", doctor).tree["id"]
    given = patient(generalPractitioner=[{"reference": f"Practitioner?{by('d')}"}])
    expected = [{"reference": f"Practitioner/{id}"}]
    assert api.post("Patient", given).tree["generalPractitioner"] == expected
    assert api.put("Patient/b", {**given, "id": "b"}).tree["generalPractitioner"] == expected
    assert statuses(api.post("", transaction(entry("PUT", "Patient/c", {**given, "id": "c"})))) == ["201"]
    assert api.get("Patient/c").tree["generalPractitioner"] == expected


@pytest.mark.parametrize("known", [0, 2])
def test_a_conditional_reference_selects_one_or_nothing_is_written(api, known):
    for _ in range(known):
        api.post("Practitioner", {"resourceType": "Practitioner", "identifier": [{"system": SYSTEM, "value": "d"}]})
    given = patient(generalPractitioner=[{"reference": f"Practitioner?{by('d')}"}])
    single, bundle = api.post("Patient", given), api.post("", transaction(entry("POST", "Patient", given)))
    assert (single.status_code, bundle.status_code) == (412, 412)
    assert single.tree["issue"][0]["expression"] == ["Patient.generalPractitioner[0].reference"]
    assert bundle.tree["issue"][0]["expression"] == ["Bundle.entry[0].resource.generalPractitioner[0].reference"]
    assert ids(api, "Patient") == set()


def test_a_conditional_reference_finds_only_what_the_client_may_refer_to(api):
    mine, other = (api.post("Patient", patient(v)).tree["id"] for v in "12")
    phone = Api("patient/*.cruds", name="phone", patient=mine)
    assert phone.post("Observation", weight(f"Patient?{by('1')}")).tree["subject"]["reference"] == f"Patient/{mine}"
    hidden = phone.post("Observation", weight(f"Patient?{by('2')}"))
    absent = phone.post("Observation", weight(f"Patient?{by('3')}"))
    assert hidden.status_code == absent.status_code == 412
    assert hidden.content.replace(b"|2", b"|3") == absent.content
    assert other.encode() not in hidden.content


# -- in transactions


def test_if_none_exist_in_an_entry(api):
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle = transaction(
        entry("POST", "Patient", patient(), urn, ifNoneExist=by()), entry("POST", "Observation", weight(urn))
    )
    assert statuses(api.post("", bundle)) == ["201", "201"]
    assert statuses(api.post("", bundle)) == ["200", "201"]
    (id,) = ids(api, "Patient")
    subjects = {e["resource"]["subject"]["reference"] for e in api.get("Observation").tree["entry"]}
    assert subjects == {f"Patient/{id}"}


def test_two_entries_with_one_if_none_exist_share_the_resource(api):
    urns = [f"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e30094500{n}" for n in range(2)]
    answer = api.post("", transaction(
        *[entry("POST", "Patient", patient(), urn, ifNoneExist=by()) for urn in urns],
        *[entry("POST", "Observation", weight(urn)) for urn in urns],
    ))  # fmt: skip
    assert statuses(answer) == ["201", "200", "201", "201"]
    (id,) = ids(api, "Patient")
    assert len(ids(api, f"Observation?patient={id}")) == 2


def test_conditional_urls_in_entries(api):
    for value in ("put", "patch", "delete"):
        api.post("Patient", patient(value))
    document = json.dumps([{"op": "add", "path": "/gender", "value": "other"}]).encode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json",
              "data": base64.b64encode(document).decode()}  # fmt: skip
    answer = api.post("", transaction(
        entry("PUT", f"Patient?{by('put')}", patient("put", gender="male")),
        entry("PATCH", f"Patient?{by('patch')}", binary),
        entry("DELETE", f"Patient?{by('delete')}"),
        entry("PUT", f"Patient?{by('new')}", patient("new")),
        entry("GET", f"Patient?{by('patch')}"),
    ))  # fmt: skip
    assert statuses(answer) == ["200", "200", "204", "201", "200"]
    found = answer.tree["entry"][4]["resource"]
    assert found["type"] == "searchset" and found["entry"][0]["resource"]["gender"] == "other"
    now = {
        e["resource"]["identifier"][0]["value"]: e["resource"].get("gender") for e in api.get("Patient").tree["entry"]
    }
    assert now == {"put": "male", "patch": "other", "new": None}


def test_a_delete_of_many_in_an_entry(api):
    for _ in range(3):
        api.post("Observation", weight("Patient/p"))
    answer = api.post("", transaction(entry("DELETE", "Observation?code=29463-7"), entry("POST", "Patient", patient())))
    assert statuses(answer) == ["204", "201"]
    assert ids(api, "Observation") == set()


def test_references_to_an_entry_with_a_conditional_url(api):
    known = api.post("Patient", patient()).tree["id"]
    urns = [f"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e30094500{n}" for n in range(2)]
    answer = api.post("", transaction(
        entry("POST", "Observation", weight(urns[0])),
        entry("POST", "Observation", weight(urns[1])),
        entry("PUT", f"Patient?{by()}", patient(gender="male"), urns[0]),
        entry("PUT", f"Patient?{by('new')}", patient("new"), urns[1]),
    ))  # fmt: skip
    assert statuses(answer) == ["201", "201", "200", "201"]
    new = answer.tree["entry"][3]["response"]["location"].split("/")[1]
    subjects = {e["resource"]["subject"]["reference"] for e in api.get("Observation").tree["entry"]}
    assert subjects == {f"Patient/{known}", f"Patient/{new}"}


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("PUT", f"Patient?{by('two')}", 412),
        ("PATCH", f"Patient?{by('two')}", 412),
        ("PATCH", f"Patient?{by('none')}", 404),
        ("PUT", "Patient?shoe=43", 400),
        ("DELETE", "Patient?shoe=43", 400),
        ("DELETE", "Patient", 400),
    ],
)
def test_a_condition_that_fails_undoes_the_whole(api, method, url, status):
    for _ in range(2):
        api.post("Patient", patient("two"))
    resource = {"PUT": patient("two"), "PATCH": {"resourceType": "Parameters"}, "DELETE": None}[method]
    answer = api.post("", transaction(entry("POST", "Patient", patient("first")), entry(method, url, resource)))
    assert answer.status_code == status, answer.content
    assert answer.tree["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert len(ids(api, "Patient")) == 2


def test_a_batch_takes_each_condition_alone(api):
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [
        entry("POST", "Patient", patient(), ifNoneExist=by()),
        entry("POST", "Patient", patient(), ifNoneExist=by()),
        entry("PUT", f"Patient?{by()}", patient(gender="male")),
        entry("GET", f"Patient?{by()}"),
        entry("GET", "Patient/absent", ifNoneMatch="*"),
        entry("DELETE", f"Patient?{by()}", ifMatch='W/"1"'),
        entry("DELETE", f"Patient?{by()}"),
    ]}  # fmt: skip
    assert statuses(api.post("", bundle)) == ["201", "200", "200", "200", "404", "412", "204"]
