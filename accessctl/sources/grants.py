"""Grants on one record or one resource, as django-guardian keeps them: by foreign key, none for the common case."""

from records.sql import SQL

from ..groups import READS
from ..labels import CLOSED
from ..pieces import every, lacks, some
from ..standing import NOT_NOW
from . import denies, for_people, permits, within

OF_USER = (
    "EXISTS (SELECT FROM {table}_user_permission gu JOIN auth_permission gp ON gp.id = gu.permission_id"
    " WHERE gu.content_object_id = {object} AND gu.user_id = %s AND gp.codename = %s)"
)
OF_GROUP = (
    "EXISTS (SELECT FROM {table}_group_permission gg JOIN auth_permission gp ON gp.id = gg.permission_id"
    " JOIN auth_user_groups ag ON ag.group_id = gg.group_id"
    " WHERE gg.content_object_id = {object} AND ag.user_id = %s AND gp.codename = %s)"
)


@permits
@for_people
def granted(actor, code, type, alias, pk):
    """view_dossier on each patient's record, or view_resource on the resource."""
    if code not in READS:
        return None
    if lacks(actor.person, "granted"):
        return NOT_NOW, "A grant opens it."
    records = every(lambda p: given(actor, "dossier", p, "view_dossier"), alias, pk)
    plain = SQL(f"{alias}.labels & {CLOSED} = 0")
    return records & plain | given(actor, "resource", f"{alias}.{pk}", "view_resource"), "A grant opens it."


@within(granted)
def granting(actor, code, type):
    """Records granted, and those of the resources granted."""
    asked, found = actor.person.user, []
    for table, object in (("dossier", "g.content_object_id"), ("resource", "gr.patient")):
        beside = "" if table == "dossier" else " JOIN resource gr ON gr.pk = g.content_object_id"
        found += [
            f"SELECT {object} AS patient FROM {table}_user_permission g{beside} WHERE g.user_id = %s",
            f"SELECT {object} FROM auth_user_groups ag JOIN {table}_group_permission g ON g.group_id = ag.group_id"
            f"{beside} WHERE ag.user_id = %s",
        ]
    return SQL(" UNION ALL ".join(found), (asked,) * len(found))


@denies
@for_people
def withheld(actor, code, type, alias, pk):
    """hide_dossier on a patient's record, or hide_resource on the resource."""
    if code == "create":
        return None
    if lacks(actor.person, "granted"):
        return NOT_NOW, "A grant withholds it."
    records = some(lambda p: given(actor, "dossier", p, "hide_dossier"), alias, pk)
    return records | given(actor, "resource", f"{alias}.{pk}", "hide_resource"), "A grant withholds it."


def given(actor, table, object, codename):
    asked = (actor.person.user, codename)
    return SQL(OF_USER.format(table=table, object=object), asked) | SQL(
        OF_GROUP.format(table=table, object=object), asked
    )
