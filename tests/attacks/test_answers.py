"""Attacks on who asks and on what an answer tells beside the resource. (A02, A36, A38, A41, A62, A63, A89-A92)"""

import json
import logging
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from django.contrib.auth import get_user_model
from kombu import Connection

from accessctl.models import Client, Token
from fhirserver import overload
from fhirserver.logs import JSONLines
from records.database import execute
from records.definitions.structures import RESOURCE_TYPES
from records.indexing import tasks
from tests.accessctl.people import api, observation
from tests.api import Api, indexed

ABSENT = "00000000-0000-4000-8000-000000000000"
SECRET = "Zephyrine"


def routes():
    """(method, path) of everything that the CapabilityStatement lists."""
    statement = Api(token="").get("metadata").tree["rest"][0]
    by_code = {
        "read": ("GET", "{}/ID"), "vread": ("GET", "{}/ID/_history/1"), "update": ("PUT", "{}/ID"),
        "patch": ("PATCH", "{}/ID"), "delete": ("DELETE", "{}/ID"), "history-instance": ("GET", "{}/ID/_history"),
        "history-type": ("GET", "{}/_history"), "create": ("POST", "{}"), "search-type": ("GET", "{}"),
    }  # fmt: skip
    for of in statement["resource"]:
        for each in of["interaction"]:
            method, path = by_code[each["code"]]
            yield method, path.format(of["type"])
        yield "POST", f"{of['type']}/_search"
        for each in of.get("operation", ()):
            for level in (of["type"], f"{of['type']}/ID", f"{of['type']}/ID/_history/1"):
                yield "POST", f"{level}/${each['name']}"
    for each in statement["operation"]:
        yield "POST", f"${each['name']}"
    for definition in statement["compartment"]:
        name = next(t for t in RESOURCE_TYPES if t.lower() == definition.rpartition("/")[2])
        yield "GET", f"{name}/ID/*"
        yield "GET", f"{name}/ID/Observation"
    yield from (("GET", ""), ("GET", "_history"), ("POST", "_search"), ("POST", ""))


def test_A02_no_route_answers_without_a_token(database):
    nobody, asked = Api(token=""), 0
    for method, path in routes():
        body = {} if method in ("POST", "PUT", "PATCH") else None
        answer = nobody.request(method, path.replace("ID", ABSENT), body)
        assert (answer.status_code, answer.tree["issue"][0]["code"]) == (401, "login"), (method, path)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        asked += 1
    assert asked > 1500


@pytest.mark.parametrize(
    "scope, person", [("system/Slot.r", None), ("user/Slot.r", "alice"), ("patient/Slot.r", "alice")]
)
def test_A02_no_route_shows_more_than_the_scopes(world, scope, person):
    """Every operation and every verb on some types, and each type by read."""
    id = world.observation()
    indexed()
    who = api(person, scope, patient=world.a) if person else Api(scope)
    for method, path in routes():
        type = path.partition("/")[0]
        if type == "Slot" or (type not in ("Patient", "Observation", "") and (method, path) != ("GET", f"{type}/ID")):
            continue
        target = world.a if type == "Patient" else id
        body = {"resourceType": type} if method in ("POST", "PUT", "PATCH") and type else None
        form = {"type": "application/x-www-form-urlencoded"} if "_search" in path else {}
        answer = who.request(method, path.replace("ID", target), b"" if form else body, **form)
        assert 400 <= answer.status_code < 500 or nothing(answer), (method, path, answer.content)
        assert target.encode() not in answer.content.replace(path.replace("ID", target).encode(), b"")
    assert world.patient.get(f"Observation/{id}").headers["ETag"] == 'W/"1"'


def nothing(answer):
    """A page without entries, or an outcome of $validate."""
    found = answer.tree
    return found["resourceType"] == "OperationOutcome" or ("entry" not in found and not found.get("total"))


def test_A36_a_colliding_id_or_identifier_is_no_news(world):
    """The id of a body is not taken; an identifier that a hidden row has collides with nothing that one may see."""
    hidden = world.observation(identifier=[{"system": "urn:s", "value": "o1"}])
    for who, patient in ((world.other, world.b), (world.doctor, world.a), (world.stranger, world.a)):
        told = []
        for id, value in ((hidden, "o1"), (ABSENT, "o2")):
            body = observation(patient) | {"id": id, "identifier": [{"system": "urn:s", "value": value}]}
            answer = who.post("Observation", body, prefer="return=minimal")
            made = answer.headers["Location"].split("/")[-3]
            assert made not in (hidden, ABSENT)
            told.append((answer.status_code, answer.content, answer.headers["ETag"]))
        assert told[0] == told[1] == (201, b"", 'W/"1"')
    assert world.patient.get(f"Observation/{hidden}").headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    "error, status",
    [
        (psycopg.errors.UndefinedColumn(f'column "x" of "{SECRET}" SELECT r.body FROM resource r'), 500),
        (psycopg.errors.QueryCanceled(f"canceling statement {SECRET}"), 503),
        (psycopg.OperationalError(f"server closed the connection {SECRET} password"), 503),
        (psycopg.errors.UniqueViolation(f"Key (identity)=({SECRET}) already exists"), 503),
        (KeyError(SECRET), 500),
        (RecursionError(SECRET), 500),
    ],
)
def test_A38_an_error_tells_its_log_id_and_nothing_else(world, monkeypatch, caplog, error, status):
    id = world.observation()
    monkeypatch.setattr("records.interactions.read.execute", raising(error))
    monkeypatch.setattr("records.database.time.sleep", lambda seconds: None)
    entry = {"request": {"method": "GET", "url": f"Observation/{id}"}}
    answer = world.patient.get(f"Observation/{id}")
    batch = world.patient.post("", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert answer.status_code == status and batch.status_code == 200
    assert batch.tree["entry"][0]["response"]["status"].startswith(str(status))
    for told in (answer.content, batch.content):
        assert not any(w in told for w in (SECRET.encode(), b"SELECT", b"resource r", b"Traceback", b"psycopg"))
    if status == 500:
        assert answer.headers["X-Request-Id"] in answer.tree["issue"][0]["diagnostics"]
        assert any(getattr(r, "request_id", None) == answer.headers["X-Request-Id"] for r in caplog.records)


def raising(error):
    def execute(*_, **__):
        raise error

    return execute


def test_A41_no_cache_between_two_people_keeps_an_answer(world):
    id = world.observation()
    indexed()
    for path in (f"Observation/{id}", "Observation", f"Observation/{id}/_history", f"Patient/{world.a}/$everything"):
        for who in (world.patient, world.other, Api(token="")):
            for method in ("GET", "HEAD"):
                headers = who.request(method, path).headers
                assert headers["Cache-Control"] == "no-store" and "Authorization" in headers["Vary"]
                assert "Expires" not in headers and "Age" not in headers


def test_A62_a_token_counts_in_its_header_alone(world, caplog):
    """Not in the query, a cookie or a form: those are in logs and histories."""
    caplog.set_level(logging.DEBUG)
    id, token, nobody = world.observation(), world.patient.token, Api(token="")
    form = {"type": "application/x-www-form-urlencoded"}
    for answer in (
        nobody.get(f"Observation/{id}?access_token={token}"),
        nobody.get(f"Observation/{id}?Authorization=Bearer%20{token}"),
        nobody.get(f"Observation/{id}", cookie=f"access_token={token}; token={token}; Authorization=Bearer {token}"),
        nobody.post("Observation/_search", f"access_token={token}".encode(), **form),
        nobody.get(f"Observation/{id}", x_authorization=f"Bearer {token}"),
        nobody.get(f"Observation/{id}", proxy_authorization=f"Bearer {token}"),
        nobody.get(f"Observation/{id}", authorization=f"Basic {token}"),
        nobody.get(f"Observation/{id}", authorization=token),
        nobody.get(f"Observation/{id}", authorization=f"Bearer x, Bearer {token}"),
    ):
        assert answer.status_code == 401 and id.encode() not in answer.content
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert token.encode() not in answer.content
    lines = [JSONLines().format(r) for r in caplog.records]
    assert not any(token in line for line in lines)
    assert not execute("SELECT 1 FROM audit WHERE query LIKE %s", (f"%{token}%",))


@pytest.mark.parametrize("how", ["unknown", "empty", "digest", "expired", "revoked", "client", "user", "gone"])
def test_A63_a_token_that_is_not_valid_ends_at_once(world, how):
    id, token = world.observation(), world.patient.token
    assert world.patient.get(f"Observation/{id}").status_code == 200
    row = Token.objects.get(user__username="alice")
    if how == "expired":
        Token.objects.filter(pk=row.pk).update(expires=row.issued - timedelta(hours=2))
    elif how == "revoked":
        Token.objects.filter(pk=row.pk).update(revoked=row.issued)
    elif how == "client":
        Client.objects.filter(pk=row.client_id).update(active=False)
    elif how == "user":
        get_user_model().objects.filter(username="alice").update(is_active=False)
    elif how == "gone":
        row.delete()
    else:
        token = {"unknown": token[::-1], "empty": "", "digest": bytes(row.digest).hex()}[how]
    answer = Api(token=token or "-").get(f"Observation/{id}", **({} if token else {"authorization": "Bearer "}))
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert id.encode() not in answer.content


def test_A89_a_log_line_is_one_line_and_holds_no_value(world, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    evil = f"{SECRET}\r\n\x1b[31m=cmd|' /C calc'!A0"
    named = {"resourceType": "Patient", "id": world.a, "name": [{"family": SECRET}]}
    assert world.system.put(f"Patient/{world.a}", named).status_code == 200
    form = {"type": "application/x-www-form-urlencoded"}
    world.patient.get(f"Patient?name={SECRET}", user_agent=evil)
    world.patient.post("Patient/_search", f"family={SECRET}".encode(), **form)
    world.patient.get(f"Patient/{SECRET}%0d%0a")
    world.patient.post("Patient", evil.encode(), x_request_id=evil)
    monkeypatch.setattr("records.interactions.read.execute", raising(KeyError("x")))
    world.patient.get(f"Patient/{world.a}?_elements={SECRET}", user_agent=evil)
    lines = [JSONLines().format(record) for record in caplog.records]
    assert lines
    for line in lines:
        assert "\n" not in line and "\x1b" not in line and json.loads(line)
        assert SECRET not in line
    line = JSONLines().format(logging.makeLogRecord({"msg": evil, "levelname": "INFO"}))
    assert "\n" not in line and "\x1b" not in line and json.loads(line)["event"] == evil


def test_A02_how_the_server_is_doing_is_told_to_this_machine_alone(database):
    """A proxy on this machine that passes everything on passes no numbers on."""
    http = Api().http
    assert http.get("/metrics").status_code == 200
    assert http.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA"):
        assert http.get("/metrics", **{header: "for=203.0.113.9"}).status_code == 404


def test_A90_each_way_of_looking_leaves_a_record(world):
    """A HEAD, an answer of 304, a search that finds nothing, a refusal. (see also tests/accessctl/test_audit.py)"""
    id = world.observation()
    for who, method, path, headers in (
        (world.patient, "HEAD", f"Observation/{id}", {}),
        (world.patient, "GET", f"Observation/{id}", {"if_none_match": 'W/"1"'}),
        (world.patient, "GET", "Observation?_summary=count", {}),
        (world.stranger, "GET", f"Observation/{id}", {}),
        (world.stranger, "POST", "Patient/$break-glass", {}),
        (world.clerk, "GET", "_history", {}),
    ):
        [(before,)] = execute("SELECT count(*) FROM audit")
        who.request(method, path, {"resourceType": "Parameters"} if method == "POST" else None, **headers)
        assert execute("SELECT count(*) FROM audit") > [(before,)], (method, path)


def test_A90_what_tells_of_a_record_names_whose_it_is(world):
    """No row is shown, and yet the answer says that there is one, how many, or which version."""
    world.consents()
    gone, here = world.observation(), world.observation(status="registered")
    world.observation(status="registered")
    world.system.delete(f"Observation/{gone}")
    same = observation(world.a, status="registered") | {"id": here}
    for method, path, body, headers, status in (
        ("GET", f"Patient/{world.a}/$everything?_type=Account", None, {}, 200),
        ("GET", f"Observation/{here}/_history?_count=0", None, {}, 200),
        ("GET", f"Observation/{here}/_history?_since=2099", None, {}, 200),
        ("GET", "Observation/_history?_summary=count", None, {}, 200),
        ("GET", f"Observation/{gone}", None, {}, 410),
        ("GET", f"Observation/{gone}/_history/2", None, {}, 410),
        ("PUT", f"Observation/{here}", same, {"if_match": 'W/"77"'}, 412),
        ("PUT", "Observation?status=registered", same, {}, 412),
        ("POST", "Observation", same, {"if_none_exist": f"status=registered&patient={world.a}"}, 412),
    ):
        [(last,)] = execute("SELECT max(seq) FROM audit")
        assert world.doctor.request(method, path, body, **headers).status_code == status, path
        found = execute("SELECT patient, query FROM audit WHERE seq > %s", (last,))
        assert {patient for patient, _ in found} == {world.key}, (method, path)
    assert found[0][1] == f"status=registered&patient={world.a}"


def test_A91_a_rate_is_not_evaded(world, monkeypatch):
    """It belongs to the client, whatever address the request says it comes from, and each entry of a batch counts."""
    monkeypatch.setattr(overload.allowance, "rate", 5)
    monkeypatch.setattr(overload.allowance, "left", {})
    from_many = [{"x_forwarded_for": f"10.0.0.{n}", "forwarded": f"for=10.0.0.{n}"} for n in range(9)]
    forged = [world.patient.get("Patient/x", **headers) for headers in from_many]
    assert [a.status_code for a in forged].count(404) <= 6 and forged[-1].status_code == 429
    monkeypatch.setattr(overload.allowance, "left", {})
    unread = [world.patient.get("Patinet/x").status_code for _ in range(9)]  # leaves a record as well
    assert unread.count(404) <= 6 and unread[-1] == 429
    monkeypatch.setattr(overload.allowance, "left", {})
    entries = [{"request": {"method": "GET", "url": "Patient/x"}}] * 1000
    told = world.patient.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries}).tree["entry"]
    statuses = [e["response"]["status"][:3] for e in told]
    assert statuses.count("404") < 200 and "429" in statuses


def test_A92_messages_to_the_broker_hold_no_record(world, monkeypatch):
    """What a write sends says that there is something to do, and nothing else."""
    sent, task = [], tasks.index_pending
    noted = SimpleNamespace(apply_async=lambda *given, **named: sent.append((given, named)))
    monkeypatch.setattr(tasks, "index_pending", noted)
    world.observation(note=[{"text": SECRET}], identifier=[{"system": "urn:ins", "value": "1-23-45"}])
    world.made({"resourceType": "Patient", "name": [{"family": SECRET}]})
    waker = tasks._waker
    assert waker is not None and waker.is_alive()
    for _ in range(200):
        if sent:
            break
        tasks.time.sleep(0.01)
    assert sent and all(given == () and set(named) <= {"ignore_result"} for given, named in sent)
    with Connection("memory://attack") as connected:
        task.apply_async(connection=connected)
        queue = connected.SimpleQueue("records", no_ack=True)
        message = queue.get(timeout=5)
        told = json.dumps([message.payload, message.headers, message.properties])
        assert SECRET not in told and world.a not in told and message.payload[:2] == [[], {}]
