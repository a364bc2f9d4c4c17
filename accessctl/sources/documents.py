"""A Binary is as hidden as what names it: a document whose attachment it is, a report, a photo. (binary.html#security)

What counts is of the Binary's record, or of the Binary's author: so that nobody hides the Binary of another record by
naming it. Whatever the reason - a mask, a label, a deny, the matrix - the strictest of them holds, in every version.
"""

from records.definitions.structures import RESOURCE_TYPES, type_number
from records.sql import FALSE, SQL, any_of

from ..groups import PATIENTS
from ..pieces import is_version
from . import denies, for_people, formula
from .scopes import scopes

ABOUT = ("AuditEvent", "Binary", "Provenance")  # these tell of a Binary, it is no attachment of theirs
HOLDING = tuple(type for type in RESOURCE_TYPES if type in PATIENTS and type not in ABOUT)

OWN = ("Consent",)  # types of which a source says what it says of no other
ALIKE = (tuple(type for type in HOLDING if type not in OWN), *((type,) for type in OWN))


@denies
@for_people
def attached(actor, code, type, alias, pk):
    """Scopes are of the Binary alone: an application may read files and no list of them.

    What names it and cannot be read counts as hidden, also where PostgreSQL itself does not show the row.
    """
    if type != "Binary" or code == "create" or is_version(pk):
        return None
    seen = readable(actor, "doc")
    return SQL(
        f"EXISTS (SELECT FROM attached att WHERE att.file = {alias}.identity AND {among('att', HOLDING)}"
        f" AND (att.patient = {alias}.patient OR att.author = {alias}.author)"
        f" AND NOT EXISTS (SELECT FROM resource doc WHERE doc.pk = att.resource AND ({seen.text})))",
        seen.params,
    ), "What names the Binary, as its attachment, is hidden."


def readable(actor, alias, groups=ALIKE, without=()):
    """Predicate over rows of any of these types, in groups of which each is judged by one predicate."""
    spared = (scopes, *without)
    found = ((types, formula(actor, "read", types[0], alias, "pk", without=spared)) for types in groups)
    return any_of(SQL(among(alias, types)) & predicate for types, predicate in found if predicate != FALSE)


def among(alias, types):
    return f"{alias}.type = ANY('{{{','.join(str(type_number(type)) for type in types)}}}'::int2[])"
