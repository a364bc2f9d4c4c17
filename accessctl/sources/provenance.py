"""A Provenance is as hidden as what it names: its targets, its entities, on whose behalf somebody acted.

Of a resource that is hidden it would tell that there is one. What it names that is not there hides it as well: so
nobody learns what there is under an id by naming it, oneself or for somebody else to read. Its author is no exception.
"""

from records.resources.naming import NAMING
from records.sql import SQL

from ..groups import DIRECTORY, REST
from ..pieces import is_version
from . import denies, for_people
from .documents import ALIKE, HOLDING, OWN, among, attached, readable

# what it may name, in groups that are judged alike; another Provenance is a step too far
GROUPS = ((*ALIKE[0], "Binary"), OWN, tuple(sorted(REST)))


@denies
@for_people
def names(actor, code, type, alias, pk):
    """Of every version; a version is shown with the current row alone. What hides a Binary is asked in the same go."""
    if type not in NAMING or code == "create" or is_version(pk):
        return None
    seen = readable(actor, "nr", GROUPS, without=(attached,))
    return SQL(
        "EXISTS (SELECT FROM (SELECT (SELECT ni.pk FROM resource ni WHERE ni.identity = nm.named) AS pk"
        f" FROM naming nm WHERE nm.resource = {alias}.pk AND NOT {among('nm', sorted(DIRECTORY))}"
        " UNION ALL SELECT att.resource FROM naming nm JOIN resource nb ON nb.identity = nm.named"
        " JOIN attached att ON att.file = nm.named AND (att.patient = nb.patient OR att.author = nb.author)"
        f" WHERE nm.resource = {alias}.pk AND {among('att', HOLDING)}) must"
        f" WHERE NOT EXISTS (SELECT FROM resource nr WHERE nr.pk = must.pk AND ({seen.text})))",
        seen.params,
    ), "Something that it names is hidden."
