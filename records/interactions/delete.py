"""Delete by id or by criteria; deleting what is already deleted succeeds. (http.html#delete, http.html#3.1.0.7.1)"""

from dataclasses import replace

from .. import errors
from ..resources.store import Write
from .conditions import require_match
from .interaction import Outcome, interaction
from .selection import selected
from .writing import carry_out, plans

MOST = 1000  # resources that one delete by criteria may select


@interaction("delete", "DELETE", "{type}/{id}")
@interaction("delete", "DELETE", "{type}")
def delete(interaction, access):
    """The resource is gone from every search and read; its history stays."""
    if interaction.id is None:
        return delete_all(interaction, access)
    return carry_out([interaction], access)[0]


def delete_all(interaction, access):
    """Delete everything that the criteria select, up to a number that a person can still check."""
    each = [single(interaction, row) for row in to_delete(interaction, access)]
    outcomes = carry_out(each, access) if each else []
    return Outcome(204, headers={"X-Deleted": str(len(each))}, touched=[t for o in outcomes for t in o.touched])


def to_delete(interaction, access):
    """What the criteria select."""
    rows = selected(interaction, access, limit=MOST + 1)
    if len(rows) > MOST:
        raise errors.PreconditionFailed(f"The criteria select more than {MOST} resources; delete fewer at once.")
    return rows


def single(interaction, row):
    """The delete of one that the criteria selected, in that version."""
    return replace(interaction, id=row.id, version=row.version, parameters=(), level="instance")


@plans("delete")
def plan(target, access):
    """A version without a body; nothing to do for what is absent or already deleted."""
    interaction = target.interaction
    if target.current is None:
        require_match(interaction.conditions.if_match, None)
        return Outcome(204)
    require_match(interaction.conditions.if_match, target.current)
    return Write("DELETE", interaction.type, target.id, None, target.row, interaction.base)
