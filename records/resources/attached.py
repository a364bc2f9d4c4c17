"""Which Binaries a resource of a record names: kept with its write, so that rights may follow. (binary.html)

Any mention counts - an attachment's url, a Reference, an extension, an image of the narrative, with or without an
address before it, of a version or not. It counts for ever: an earlier version names it still, and what is deleted did.
"""

import re

from ..database import execute
from ..keys import identity

MENTION = re.compile(rb"\bBinary/([A-Za-z0-9\-.]{1,64})")
COLUMNS = ("file", "patient", "resource", "type", "author", "since")
TYPES = ("int8", "int8", "int8", "int2", "int8", "timestamptz")


def named(body):
    """Identities of the Binaries that the bytes of a resource name."""
    if b"Binary/" not in body:
        return set()
    return {identity("Binary", id.decode()) for id in MENTION.findall(body)}


def keep(rows):
    """Add rows in the order of COLUMNS; what is known stays, and all come in one order for everybody."""
    if rows:
        arrays = ", ".join(f"%s::{t}[]" for t in TYPES)
        execute(
            f"INSERT INTO attached ({', '.join(COLUMNS)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
            tuple(list(column) for column in zip(*sorted(rows, key=lambda row: row[:3]), strict=True)),
        )
