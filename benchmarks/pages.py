"""How long pages take: each asked for in turn, by the people of the demonstration, one request after the other.

With --observations the patient's record is first given so many more of them, which takes a token of the system.
"""

import json
import re
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

HAEMOGLOBIN = "http://loinc.org|718-7"
AT_ONCE = 500  # entries of a transaction that makes the record larger
PAGES = {  # login -> addresses; {p} the patient, {q} the query of one result over time
    None: ("/", "/account/login/", "/developers/", "/developers/capabilities/?type=Observation",
           "/developers/openapi.json"),
    "patient": ("/me/{p}/", "/me/{p}/timeline/", "/me/{p}/results/", "/me/{p}/results/?{q}", "/me/{p}/access/",
                "/me/{p}/history/", "/me/{p}/notices/", "/me/{p}/record.pdf"),
    "doctor": ("/care/", "/care/{p}/", "/care/{p}/timeline/", "/care/{p}/results/", "/care/{p}/results/?{q}",
               "/care/{p}/medicines/", "/care/{p}/imaging/", "/care/{p}/apps/"),
    "dpo": ("/admin/", "/admin/audit/?patient=Patient/{p}", "/admin/audit/?from={day}",
            "/admin/why/?login=doctor&reference=Patient/{p}", "/admin/rights/?patient=Patient/{p}", "/admin/reviews/",
            "/admin/doubts/", "/admin/matrix/"),
    "administrator": ("/admin/resources/?q=Practitioner%3F_sort%3Dfamily", "/admin/people/", "/admin/clients/",
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
    parser = commands.add_parser("pages", help="time the pages of a running server with demo people")
    parser.add_argument("--base", default="http://127.0.0.1:8000", help="address of the pages")
    parser.add_argument("--logins", type=Path, required=True, help="DIR/secrets/demo.json")
    parser.add_argument("--rounds", type=int, default=20, help="how often each page is asked for (default 20)")
    parser.add_argument("--observations", type=int, default=0, help="so many more for the patient's record, first")
    parser.add_argument("--token", help="of a system client, for --observations")
    parser.add_argument("--json", type=Path, help="where to write the result")


def main(options):
    logins = json.loads(options.logins.read_text())
    browsers = {None: Browser(options.base)}
    for login in filter(None, PAGES):
        browsers[login] = Browser(options.base)
        browsers[login].sign_in(login, logins[login])
    _, headers, _ = browsers["patient"].ask("GET", "/me/")
    patient = headers["Location"].strip("/").split("/")[-1]
    if options.observations:
        grow(options.base, options.token, patient, options.observations)
    known = {"p": patient, "q": urlencode({"code": HAEMOGLOBIN}), "day": datetime.now(UTC).date().isoformat()}
    found = [measured(browsers[login], login, path.format(**known), options.rounds)
             for login, paths in PAGES.items() for path in paths]  # fmt: skip
    print("\n".join(table(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 1 if any(each["status"] != 200 for each in found) else 0


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


def measured(browser, login, path, rounds):
    """Milliseconds of a page, the first apart: it may load what no later one does."""
    times, status, size = [], 0, 0
    browser.connection.close()  # the server has closed what was idle; it opens again by itself
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        status, _, body = browser.ask("GET", path)
        times.append(1000 * (time.perf_counter() - begun))
        size = len(body)
    first, rest = times[0], sorted(times[1:])
    return {"login": login, "path": path, "status": status, "bytes": size, "first": first,
            "p50": statistics.median(rest), "p95": rest[min(len(rest) - 1, round(0.95 * len(rest)))],
            "max": rest[-1]}  # fmt: skip


def table(found):
    yield f"{'page':60} {'who':14} {'status':>6} {'KB':>7} {'first':>7} {'p50':>7} {'p95':>7} {'max':>7}  (ms)"
    for each in found:
        path = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", each["path"])
        times = " ".join(f"{each[k]:7.1f}" for k in ("first", "p50", "p95", "max"))
        yield f"{path[:60]:60} {each['login'] or '-':14} {each['status']:6} {each['bytes'] / 1024:7.1f} {times}"
    worst = max(found, key=lambda each: each["p95"])
    yield f"{len(found)} pages; the slowest at p95: {worst['path'][:60]}, {worst['p95']:.0f} ms"
