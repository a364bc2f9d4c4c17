"""An audit record as bytes, the MAC over them, and its leaf in the Merkle tree.

The bytes are MessagePack: a map from column to value in the order of `Record`, without the columns that are NULL, each
number in its shortest form. So a column added later, last and nullable, leaves the bytes of older records as they are.
"""

import hmac
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Record(msgspec.Struct, omit_defaults=True):
    """One row of `audit`; new columns go last and may be NULL."""

    seq: int
    at: int  # microseconds since 1970-01-01 UTC, by the clock of the application
    request: UUID
    client: str
    interaction: str
    entities: str
    status: int
    user: str | None = None
    purpose: str | None = None
    type: int | None = None
    patient: int | None = None
    query: str | None = None
    received: str | None = None  # the AuditEvent that somebody else sent, as JSON


COLUMNS = Record.__struct_fields__
TYPES = ("int8", "timestamptz", "uuid", "varchar", "varchar", "text", "int2", "varchar", "varchar", "int2", "int8",
         "text", "text")  # fmt: skip
# What reads a row back as the arguments of Record.
SELECTED = ", ".join("(extract(epoch FROM a.at) * 1000000)::int8" if c == "at" else f'a."{c}"' for c in COLUMNS)

canonical = msgspec.msgpack.Encoder(uuid_format="bytes").encode


def stored(record):
    """The values of the columns."""
    values = [getattr(record, column) for column in COLUMNS]
    values[1] = EPOCH + timedelta(microseconds=record.at)
    return values


def microseconds(moment):
    """A time as records have it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def keys():
    """The MAC keys: the first is used, the others are still known."""
    return _prepared(settings.FHIRSERVER_AUDIT_KEY)


@lru_cache(maxsize=8)
def _prepared(text):
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise ImproperlyConfigured("FHIRSERVER_AUDIT_KEY is not set: without it no access can be recorded.")
    return tuple(hmac.new(key.encode(), digestmod="sha256") for key in found)


def mac(record, key=None):
    """HMAC-SHA256 over the record under the first key."""
    found = (key or keys()[0]).copy()
    found.update(canonical(record))
    return found.digest()


def is_ours(record, given, among):
    """Was this MAC made under one of the keys?"""
    return any(hmac.compare_digest(mac(record, key), given) for key in among)


def leaf(record, given):
    """The hash of the record's leaf (RFC 6962 2.1).

    The MAC is part of it: who is shown a neighbour's hash cannot try out what the neighbour may be.
    """
    return sha256(b"\0" + canonical(record) + given).digest()
