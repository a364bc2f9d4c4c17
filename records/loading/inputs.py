"""Which files a load reads, and how each is opened."""

import bz2
import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

PACKED = {".gz": gzip.open, ".bz2": bz2.open}
LINES = (".ndjson", ".jsonl")
WHOLE = (".json", ".xml")
DAMAGED = (OSError, EOFError, zlib.error)  # what a file that cannot be read through raises


class NothingToLoad(Exception):
    """A path that does not exist, or holds nothing that can be loaded."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file to load."""

    path: Path
    kind: str  # .ndjson .jsonl .json .xml
    size: int
    modified: int

    @classmethod
    def at(cls, path):
        stat = path.stat()
        return cls(path, kind_of(path), stat.st_size, stat.st_mtime_ns)

    @property
    def is_lines(self):
        return self.kind in LINES

    def open(self):
        """The content, unpacked."""
        return PACKED.get(self.path.suffix, open)(self.path, "rb")

    def digest(self):
        """SHA-256 of the file as it lies there."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


def position(content):
    """Bytes of the file itself that were read so far, packed or not."""
    return (getattr(content, "fileobj", None) or getattr(content, "_fp", None) or content).tell()


def kind_of(path):
    """ ".ndjson" of "Observation.ndjson.gz"; "" when it is nothing that can be loaded."""
    name = path.with_suffix("") if path.suffix in PACKED else path
    return name.suffix if name.suffix in (*LINES, *WHOLE) else ""


def find(paths):
    """The Inputs of files and folders (with all below them), in the order of their names."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and kind_of(p))
            if not inside:
                raise NothingToLoad(f"{path} holds no file that ends in {endings()}.")
            found += inside
        elif not path.exists():
            raise NothingToLoad(f"{path} does not exist.")
        elif not kind_of(path):
            raise NothingToLoad(f"{path} ends in none of {endings()}.")
        else:
            found.append(path)
    return [Input.at(path) for path in dict.fromkeys(Path(os.path.abspath(p)) for p in found)]


def endings():
    return ", ".join((*LINES, *WHOLE)) + ", each also with .gz or .bz2"
