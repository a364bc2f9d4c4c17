"""Resources inside others, as a search finds them. (references.html#contained, search.html#contained)

What is contained is indexed as any other resource, under a negative number made of its container's pk and of its place
there: so every index table and every criterion works for it, and nothing of it meets a join with `resource`. Only
searches that ask for it, and chains along a reference like "#m1", look into the table `contained`. Who sees it is
decided on its container.
"""

from django.db import models

from records.access import over_types
from records.database import execute
from records.definitions.structures import type_name, type_number
from records.sql import FALSE, SQL

MOST = 1 << 16  # resources inside one


class Contained(models.Model):
    """A contained resource; it has no life of its own: its rows come and go with the index rows of its container."""

    resource = models.BigIntegerField(primary_key=True)  # what its index rows refer to
    container = models.BigIntegerField()  # pk of the resource that it is in
    type = models.SmallIntegerField()
    id = models.TextField(db_collation="C")  # within the container; empty when it has none
    occurred = models.BigIntegerField()

    class Meta:
        db_table = "contained"
        indexes = [
            models.Index(fields=["container"], name="contained_container"),
            models.Index(fields=["type", "-occurred", "-resource"], name="contained_occurred"),
        ]


class ContainedKind(models.Model):
    """What has ever been contained in what, and by which parameters containers refer to it; few rows, never fewer.

    A process knows them all, so that a chain looks into contained resources only where there are any.
    """

    pk = models.CompositePrimaryKey("holder", "param", "type")
    holder = models.SmallIntegerField()  # type of the container
    param = models.BigIntegerField()  # key of a reference parameter; 0: is contained at all
    type = models.SmallIntegerField()

    class Meta:
        db_table = "contained_kind"


def pk_of(container, n):
    """The number under which the n-th resource inside a container is indexed."""
    return -(container * MOST + n + 1)


def container_of(pk):
    """The resource that is kept: itself, or the one that it is in."""
    return pk if pk > 0 else (-pk - 1) // MOST


def place_of(pk):
    return (-pk - 1) % MOST


# kinds

COUNT = "SELECT count(*) FROM contained_kind"
_kinds, _count = frozenset(), 0


def count():
    """How many kinds this process knows; it compares that with COUNT, as there are never fewer."""
    return _count


def learn():
    """Know the kinds as they are now."""
    global _kinds, _count
    found = execute("SELECT holder, param, type FROM contained_kind")
    _kinds, _count = frozenset(found), len(found)


def met(kinds):
    """The indexer of this process has just found these: its own searches need not look for them."""
    global _kinds
    if not _kinds.issuperset(kinds):
        _kinds = _kinds.union(kinds)


def holders(type):
    """Types that have ever contained one of this type."""
    number = type_number(type)
    return tuple(sorted(type_name(holder) for holder, param, inside in _kinds if inside == number and not param))


def refers(param, type):
    """Has a reference by the parameter ever led to a contained resource of the type?"""
    number = type_number(type)
    return any(key == param.key and inside == number for _, key, inside in _kinds)


# SQL


def rows(alias):
    """FROM item: contained resources as rows that look like those of `resource`, their containers beside them."""
    c, o = f"c_{alias}", f"o_{alias}"
    return (
        f"contained {c} JOIN resource {o} ON {o}.pk = {c}.container AND NOT {o}.deleted CROSS JOIN LATERAL"
        f" (SELECT {c}.resource AS pk, {c}.resource AS identity, {c}.type AS type, {c}.id AS id,"
        f" {c}.occurred AS occurred, {c}.container AS container, {o}.version AS version, {o}.updated AS updated,"
        f" {o}.body AS body, {o}.patient AS patient, {o}.shared AS shared) {alias}"
    )


def of_type(type, alias):
    return SQL(f"{alias}.type = {type_number(type)}")


def visible(type, access, alias):
    """Those of a type in containers that the actor may find."""
    seen = over_types(access, "search", holders(type), f"o_{alias}")
    return FALSE if seen == FALSE else of_type(type, alias) & seen
