"""Writers that remember what they were told: acknowledged, or unknown. Nothing else may happen to a write."""

import random
import threading
import time
from dataclasses import dataclass, field

from tests.faults.client import Unknown, bundle, entry, marked, marker, visit
from tests.running import Running


@dataclass
class Told:
    """One write: its marker, how many versions it makes, and what was acknowledged as (type, id, version)."""

    mark: str
    versions: int
    status: int = 0  # 0: no answer
    stored: list = field(default_factory=list)
    seconds: float = 0.0
    began: float = 0.0
    retry_after: str | None = None

    @property
    def acknowledged(self):
        return self.status in (200, 201)


class Load(Running):
    """`writers` threads that create, update and send transactions until `stop`."""

    def __init__(self, server, writers=4, seed=0, timeout=30, types=("Patient", "Observation")):
        super().__init__()
        self.server, self.types = server, types
        self.log = []
        self.threads = [
            threading.Thread(target=self.write, args=(random.Random(f"{seed}/{n}"), server.client(timeout)))
            for n in range(writers)
        ]

    def write(self, chance, client):
        mine = []  # (type, id) that this writer alone updates
        while not self.over.is_set():
            told, ask = self.plan(chance, client, mine)
            told.began = time.monotonic()
            try:
                answer = ask()
            except Unknown:
                self.over.wait(0.05)
            else:
                told.status = answer.status
                told.retry_after = answer.headers.get("retry-after")
                if told.acknowledged:
                    told.stored = stored(answer)
                    mine += [(type, id) for type, id, version in told.stored if version == 1]
                else:
                    self.over.wait(0.05)
            told.seconds = time.monotonic() - told.began
            self.log.append(told)
        client.close()

    def plan(self, chance, client, mine):
        mark, kind = marker(), chance.random()
        if kind < 0.3 and mine:
            type, id = chance.choice(mine)
            return Told(mark, 1), lambda: client.put(f"/{type}/{id}", marked(type, mark, id=id))
        if kind < 0.5:
            return Told(mark, 3), lambda: client.post("", visit(mark))
        if kind < 0.6 and len(mine) > 1:
            (a, x), (b, y) = chance.sample(sorted(set(mine)), 2) if len(set(mine)) > 1 else (mine[0], mine[0])
            if x != y:
                puts = entry("PUT", f"{a}/{x}", marked(a, mark, id=x)), entry("PUT", f"{b}/{y}", marked(b, mark, id=y))
                return Told(mark, 2), lambda: client.post("", bundle(*puts))
        type = chance.choice(self.types)
        return Told(mark, 1), lambda: client.post(f"/{type}", marked(type, mark))

    @property
    def acknowledged(self):
        return [told for told in self.log if told.acknowledged]

    @property
    def unknown(self):
        return [told for told in self.log if not told.acknowledged]

    def statuses(self):
        found = {}
        for told in self.log:
            found[told.status] = found.get(told.status, 0) + 1
        return found


def stored(answer):
    """(type, id, version) of what an answer acknowledges."""
    tree = answer.tree
    if tree["resourceType"] != "Bundle":
        return [(tree["resourceType"], tree["id"], int(tree["meta"]["versionId"]))]
    found = []
    for each in tree["entry"]:
        type, id, _, version = each["response"]["location"].split("/")[-4:]
        found.append((type, id, int(version)))
    return found
