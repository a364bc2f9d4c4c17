"""The web processes die, wait, are replaced, or their clients leave. (F01 F02 F11 F40 F42)"""

import signal
import socket
import time
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from fhirserver.embedded.folder import APP
from tests.faults.checks import absent, everything, markers
from tests.faults.client import SYSTEM, Unknown, in_thread, marked, marker, visit
from tests.faults.load import Load, stored
from tests.faults.server import HELD_TYPE
from tests.test_up import eventually

pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize("moment", ["write", "commit"])
@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(10, marks=pytest.mark.long)])
def test_F01_killed_inside_a_transaction_nothing_of_it_is_there(server, moment, rounds):
    """After the rows are written, and again when COMMIT has been sent and is not done."""
    for _ in range(rounds):
        mark, key = marker(), marker()
        with server.held(moment):
            client = server.client()
            request = in_thread(lambda c=client, m=mark, k=key: c.post("", visit(m, HELD_TYPE), Idempotency_Key=k))
            server.wait_for("advisory")
            server.kill_webs()
            with pytest.raises(Unknown):
                request.result(20)
            # The session ends by itself when it notices that nobody listens (client_connection_check_interval).
            eventually(lambda: server.value(ADVISORY) == 0, 10)
        absent(server, mark)
        server.ready()
        again = server.client().post("", visit(mark, HELD_TYPE), Idempotency_Key=key)
        assert again.status == 200 and "idempotent-replayed" not in again.headers
        assert markers(server)[0][mark] == 3
    everything(server)


ADVISORY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"


@pytest.mark.parametrize("rounds", [pytest.param(1), pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["Idempotency-Key", "If-None-Exist"])
def test_F02_killed_after_the_commit_the_same_request_finds_what_it_did(server, how, rounds):
    """COMMIT is on the disk and its answer waits for a standby that does not exist: the process dies there."""
    for _ in range(rounds):
        mark, key = marker(), marker()
        whole = visit(mark)

        def send(mark=mark, key=key, whole=whole):
            if how == "Idempotency-Key":
                return server.client().post("", whole, Idempotency_Key=key)
            condition = f"identifier={SYSTEM}|{mark}"
            return server.client().post("/Patient", marked("Patient", mark), If_None_Exist=condition)

        server.ask("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            server.ask("SELECT pg_reload_conf()")
            request = in_thread(send)
            server.wait_for("SyncRep")
            server.kill_webs()
            with pytest.raises(Unknown):
                request.result(20)
        finally:
            server.ask("ALTER SYSTEM RESET synchronous_standby_names")
            server.ask("SELECT pg_reload_conf()")
        expected = 3 if how == "Idempotency-Key" else 1
        # The checkpointer lets commits go when it reads its settings again, perhaps after a long checkpoint.
        server.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        eventually(lambda m=mark, n=expected: markers(server)[0][m] == n, 60)
        server.ready()
        first, second = send(), send()
        assert first.status == 200 and first.body == second.body
        counts, places = markers(server)
        assert counts[mark] == expected
        if how == "Idempotency-Key":
            assert first.headers["idempotent-replayed"] == "true"
            assert {places[place] for place in stored(first)} == {mark}
    everything(server)


def test_F11_a_session_that_sleeps_in_its_transaction_is_ended_and_delays_nobody_else(server):
    """Readers of the row and everybody else go on; its writer waits until PostgreSQL ends the session."""
    client, mark = server.client(), marker()
    id = client.post("/Patient", marked("Patient", mark)).id
    url = server.database.url(APP)
    with (
        pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout),
        psycopg.connect(url, options=f"-c {TIMEOUT}=4000") as asleep,
    ):
        asleep.execute("SELECT set_config('access.kind', 'system', TRUE)")
        asleep.execute("SELECT FROM resource WHERE id = %s FOR UPDATE", [id])
        writer = in_thread(lambda: server.client().put(f"/Patient/{id}", marked("Patient", mark, id=id, active=True)))
        server.wait_for("transactionid")
        assert client.get(f"/Patient/{id}").status == 200
        assert client.post("/Patient", marked("Patient", marker())).status == 201
        assert writer.result(10).status == 200
    assert TIMEOUT in settings.DATABASES["default"]["OPTIONS"]["options"], "the server's own sessions have it too"
    everything(server)


TIMEOUT = "idle_in_transaction_session_timeout"


@pytest.mark.parametrize("restarts", [pytest.param(1), pytest.param(20, marks=pytest.mark.long)])
def test_F40_web_and_worker_are_replaced_under_load_and_no_request_fails(server, restarts):
    """SIGUSR1 to `up`: new processes come, old ones finish what they have."""
    with Load(server, writers=4, seed=restarts) as load:
        for _ in range(restarts):
            before, worker = {p.pid for p in server.webs()}, {p.pid for p in server.worker()}
            time.sleep(0.5)
            server.up.process.send_signal(signal.SIGUSR1)
            eventually(lambda b=before: len(now := {p.pid for p in server.webs()}) == 2 and not now & b, 40)
            eventually(lambda w=worker: len(now := {p.pid for p in server.worker()}) == 1 and not now & w, 40)
            time.sleep(0.5)
    # A connection that waits unaccepted in a queue which its owner closes is reset by kernels that do not migrate it
    # (net.ipv4.tcp_migrate_req): the client sees no answer, status 0, and nothing of the request has begun.
    told = load.statuses()
    assert set(told) <= {200, 201} | ({0} if not migrates() else set()), told
    assert told.get(0, 0) <= 4 * restarts
    assert len(load.log) > 20
    everything(server, load.log)


def migrates():
    """Does this kernel hand waiting connections to the next listener?"""
    setting = Path("/proc/sys/net/ipv4/tcp_migrate_req")
    return setting.exists() and setting.read_text().strip() == "1"


def raw(server, head, body=b""):
    """A connection that has sent this much of a request."""
    connection = socket.create_connection(("127.0.0.1", server.up.port), timeout=20)
    connection.sendall(head + f"Authorization: Bearer {server.token}\r\n\r\n".encode() + body)
    return connection


def head(length, path="/fhir/Patient"):
    kind = "Content-Type: application/fhir+json"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n".encode()


@pytest.mark.parametrize("how", ["half of the body", "reset", "half close", "chunked"])
def test_F42_a_client_that_leaves_while_it_sends_has_stored_nothing(server, how):
    """Also where what arrived with a Content-Length would be a whole resource by itself."""
    import json
    import struct

    mark = marker()
    whole = json.dumps(marked("Patient", mark)).encode()
    if how == "chunked":
        chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        # Of a whole resource without the last chunk nobody below the web server learns that the end is missing.
        half = whole[: len(whole) // 2]
        connection = raw(server, chunked, b"%x\r\n%s\r\n" % (len(half), half))
    else:
        sent = whole[: len(whole) // 2] if how == "half of the body" else whole
        connection = raw(server, head(len(whole) + 10), sent)
    time.sleep(0.2)
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "half close":
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
        assert not answer or b" 400 " in answer.split(b"\r\n")[0], answer
    connection.close()
    time.sleep(0.5)
    absent(server, mark)
    assert server.up.get("/ready") == 200


def test_F42_a_client_that_leaves_before_the_answer_has_a_normal_write_with_its_audit_record(server):
    import json

    mark, body = marker(), None
    body = json.dumps(marked(HELD_TYPE, mark)).encode()
    with server.held() as let_go:
        connection = raw(server, head(len(body), f"/fhir/{HELD_TYPE}"), body)
        server.wait_for("advisory")
        connection.close()
        time.sleep(0.3)
        let_go()
        eventually(lambda: markers(server)[0][mark] == 1)
    everything(server)


def test_F42_a_client_that_leaves_in_the_middle_of_the_answer(server):
    """A page much larger than the socket's buffer: the reader leaves after a few bytes, and is on record."""
    client = server.client()
    patient = client.post("/Patient", marked("Patient", marker(), text=NARRATIVE)).id
    for _ in range(20):
        client.put(f"/Patient/{patient}", marked("Patient", marker(), id=patient, text=NARRATIVE))
    seen = "SELECT count(*) FROM audit WHERE interaction = 'history-instance' AND entities LIKE %s"
    before = server.value(seen, f"%{patient}%")
    line = f"GET /fhir/Patient/{patient}/_history HTTP/1.1\r\nHost: localhost\r\n".encode()
    for _ in range(5):
        connection = raw(server, line)
        assert connection.recv(100)
        connection.close()
    assert server.value(seen, f"%{patient}%") == before + 5
    assert client.get(f"/Patient/{patient}").status == 200
    assert server.log() == []


NARRATIVE = {
    "status": "generated",
    "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{"A long story. " * 4000}</p></div>',
}
