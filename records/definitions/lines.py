"""A data file of definitions: gzip'ed lines `name TAB json`, kept as bytes and parsed when asked for."""

import gzip
from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).with_name("r4")


@cache
def lines(file: str) -> dict[str, bytes]:
    """Name of each definition -> its JSON text, in the order of the file."""
    text = gzip.decompress((FOLDER / f"{file}.json.gz").read_bytes())
    return {name.decode(): body for name, _, body in (line.partition(b"\t") for line in text.splitlines())}


def definition(file: str, name: str):
    """One definition parsed, or None."""
    line = lines(file).get(name)
    return None if line is None else msgspec.json.decode(line)
