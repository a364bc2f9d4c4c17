"""Update, update as create, and conditional update. (http.html#update, http.html#upsert, http.html#cond-update)"""

from .. import errors
from ..resources.store import Write
from .conditions import require_match
from .create import require_type
from .interaction import interaction
from .writing import carry_out, plans


@interaction("update", "PUT", "{type}/{id}")
@interaction("update", "PUT", "{type}")
def update(interaction, access):
    """A new version; nothing new makes no version, an unknown id makes a resource where the client may name ids."""
    return carry_out([interaction], access)[0]


@plans("update")
def plan(target, access):
    """The next version of the row, or version 1 under the id that the client gave."""
    interaction = target.interaction
    require_type(target)
    if interaction.id is not None:
        require_same_id(target)
    elif target.id is not None and target.resource.get("id", target.id) != target.id:
        raise errors.InvalidStructure(
            f"The criteria select {interaction.type}/{target.id}; the body says id {target.resource['id']!r}.",
            expression=f"{interaction.type}.id",
        )
    if interaction.id is None and target.current is not None and not target.found:
        raise errors.Conflict(
            f"The criteria select nothing; {interaction.type}/{target.id}, the id in the body, is there already.",
            expression=f"{interaction.type}.id",
        )
    require_match(interaction.conditions.if_match, target.current)
    if target.current is not None and interaction.conditions.if_none_match is not None:
        raise errors.PreconditionFailed(f"{interaction.type}/{target.id} exists, and If-None-Match was given.")
    if target.row is None and not target.assigned and (target.hidden or not access.may_name_ids(interaction.type)):
        raise errors.NotFound(f"{interaction.type}/{target.id}")
    return Write("PUT", interaction.type, target.id, target.resource, target.row, interaction.base)


def require_same_id(target):
    """The body's id is there and is the id of the URL."""
    given = target.resource.get("id")
    if given is None:
        raise errors.InvalidStructure(
            f"The body has no id; expected {target.id!r} as in the URL.", expression=f"{target.interaction.type}.id"
        )
    if given != target.id:
        raise errors.InvalidStructure(
            f"The body's id is {given!r}; expected {target.id!r} as in the URL.",
            expression=f"{target.interaction.type}.id",
        )
