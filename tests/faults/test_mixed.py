"""Everything dies at random under a mixed load: no drift, and no search misses a write without saying so. (F43)"""

import random
import subprocess
import sys
import threading
import time

import pytest

from tests.faults.checks import everything
from tests.faults.client import Unknown, bundle, entry, marked, marker
from tests.faults.load import Load
from tests.faults.server import kill
from tests.faults.test_indexer import broker, child_environment, queued  # noqa: F401  (fixtures)
from tests.test_up import CHECKOUT, eventually

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.needs_redis]


class Searcher(threading.Thread):
    """Writes Observations of patients of its own, and asks for those of any that was acknowledged before."""

    def __init__(self, server, seed, over):
        super().__init__()
        self.client, self.chance, self.over = server.client(), random.Random(seed), over
        self.known = {}  # patient -> how many Observations were acknowledged
        self.asked = self.announced = self.failed = 0
        self.missed = []

    def run(self):
        while not self.over.is_set():
            try:
                if not self.known or self.chance.random() < 0.4:
                    self.write()
                self.search()
            except Unknown:
                self.failed += 1
                self.over.wait(0.05)
        self.client.close()

    def write(self):
        patient, count = marker(), self.chance.randrange(1, 8)
        subject = {"subject": {"reference": f"Patient/{patient}"}}
        entries = [entry("PUT", f"Patient/{patient}", marked("Patient", patient, id=patient))]
        entries += [entry("POST", "Observation", marked("Observation", marker(), **subject)) for _ in range(count)]
        if self.client.post("", bundle(*entries)).status == 200:
            self.known[patient] = count

    def search(self):
        if not self.known:
            return
        # The newest most often: older ones are indexed long since.
        patient = list(self.known)[-1 - min(int(self.chance.expovariate(0.5)), len(self.known) - 1)]
        answer = self.client.get(f"/Observation?subject=Patient/{patient}&status:not=cancelled&_summary=count")
        self.asked += 1
        if answer.status != 200:
            assert answer.status in (429, 503), answer.body
            self.failed += 1
        elif "x-searchable-until" in answer.headers:
            self.announced += 1
        elif answer.tree["total"] != self.known[patient]:
            self.missed.append((patient, self.known[patient], answer.tree["total"]))


@pytest.mark.parametrize(
    "seconds", [pytest.param(15), pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)
def test_F43_worker_redis_and_web_die_at_random_under_a_mixed_load(queued, broker, seconds):  # noqa: F811
    chance, over = random.Random(43), threading.Event()
    searchers = [Searcher(queued, seed, over) for seed in range(2)]
    killed = {"web": 0, "worker": 0, "redis": 0}
    with Load(queued, writers=2, seed=43) as load:
        for each in searchers:
            each.start()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(chance.uniform(0.3, 3))
            which = min(killed, key=lambda each: (killed[each], chance.random()))
            killed[which] += 1
            if which == "redis":
                broker.kill()
                time.sleep(chance.uniform(0, 1))
                broker.start()
            elif found := queued.worker() if which == "worker" else queued.webs():
                kill(chance.choice(found).pid)
        over.set()
        for each in searchers:
            each.join()
    queued.ready(60)
    eventually(queued.worker, 30)
    queued.drained(60)
    assert [missed for each in searchers for missed in each.missed] == []
    told = {"asked": sum(s.asked for s in searchers), "announced": sum(s.announced for s in searchers),
            "failed": sum(s.failed for s in searchers), "writes": len(load.acknowledged), **killed}  # fmt: skip
    print(told)
    assert told["asked"] - told["announced"] - told["failed"] > seconds and all(killed.values()), told
    everything(queued, load.log)
    checked = subprocess.run(
        [sys.executable, "manage.py", "check_index", "--data", str(queued.path)],
        env=child_environment(queued), cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0 and "0 differences" in checked.stdout, checked.stdout + checked.stderr
