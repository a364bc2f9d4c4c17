"""The benchmark client: does it read what servers send, count what happened, and charge a stall to the server?"""

import contextlib
import json
import os
import socket
import threading
import time

import pytest

from benchmarks import bundles, compare, discover, drive, figures, processes, report, run, work
from benchmarks.__main__ import main
from benchmarks.connection import Broken, Connection, Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def server(answer):
    """A socket server on this machine; `answer(request bytes, number)` -> bytes to send, None to hang up."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    seen = []

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            data = b""
            while part := connection.recv(65536):
                data += part
                while (end := data.find(b"\r\n\r\n")) >= 0:
                    at = data.lower().find(b"content-length:")
                    length = int(data[at + 15 :].split(b"\r\n")[0]) if 0 <= at < end else 0
                    if len(data) < end + 4 + length:
                        break
                    request, data = data[: end + 4 + length], data[end + 4 + length :]
                    seen.append(request)
                    said = answer(request, len(seen))
                    if said is None:
                        return
                    connection.sendall(said)
                    if b"Connection: close" in said or said.startswith(b"HTTP/1.0"):
                        return

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield Target("test", f"http://127.0.0.1:{listening.getsockname()[1]}/fhir", "secret"), seen
    finally:
        listening.close()


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (OK, 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\ncontent-length:  5 \r\nX: y\r\n\r\nabcde", 200, b"abcde"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end", 200, b"to the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, b"old"),
    ],
)
def test_answers_are_read(sent, status, body):
    with server(lambda *_: sent) as (target, _):
        connection = Connection(target)
        for _ in range(2):
            answer = connection.ask(target.encode("GET", "Patient/1"))
            assert (answer.status, answer.body) == (status, body)


def test_answers_may_arrive_in_pieces():
    def slowly(connection):
        connection.recv(65536)
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n":
            connection.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: slowly(listening.accept()[0]))
        thread.start()
        target = Target("test", f"http://127.0.0.1:{listening.getsockname()[1]}")
        assert Connection(target).ask(target.encode("GET", "")).body == b"abcd"
        thread.join()


def test_a_broken_answer_is_an_error_and_is_not_sent_again():
    with server(lambda request, n: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nab") as (
        target,
        seen,
    ):
        with pytest.raises(Broken, match="7 bytes before the end"):
            Connection(target).ask(target.encode("POST", "Patient", b"{}"))
        assert len(seen) == 1


def test_requests():
    target = Target("a", "https://example.org:8443/base/fhir/", "t")
    assert target.encode("POST", "", b"{}", [("Prefer", "return=minimal")]).split(b"\r\n") == [
        b"POST /base/fhir HTTP/1.1", b"Host: example.org:8443", b"Accept: application/fhir+json",
        b"Authorization: Bearer t", b"Prefer: return=minimal", b"Content-Type: application/fhir+json",
        b"Content-Length: 2", b"", b"{}",
    ]  # fmt: skip
    assert target.encode("GET", "?_type=Patient").startswith(b"GET /base/fhir?_type=Patient ")
    assert b"Authorization" not in Target("a", "http://h/fhir").encode("GET", "metadata")


def test_a_template_makes_fresh_ids_and_keeps_references():
    first, second = ("urn:uuid:" + c * 8 + "-0000-4000-8000-" + c * 12 for c in "ab")
    tree = {
        "resourceType": "Bundle", "type": "transaction",
        "entry": [
            {"fullUrl": first, "resource": {"resourceType": "Patient"},
             "request": {"method": "POST", "url": "Patient"}},
            {"fullUrl": second, "request": {"method": "POST", "url": "Observation"},
             "resource": {"resourceType": "Observation", "subject": {"reference": first},
                          "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}}},
            {"resource": {"resourceType": "Organization"},
             "request": {"method": "POST", "url": "Organization", "ifNoneExist": "identifier=1"}},
        ],
    }  # fmt: skip
    made = bundles.template("x", json.dumps(tree).encode())
    one, two = (json.loads(made.fresh()) for _ in range(2))
    assert one["entry"][1]["resource"]["subject"]["reference"] == one["entry"][0]["fullUrl"]
    assert len({one["entry"][0]["fullUrl"], two["entry"][0]["fullUrl"], first}) == 3
    assert one["entry"][2] == tree["entry"][2]
    assert made.entries == 3 and made.types == {"Patient": 1, "Observation": 1}
    assert made.codes == {"http://loinc.org|8302-2": 1}
    expected = discover.expected([made], {0: 3})
    assert expected == {"Patient": 3, "Observation": 3, "Observation?code=http%3A//loinc.org%7C8302-2": 3}


def test_population_source_is_made_of_transactions():
    templates = bundles.sources("population:3", turn=0)
    assert len(templates) == 3 and all(t.types["Patient"] == 1 for t in templates)
    again = bundles.sources("population:3", turn=1)
    assert templates[0].pieces != again[0].pieces  # other people in every round


def test_percentiles():
    assert [figures.percentile(list(range(1, 101)), share) for share in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert figures.percentile([7], 99) == 7
    assert figures.percentile([], 50) is None


def pings(target, client, random):
    while True:
        yield work.Job("ping", target.encode("GET", "ping"))


def test_closed_loop_counts_answers_and_errors():
    def answer(request, n):
        return OK if n % 5 else b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"

    with server(answer) as (target, seen):
        done = drive.run(target, pings, clients=2, duration=0.5)
    said = done.figures()
    assert said["total"]["answers"] == len(seen) > 20
    assert said["labels"]["ping"]["errors"] == len(seen) // 5
    assert said["labels"]["ping"]["error_examples"][0] == "500 oops"
    assert 0.4 < done.elapsed < 1.5


def test_open_loop_charges_a_stall_to_all_who_waited():
    def answer(request, n):
        if n == 5:
            time.sleep(0.4)
        return OK

    with server(answer) as (target, seen):
        done = drive.run(target, pings, clients=1, duration=1.0, rate=50)
    seconds = sorted(done.tallies["ping"].seconds)
    assert 45 <= len(seen) <= 51
    assert seconds[-1] > 0.38
    assert sum(s > 0.1 for s in seconds) > 10  # those due during the stall, not only the one that met it


def test_a_server_that_refuses_connections_is_an_error_not_a_crash():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = Target("gone", f"http://127.0.0.1:{closed.getsockname()[1]}/fhir")
        done = drive.run(target, pings, clients=1, duration=0.2)
    assert done.tallies["ping"].errors == len(done.tallies["ping"].seconds) > 0


def test_load_shares_the_bundles_among_clients_and_harvests_ids():
    body = json.dumps({
        "resourceType": "Bundle",
        "entry": [{"response": {"status": "201", "location": "http://x/fhir/Patient/abc/_history/1"}},
                  {"response": {"status": "201 Created", "location": "Observation/d-1"}}],
    }).encode()  # fmt: skip
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    made = bundles.population(4)
    with server(lambda *_: answer) as (target, seen):
        done = drive.run(target, work.load(made, 3, run.Turns()), clients=3)
    assert len(seen) == 12 and done.tallies["transaction"].resources == 3 * sum(t.entries for t in made)
    assert done.pieces == {0: 3, 1: 3, 2: 3, 3: 3}
    assert set(done.found) == {("Patient", "abc"), ("Observation", "d-1")} and len(done.found) == 24


def test_crud_uses_the_id_that_the_server_gave():
    def answer(request, n):
        if request.startswith(b"POST"):
            return (
                b"HTTP/1.1 201 Created\r\nLocation: /fhir/Observation/x%d/_history/1\r\nContent-Length: 0\r\n\r\n" % n
            )
        return OK

    known = work.Known(("p1",), (("Patient", "p1"),), ("A",), ("s|v",), ("http://loinc.org|1",))
    with server(answer) as (target, seen):
        done = drive.run(target, work.crud(known), clients=1, duration=0.3)
    assert {"create", "read", "update", "search", "delete"} == set(done.tallies)
    assert [r.split(b" ")[0] for r in seen[:5]] == [b"POST", b"GET", b"PUT", b"GET", b"DELETE"]
    assert b"/fhir/Observation/x1 " in seen[1] and b"/fhir/Observation/x1 " in seen[4]
    assert not sum(t.errors for t in done.tallies.values())


def test_links_of_a_server_are_followed_on_the_address_given():
    asker = discover.Asker(Target("a", "http://127.0.0.1:99/fhir"))
    assert asker.relative("http://localhost:8090/fhir/Patient?_offset=9") == "Patient?_offset=9"
    assert asker.relative("/fhir?page=1") == "?page=1"
    assert asker.relative("Patient?x=1") == "Patient?x=1"
    assert asker.relative(None) is None


def test_searchable_after_waits_for_the_counts():
    totals = iter([5, 5, 8])

    def answer(request, n):
        body = b'{"resourceType":"Bundle","total":%d}' % next(totals)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    with server(answer) as (target, seen):
        seconds, missing = discover.searchable_after(target, {"Patient": 5}, {"Patient": 3})
        assert missing == [] and 0.05 < seconds < 1
        assert b"GET /fhir/Patient?_summary=count " in seen[0]


def test_memory_and_cpu_of_a_process_tree():
    found = processes.memory(os.getpid())
    assert any(p.pid == os.getpid() and p.pss > 10_000_000 for p in found)
    assert processes.cpu(os.getpid()) > 0
    assert processes.memory(2**22 + 5) == []


def test_a_run_over_two_servers_is_paired_and_written(tmp_path, capsys):
    people = [{"resource": {"resourceType": "Patient", "id": f"p{n}", "name": [{"family": "Lefèvre"}],
                            "identifier": [{"system": "s", "value": str(n)}]}} for n in range(3)]  # fmt: skip
    seen = {"resourceType": "Observation", "id": "o", "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]}}

    def answer(request, n):
        entries = people if b"/Patient?" in request else [{"resource": seen}]
        body = json.dumps({"resourceType": "Bundle", "total": 3, "entry": entries}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    where = tmp_path / "out" / "result.json"
    with server(answer) as (one, _), server(answer) as (two, _):
        status = main([
            "run", "--base", one.base, "--token", "t", "--pid", str(os.getpid()), "--vs", two.base,
            "--scenario", "read,search", "--readers", "2", "--duration", "0.05", "--rounds", "2", "--json", str(where),
        ])  # fmt: skip
    assert status == 0
    result = json.loads(where.read_text())
    assert set(result["ratios"]) == {"read", *(f"search: {label}" for label in work.LABELS)}
    assert len(result["servers"]["server"]["rounds"]["read"]) == 2
    assert result["servers"]["server"]["memory"]["processes"]
    printed = capsys.readouterr().out
    assert "p99 ms" in printed and "ratio" in printed and str(where) in printed
    assert report.table(result)[0].split()[0] == "server"


def test_people_are_written_for_the_load_command(tmp_path, capsys):
    assert main(["people", "3", str(tmp_path / "people")]) == 0
    files = sorted((tmp_path / "people" / "0000").iterdir())
    assert [f.name for f in files] == ["0000000.json.gz", "0000001.json.gz", "0000002.json.gz"]
    assert json.loads(bundles.read(files[0]))["type"] == "transaction"
    assert "3 people" in capsys.readouterr().out


def searchset(*ids, mode="match"):
    entries = [{"resource": {"resourceType": "Patient", "id": id}, "search": {"mode": mode}} for id in ids]
    body = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_two_servers_are_compared_by_what_they_find():
    given = {("Patient", id): {"resourceType": "Patient", "id": id, "gender": "male"} for id in "ab"}
    female, male, deceased, odd = (
        compare.Query("Patient", name, value, "token", form)
        for name, value, form in (("gender", "female", "code"), ("gender", "male", "code"),
                                  ("deceased", "true", "code"), ("nonsense", "1", "code"))
    )  # fmt: skip
    one = {b"female": searchset(), b"male": searchset("a", "b"), b"deceased": searchset("a"), b"nonsense": searchset()}
    other = {b"female": searchset("stranger"), b"male": searchset("a"), b"deceased": searchset(),
             b"nonsense": searchset("x", mode="outcome")}  # fmt: skip
    says = lambda answers: lambda request, n: next(a for word, a in answers.items() if b"=" + word in request  # noqa: E731
                                                   or word + b"=" in request)  # fmt: skip
    with server(says(one)) as (first, _), server(says(other)) as (second, _):
        found = compare.compared((first, second), given, [female, male, deceased, odd])
    assert (found.asked, found.alike, found.found) == (3, 1, 2)
    assert [(query, why) for query, why, *_ in found.differ] == [(male, None), (deceased, "a truth value")]
    assert sum(found.refused["test"].values()) == 1
    assert any("unexplained" in text and "Patient/b" in text for text in compare.told(found))


def test_what_is_asked_is_drawn_from_the_resources():
    given = {("Patient", "a"): {"resourceType": "Patient", "id": "a", "gender": "male", "birthDate": "1980-05-01"}}
    definitions = [
        {"code": "gender", "type": "token", "base": ["Patient"], "expression": "Patient.gender"},
        {"code": "birthdate", "type": "date", "base": ["Patient"], "expression": "Patient.birthDate"},
    ]
    paths = {query.path.partition("&_count")[0] for query in compare.drawn(given, definitions, 9)}
    assert {"Patient?gender=male", "Patient?gender%3Anot=male", "Patient?gender:not=male"} & paths
    assert {"Patient?birthdate=1980", "Patient?birthdate=ge1980-05-01"} <= paths
