"""What a Provenance names, kept with its write, so that rights may follow what it is about. (provenance.html)

Its targets and entities, on whose behalf somebody acted, and any other reference but who acted. It counts for ever: an
earlier version names it still.
"""

from ..database import execute
from ..definitions.structures import type_number
from ..keys import identity
from .references import local, places

NAMING = ("Provenance",)  # types of which it is kept
ACTING = ".who"  # who acts is told to whoever may read of what was done
COLUMNS = ("resource", "named", "type", "since")
TYPES = ("int8", "int8", "int2", "timestamptz")


def named(resource, base=""):
    """(identity, number of the type) of each resource on this server that it names."""
    return {
        (identity(*found), type_number(found[0]))
        for _, key, value, path in places(resource)
        if key == "reference" and not path.endswith(ACTING) and (found := local(value, base))
    }


def keep(rows):
    """Add rows in the order of COLUMNS; what is known stays."""
    if rows:
        arrays = ", ".join(f"%s::{t}[]" for t in TYPES)
        execute(
            f"INSERT INTO naming ({', '.join(COLUMNS)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
            tuple(list(column) for column in zip(*rows, strict=True)),
        )
