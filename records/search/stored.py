"""SearchParameters that users have stored: their registry in the database, and what a process knows of it.

`registry` holds one version, moved by each change in the transaction that makes it. A process compares it with its own
whenever a request or a batch of the indexer depends on the parameters, so none works with what is over.
"""

import json

from django.db import models

from records.database import Ahead, execute
from records.definitions.structures import type_name

from . import parameters

NAME = "parameters"
BUILDING, USABLE, FAILED = 0, 1, 2


class Registry(models.Model):
    """How many times something that every process keeps in memory has changed; microseconds, so never the same."""

    name = models.TextField(primary_key=True)
    version = models.BigIntegerField()

    class Meta:
        db_table = "registry"


class StoredParameter(models.Model):
    """A SearchParameter in use on one type."""

    pk = models.CompositePrimaryKey("type", "code")
    type = models.SmallIntegerField()
    code = models.TextField()
    key = models.BigIntegerField()  # names it in the index tables
    resource = models.BigIntegerField()  # the SearchParameter
    state = models.SmallIntegerField()
    job = models.BigIntegerField()  # that makes its rows
    definition = models.TextField()  # JSON, what the search and the indexer need of it

    class Meta:
        db_table = "stored_parameter"
        indexes = [models.Index(fields=["resource"], name="stored_parameter_resource")]


VERSION = "SELECT version FROM registry WHERE name = %s", (NAME,)


def look():
    """A look at the version that travels with the next statement; see `known`."""
    return Ahead(*VERSION)


def known(look):
    """Does this process work with the version that the look saw?"""
    return _same(look.rows())


def learn():
    """Work with the stored parameters as they are now; costs one look at the version when nothing has changed."""
    if not _same(execute(*VERSION)):
        _load()


def _same(rows):
    return (rows[0][0] if rows else 0) == parameters.version()


def moved():
    """The registry has changed: every process learns it when this transaction has committed."""
    execute(
        "INSERT INTO registry (name, version) VALUES (%s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
        " ON CONFLICT (name) DO UPDATE SET version = greatest(registry.version + 1, excluded.version)",
        (NAME,),
    )


def _load():
    rows = execute(
        "SELECT r.version, p.type, p.code, p.state, p.definition FROM registry r"
        " LEFT JOIN stored_parameter p ON p.state < %s WHERE r.name = %s",
        (FAILED, NAME),
    )
    usable, building = [], []
    for _, type, code, state, definition in rows:
        if type is not None:
            given = json.loads(definition) | {"code": code, "base": [type_name(type)]}
            (usable if state == USABLE else building).append(given)
    parameters.use(usable, rows[0][0] if rows else 0, building)
