"""Patient/[id]/$newest: what a record holds of some types, newest first: what a summary or a timeline shows.

One statement walks the index of the record, type by type, and judges what it meets: nothing is looked up that is not
shown. `max` bounds each type, by itself or all of them; without it the answer comes in pages, like a search.
"""

from msgspec import Raw

from .. import errors
from ..access import over_types
from ..database import FIXED, execute
from ..definitions.structures import type_name, type_number
from ..formats.json import dump
from ..interactions import paging
from ..interactions.interaction import Outcome, Touched
from ..keys import identity
from ..resources.compartments import ALONE
from ..sql import SQL, all_of
from . import inputs, operation
from .everything import types_of

KNOWN = ("_type", "max", "_count", paging.PAGE)
LARGEST = 200  # of max: of one type
FURTHEST = (2**63 - 1, 2**63 - 1)  # behind it is everything
COLUMNS = f"r.pk, r.occurred, r.type, r.id, r.version, r.body, {ALONE}"


@operation("newest", "instance", on="Patient", needs="search-type", snapshot=True)
def newest(interaction, access):
    """The newest resources of some types in the record of one patient, newest first."""
    issues = inputs.unknown(interaction, KNOWN)
    if not any(name == "_type" for name, _ in interaction.parameters):
        raise errors.BadRequest("$newest needs _type: the types between commas.", expression="_type")
    types = types_of(interaction)
    most = most_of(interaction, types)
    size = None if most else max(paging.count(interaction), 1)
    limits = most or dict.fromkeys(types, size + 1)
    after = paging.position(interaction, access) if size else None
    found = rows(access, identity("Patient", interaction.id), limits, after or FURTHEST, size and size + 1)
    following = None
    if size and len(found) > size:
        found = found[:size]
        following = [found[-1][1], found[-1][0]]
    return answer(interaction, access, found, following, issues)


def most_of(interaction, types):
    """{type: how many}, from `max=50` for all and `max=Encounter|5` for one; None without."""
    given = [v for n, v in interaction.parameters if n == "max"]
    found = {}
    for value in sorted(given, key=lambda v: "|" in v):  # what is said of one counts more
        type, bar, number = value.rpartition("|")
        if bar and type not in types:
            raise errors.InvalidValue("max", value, "expected one of the types of _type before the bar")
        if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) <= LARGEST):
            raise errors.InvalidValue("max", value, f"expected a whole number from 1 to {LARGEST}")
        found |= {type: int(number)} if bar else dict.fromkeys(types, int(number))
    return {type: found.get(type, LARGEST) for type in types} if given else None


def rows(access, patient, limits, after, most):
    """At most so many of each type behind (occurred, pk), the bodies read of those alone that are answered."""
    live = SQL("NOT r.deleted AND r.type = t.type AND (r.occurred, r.pk) < (%s::bigint, %s::bigint)", tuple(after))
    visible = over_types(access, "search", sorted(limits))
    own = all_of([SQL("r.patient = %s", (patient,)), live, visible])
    shared = all_of([SQL("c.patient = %s AND r.shared AND r.patient IS DISTINCT FROM %s", (patient, patient)), live,
                     visible])  # fmt: skip
    newest = "ORDER BY r.occurred DESC, r.pk DESC LIMIT t.most"
    arms = f"(SELECT r.pk, r.occurred FROM resource r WHERE {own.text} {newest})"
    arms += (
        " UNION ALL (SELECT r.pk, r.occurred FROM compartment c"
        " CROSS JOIN LATERAL (SELECT * FROM resource s WHERE s.pk = c.resource OFFSET 0) r"
        f" WHERE {shared.text} {newest})"
    )
    return execute(
        f"SELECT {COLUMNS} FROM (SELECT f.pk FROM unnest(%s::int2[], %s::int8[]) t(type, most) CROSS JOIN LATERAL"
        f" (SELECT u.pk, u.occurred FROM ({arms}) u ORDER BY u.occurred DESC, u.pk DESC LIMIT t.most) f"
        " ORDER BY f.occurred DESC, f.pk DESC LIMIT %s) f"
        " CROSS JOIN LATERAL (SELECT * FROM resource s WHERE s.pk = f.pk OFFSET 0) r"
        " ORDER BY r.occurred DESC, r.pk DESC",
        ([type_number(type) for type in limits], list(limits.values()), *own.params, *shared.params, most),
        FIXED,
    )


def answer(interaction, access, found, following, issues):
    bundle = {"resourceType": "Bundle", "type": "searchset"}
    bundle["link"] = [{"relation": "self", "url": paging.url(interaction, paging.asked(interaction))}]
    if following is not None:
        bundle["link"].append({"relation": "next", "url": paging.link(interaction, access, following)})
    entries = [
        {"fullUrl": f"{interaction.base}/{type_name(type)}/{id}", "resource": Raw(body), "search": {"mode": "match"}}
        for _pk, _occurred, type, id, _version, body, _patient in found
    ]
    if issues:
        entries.append({"resource": errors.operation_outcome(issues), "search": {"mode": "outcome"}})
    if entries:
        bundle["entry"] = entries
    touched = [Touched(type_name(type), id, version, patient) for _, _, type, id, version, _, patient in found]
    return Outcome(200, dump(bundle), "Bundle", issues=tuple(issues), touched=touched)
