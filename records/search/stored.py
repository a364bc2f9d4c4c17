"""SearchParameters that users have stored: their registry in the database, and what a process knows of it.

`registry` holds one version, moved by each change in the transaction that makes it. A process compares it with its own
whenever a request or a batch of the indexer depends on the parameters, so none works with what is over.
"""

import json
from typing import NamedTuple

from django.db import models

from records.database import ANYBODY, Ahead, asked_by, execute
from records.definitions.structures import type_name

from . import contained, parameters

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


VERSION = f"SELECT (SELECT version FROM registry WHERE name = %s), ({contained.COUNT})", (NAME,)


class Look(NamedTuple):
    """What this process worked with when it looked, and the question, which travels with the next statement."""

    version: int
    kinds: int
    ahead: Ahead


def look():
    """A look at the version, and at the kinds of contained resources; what is parsed after it is parsed by these."""
    with asked_by(ANYBODY):
        return Look(parameters.version(), contained.count(), Ahead(*VERSION))


def known(look):
    """Did this process work with what there was, and has it learnt of nothing since, as another thread may have?"""
    [(version, kinds)] = look.ahead.rows()
    then = look.version, look.kinds
    return (version or 0, kinds) == then == (parameters.version(), contained.count())


def learn():
    """Work with the stored parameters, and the kinds of contained resources, as they are now.

    It costs one look when nothing has changed.
    """
    same_parameters, same_kinds = _same(*execute(*VERSION)[0])
    if not same_parameters:
        _load()
    if not same_kinds:
        contained.learn()


def _same(version, kinds):
    return (version or 0) == parameters.version(), kinds == contained.count()


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
