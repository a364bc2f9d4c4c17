"""What is loaded: transaction Bundles from a folder or from the population generator, each time with fresh ids."""

import bz2
import collections
import gzip
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Template:
    """A transaction cut at its UUIDs, so that a copy with other UUIDs is one join."""

    name: str
    pieces: tuple[bytes, ...]
    slots: tuple[int, ...]  # which of the bundle's UUIDs stands after piece n
    distinct: int
    entries: int
    types: collections.Counter  # resources written, by type
    codes: collections.Counter  # Observations by "system|code" of the first coding

    def fresh(self):
        """Bytes of the same transaction about somebody else."""
        ids = [str(uuid.uuid4()).encode() for _ in range(self.distinct)]
        parts = [self.pieces[0]]
        for slot, piece in zip(self.slots, self.pieces[1:], strict=True):
            parts.append(ids[slot])
            parts.append(piece)
        return b"".join(parts)


def template(name, data):
    """Template of a transaction Bundle given as bytes."""
    tree = json.loads(data)
    if tree.get("type") != "transaction":
        raise ValueError(f"{name} is not a transaction Bundle")
    number = {}
    found = [match.group() for match in UUID.finditer(data)]
    slots = tuple(number.setdefault(text, len(number)) for text in found)
    written = [e["resource"] for e in tree["entry"] if e.get("resource") and "ifNoneExist" not in e["request"]]
    codes = collections.Counter()
    for resource in written:
        if resource["resourceType"] == "Observation":
            for coding in resource["code"].get("coding", [])[:1]:
                codes[f"{coding.get('system', '')}|{coding['code']}"] += 1
    return Template(
        name=name,
        pieces=tuple(UUID.split(data)),
        slots=slots,
        distinct=len(number),
        entries=len(tree["entry"]),
        types=collections.Counter(r["resourceType"] for r in written),
        codes=codes,
    )


def read(path):
    """Bytes of a file, unpacked."""
    with OPENERS.get(path.suffix, open)(path, "rb") as file:
        return file.read()


def folder(path):
    """Templates of the transactions in a folder, the ones about patients only."""
    files = sorted(p for p in Path(path).iterdir() if p.name.endswith((".json", ".json.gz", ".json.bz2")))
    found = []
    for file in files:
        data = read(file)
        if b'"transaction"' in data and (made := template(file.name, data)).types["Patient"]:
            found.append(made)
    if not found:
        raise ValueError(f"{path} holds no transaction Bundle about a patient")
    return found


def population(count, seed=1):
    """Templates of synthetic French people."""
    from records.formats.json import dump
    from records.population import people

    return [template(f"person-{n}", dump(bundle)) for n, bundle in enumerate(people(count, seed))]


def write(count, folder, seed):
    """The population as gzip files, a transaction each, a thousand in a folder; how many entries."""
    from records.formats.json import dump
    from records.population import people

    entries = 0
    for n, bundle in enumerate(people(count, seed)):
        inside = folder / f"{n // 1000:04d}"
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{n:07d}.json.gz").write_bytes(gzip.compress(dump(bundle), 1))
        entries += len(bundle["entry"])
    return entries


def sources(text, turn=0):
    """Templates named on the command line, a folder or population:N; people of the population are new in each turn."""
    kind, _, count = text.partition(":")
    return population(int(count or 40), turn + 1) if kind == "population" else folder(text)
