"""Patch: JSON Patch or FHIRPath Patch, by id or by criteria. (http.html#patch, fhirpatch.html)"""

from .. import errors
from ..formats import fhirpathpatch, jsonpatch
from ..formats.json import parse
from ..resources.store import Write
from .conditions import require_match
from .interaction import interaction
from .writing import carry_out, plans

APPLY = {"json": jsonpatch.apply, "fhirpath": fhirpathpatch.apply}


@interaction("patch", "PATCH", "{type}/{id}")
@interaction("patch", "PATCH", "{type}")
def patch(interaction, access):
    """Change some elements of the current version."""
    return carry_out([interaction], access)[0]


@plans("patch")
def plan(target, access):
    """The current version with the patch applied; what the patch may not change is refused by name."""
    interaction = target.interaction
    if target.row is None:
        raise errors.NotFound(f"{interaction.type}/{target.id}" if target.id else f"{interaction.type} to patch")
    if target.row.deleted:
        raise errors.Gone(f"{interaction.type}/{target.id}")
    require_match(interaction.conditions.if_match, target.current)
    before = parse(bytes(target.row.body))
    after = APPLY[interaction.patch_format](before, interaction.body)
    for key, was in (("resourceType", interaction.type), ("id", target.id)):
        if not isinstance(after, dict) or after.get(key) != was:
            raise errors.Invalid(f"A patch may not change {key}.", expression=f"{interaction.type}.{key}")
    target.resource = after
    return Write("PATCH", interaction.type, target.id, after, target.row, interaction.base)
