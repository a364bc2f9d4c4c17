"""How long pages take: each asked for in turn, by the people of the demonstration, one request after the other.

With --data the server of a folder is started first, with demonstration people written beside what `scale` made there
when there are none. With --observations the patient's record is then made to have so many more of them.
"""

import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from .processes import cpu

HAEMOGLOBIN = "http://loinc.org|718-7"
AT_ONCE = 500  # entries of a transaction that makes the record larger
PAGES = {  # login -> addresses; {p} the patient, {q} the query of one result over time
    None: ("/", "/account/login/", "/developers/", "/developers/capabilities/?type=Observation",
           "/developers/openapi.json"),
    "patient": ("/me/{p}/", "/me/{p}/timeline/", "/me/{p}/results/", "/me/{p}/results/?{q}", "/me/{p}/access/",
                "/me/{p}/history/", "/me/{p}/notices/", "/me/{p}/record.pdf"),
    "doctor": ("/care/", "/care/?family=Martin", "/care/?family=Martin&birthdate=1970", "/care/?ins={i}",
               "/care/{p}/", "/care/{p}/timeline/", "/care/{p}/results/", "/care/{p}/results/?{q}",
               "/care/{p}/medicines/", "/care/{p}/imaging/", "/care/{p}/apps/"),
    "dpo": ("/admin/", "/admin/audit/?patient=Patient/{p}", "/admin/audit/?from={day}",
            "/admin/why/?login=doctor&reference=Patient/{p}", "/admin/rights/?patient=Patient/{p}", "/admin/reviews/",
            "/admin/doubts/", "/admin/matrix/"),
    "administrator": ("/admin/", "/admin/?hours=24", "/admin/resources/?q=Practitioner%3F_sort%3Dfamily",
                      "/admin/resources/?q=Observation%3Fcode%3Dhttp%3A%2F%2Floinc.org%7C718-7",
                      "/admin/resources/?q=Organization%3F_summary%3Dcount", "/admin/people/?q=a",
                      "/admin/people/", "/admin/clients/",
                      "/admin/parameters/", "/admin/jobs/", "/admin/settings/"),
}  # fmt: skip


class Browser:
    """Keeps cookies, and sends Secure ones over plain http too, as browsers do to this machine."""

    def __init__(self, base):
        parts = urlsplit(base)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.origin, self.cookies = f"{parts.scheme}://{parts.netloc}", {}
        self.connection = kind(parts.netloc, timeout=60)

    def ask(self, method, path, fields=None, **headers):
        """(status, headers, body)."""
        headers |= {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), "Accept": "text/html"}
        body = None
        if fields is not None:
            body = urlencode(fields)
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin,
                        "Referer": self.origin + path}  # fmt: skip
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers, answer.read()

    def sign_in(self, login, password):
        _, _, page = self.ask("GET", "/account/login/")
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1].decode()
        status, _, _ = self.ask("POST", "/account/login/",
                                {"login": login, "password": password, "csrfmiddlewaretoken": token})  # fmt: skip
        if status != 302:
            raise SystemExit(f"{login} cannot sign in: {status}")


def command(commands):
    parser = commands.add_parser("pages", help="time the pages of a server with demo people")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="folder whose server is started for it; demo people as needed")
    where.add_argument("--logins", type=Path, help="of a server that runs: DIR/secrets/demo.json")
    parser.add_argument("--base", default="http://127.0.0.1:8000", help="address of the pages, with --logins")
    parser.add_argument("--rounds", type=int, default=20, help="how often each page is asked for (default 20)")
    parser.add_argument("--observations", type=int, default=0, help="so many in the patient's record, made first")
    parser.add_argument("--token", help="of a system client, for --observations with --logins")
    parser.add_argument("--json", type=Path, help="where to write the result")


def main(options):
    if options.data is None:
        return timed(options, options.base, options.logins, options.token)
    with served(options.data) as (base, token, pid):
        return timed(options, base, options.data / "secrets" / "demo.json", token, pid)


@contextlib.contextmanager
def served(folder):
    """(address, token of the system, process) of the server of a folder, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "manage.py"]
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    if not (folder / "secrets" / "demo.json").exists():
        subprocess.run([*run, "demo", "--data", folder], env=environment, check=True)
    given = environment | {"FHIRSERVER_ENVIRONMENT": "demo"}  # demo logins need no second factor
    server = subprocess.Popen([*run, "up", "--port", str(port), "--data", folder], env=given, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        said, token = [], None
        for line in server.stdout:
            said.append(line)
            if line.startswith("  token"):
                token = line.split()[1]
            if line.startswith("Ctrl-C"):
                break
        else:
            raise SystemExit("".join(said))
        yield f"http://127.0.0.1:{port}", token, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def timed(options, base, logins, token, pid=None):
    logins = json.loads(logins.read_text())
    browsers = {None: Browser(base)}
    for login in filter(None, PAGES):
        browsers[login] = Browser(base)
        browsers[login].sign_in(login, logins[login])
    _, headers, _ = browsers["patient"].ask("GET", "/me/")
    patient = headers["Location"].strip("/").split("/")[-1]
    if options.observations and (missing := options.observations - there(base, token, patient)) > 0:
        grow(base, token, patient, missing)
    known = {"p": patient, "q": urlencode({"code": HAEMOGLOBIN}), "day": datetime.now(UTC).date().isoformat(),
             "i": quote(ins(base, token, patient) if token else "0")}  # fmt: skip
    found = [measured(browsers[login], login, path.format(**known), options.rounds, pid)
             for login, paths in PAGES.items() for path in paths]  # fmt: skip
    print("\n".join(table(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 1 if any(each["status"] != 200 for each in found) else 0


def asked(base, token, path):
    """The tree that the API answers."""
    browser = Browser(base)
    browser.connection.request("GET", f"/fhir/{path}", headers={"Authorization": f"Bearer {token}"})
    return json.loads(browser.connection.getresponse().read())


def there(base, token, patient):
    return asked(base, token, f"Observation?patient=Patient/{patient}&_summary=count")["total"]


def ins(base, token, patient):
    return next(i["value"] for i in asked(base, token, f"Patient/{patient}")["identifier"])


def grow(base, token, patient, many):
    """So many Observations of one kind, a quarter of an hour apart, by transactions."""
    browser, start, begun = Browser(base), datetime(2020, 1, 1, tzinfo=UTC), time.monotonic()
    for first in range(0, many, AT_ONCE):
        entries = [{
            "request": {"method": "POST", "url": "Observation"},
            "resource": {
                "resourceType": "Observation", "status": "final", "subject": {"reference": f"Patient/{patient}"},
                "category": [{"coding": [{"code": "laboratory",
                              "system": "http://terminology.hl7.org/CodeSystem/observation-category"}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hémoglobine"}]},
                "effectiveDateTime": (start + timedelta(minutes=15 * n)).isoformat(),
                "valueQuantity": {"value": 11 + n % 70 / 10, "unit": "g/dL", "code": "g/dL",
                                  "system": "http://unitsofmeasure.org"},
                "referenceRange": [{"low": {"value": 12, "unit": "g/dL"}, "high": {"value": 16, "unit": "g/dL"}}],
            },
        } for n in range(first, min(first + AT_ONCE, many))]  # fmt: skip
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        browser.connection.request("POST", "/fhir", body, {
            "Content-Type": "application/fhir+json", "Authorization": f"Bearer {token}", "Prefer": "return=minimal",
        })  # fmt: skip
        answer = browser.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"the record cannot be made larger: {answer.status} {said[:300]!r}")
    print(f"{many:,} Observations in {time.monotonic() - begun:.1f} s", file=sys.stderr)


def measured(browser, login, path, rounds, pid=None):
    """Milliseconds of a page, the first apart: it may load what no later one does; and CPU."""
    times, status, size, before = [], 0, 0, 0.0
    browser.connection.close()  # the server has closed what was idle; it opens again by itself
    for n in range(rounds + 1):
        if n == 1 and pid:
            before = cpu(pid)
        begun = time.perf_counter()
        status, _, body = browser.ask("GET", path)
        times.append(1000 * (time.perf_counter() - begun))
        size = len(body)
    first, rest = times[0], sorted(times[1:])
    return {"login": login, "path": path, "status": status, "bytes": size, "first": first,
            "p50": statistics.median(rest), "p95": rest[min(len(rest) - 1, round(0.95 * len(rest)))],
            "max": rest[-1], "cpu": 1000 * (cpu(pid) - before) / rounds if pid else float("nan")}  # fmt: skip


def table(found):
    columns = ("first", "p50", "p95", "max", "cpu")
    yield f"{'page':60} {'who':14} {'status':>6} {'KB':>7} {' '.join(f'{c:>7}' for c in columns)}  (ms)"
    for each in found:
        path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", each["path"])
        times = " ".join(f"{each[k]:7.1f}" for k in columns)
        yield f"{path[:60]:60} {each['login'] or '-':14} {each['status']:6} {each['bytes'] / 1024:7.1f} {times}"
    worst = max(found, key=lambda each: each["p95"])
    yield f"{len(found)} pages; the slowest at p95: {worst['path'][:60]}, {worst['p95']:.0f} ms"
