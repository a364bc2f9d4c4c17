"""Create, plain and conditional. (http.html#create, http.html#ccreate)"""

from .. import errors
from ..keys import identity
from ..resources.store import Write
from .interaction import Outcome, Touched, interaction
from .writing import carry_out, plans


@interaction("create", "POST", "{type}")
def create(interaction, access):
    """A new resource with an id of the server's; with If-None-Exist the one that exists already."""
    return carry_out([interaction], access)[0]


@plans("create")
def plan(target, access):
    """A Write of version 1, or the outcome of a condition that matched."""
    interaction = target.interaction
    if target.recognised:
        place = f"{interaction.type}/{target.id}"
        touched = [Touched(interaction.type, target.id, None, patient_of(interaction.type, target.id))]
        return Outcome(200, None, interaction.type, target.id, touched=touched,
                       headers={"Location": f"{interaction.base}/{place}"})  # fmt: skip
    if target.found:
        row = target.row
        touched = [Touched(interaction.type, row.id, row.version, None if row.shared else row.patient)]
        body = row.body if row.visible else None
        return Outcome(200, body, interaction.type, row.id, row.version, row.updated, location=True, touched=touched)
    require_type(target)
    return Write("POST", interaction.type, target.id, target.resource, base=interaction.base)


def patient_of(type, id):
    """The patient of what is known by its id alone: a Patient is its own."""
    return identity(type, id) if type == "Patient" else None


def require_type(target):
    """The body is a resource of the type that the URL names."""
    if target.resource is None:
        raise errors.InvalidStructure(f"The body is empty or no resource; expected a {target.interaction.type}.")
    given = target.resource.get("resourceType")
    if given != target.interaction.type:
        raise errors.InvalidStructure(
            f"resourceType is {given!r}; expected {target.interaction.type!r} as in the URL."
            if given
            else f"The body has no resourceType; expected {target.interaction.type!r} as in the URL.",
            expression=f"{target.interaction.type}.resourceType",
        )
