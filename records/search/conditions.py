"""Criteria as conditions over a row of resource. (search.html#combining, #chaining, #has)

A criterion is an EXISTS probe of its index table by (resource, parameter); a chain or _has a probe of the references
and of the resources at their other end, each within the access.
"""

from dataclasses import dataclass, replace

from records import keys
from records.definitions.structures import type_number
from records.errors import InvalidValue, UnsupportedModifier
from records.sql import FALSE, SQL, all_of, any_of

from . import contained
from .query import All, Chain, Criterion, Either, Has, Ids, Matched, Negated, Updated, Within
from .ranges import condition as in_range
from .types import TYPES, Any, Match, Not


@dataclass(frozen=True)
class Place:
    """Where the row that is judged stands in the statement.

    `fenced`: OFFSET 0 keeps each probe a probe; else the planner may turn it into a join that starts from its rows.
    """

    alias: str = "r"
    pk: str = "r.pk"
    occurred: str = "r.occurred"
    fenced: bool = True
    inside: bool = False  # the row is of a contained resource: see contained.rows

    def beyond(self, inside=False):
        """The place of a row that this one refers to, or that refers to it."""
        alias = self.alias + "_"
        return Place(alias, f"{alias}.pk", f"{alias}.occurred", self.fenced, inside)


WALKED = Place("r", "d.resource", "d.occurred")  # r is joined to an index walk d, whose columns come cheaper


def live(type, access, alias="r"):
    """Current rows of a type that the actor may find."""
    return SQL(f"{alias}.type = {type_number(type)} AND NOT {alias}.deleted") & access.resources("search", type, alias)


def matched(node, access=None):
    """What index rows satisfy a criterion; raises InvalidValue or UnsupportedModifier.

    Without an access it says what there is, for planning; what is then found must be checked within one.
    """
    found = _matched(node)
    return found if access is None else bounded(found, access)


def bounded(match, access):
    """The match, over no resource that the actor may not see."""
    match match:
        case Not(inner):
            return Not(bounded(inner, access))
        case Any(matches):
            return Any(tuple(bounded(each, access) for each in matches))
    return match if match.through is None else replace(match, where=match.through(access))


def _matched(node):
    kind = TYPES[node.param.family]
    if node.modifier is None:
        return kind.match(node.param, node.texts)
    if node.modifier == "missing":
        if node.texts not in (("true",), ("false",)):
            raise InvalidValue(f"{node.param.code}:missing", ",".join(node.texts), "expected true or false")
        present = kind.present(node.param)
        return Not(present) if node.texts == ("true",) else present
    if node.modifier[:1].isupper() and hasattr(kind, "typed"):
        if node.param.named and node.modifier not in node.param.named:
            known = ", ".join(node.param.named)
            raise UnsupportedModifier(node.param.code, node.modifier, f"it refers to {known}")
        return kind.typed(node.param, node.modifier, node.texts)
    return kind.modified(node.modifier, node.param, node.texts)


def condition(node, type, access, place):
    """A criterion as a condition over the row of that type at a place."""
    match node:
        case Criterion():
            return probe(matched(node, access), place)
        case Matched(match):
            return probe(bounded(match, access), place)
        case All(nodes):
            return all_of(condition(each, type, access, place) for each in nodes)
        case Either(nodes):
            return any_of(condition(each, type, access, place) for each in nodes)
        case Negated(inner):
            return ~condition(inner, type, access, place)
        case Ids(ids) if place.inside:
            return SQL(f"{place.alias}.id = ANY(%s)", (list(ids),))
        case Ids(ids):
            return SQL(f"{place.alias}.identity = ANY(%s)", ([keys.identity(type, id) for id in ids],))
        case Updated(limits):
            return any_of(_updated(place.alias, *part) for part in limits)
        case Within("Patient", patient):
            return of_patient(patient, f"o_{place.alias}" if place.inside else place.alias)
        case Within():
            return probe(member(node), place)
        case Chain(param, arms):
            there = place.beyond()
            wanted = any_of(_reached(arm, inner, access, there) for arm, inner in arms)
            source = f"reference i JOIN resource {there.alias} ON {there.alias}.identity = i.target"
            where = SQL("i.param = %s", (param.key,)) & wanted
            inside = tuple((arm, inner) for arm, inner in arms if contained.refers(param, arm))
            return _referring(((source, where), *_within(param, inside, access, place)), place)
        case Has(source, param, inner):
            there = place.beyond()
            by = f"i{there.alias}"  # says its pk and date too: what does not match is not looked up to be judged
            there = replace(there, pk=f"{by}.resource", occurred=f"{by}.occurred")
            return _exists(
                f"reference {by} JOIN resource {there.alias} ON {there.alias}.pk = {there.pk}",
                SQL(f"{by}.param = %s AND {by}.target = {place.alias}.identity", (param.key,))
                & _reached(source, inner, access, there),
                place,
            )
    raise TypeError(node)


def of_patient(patient, alias):
    """Is the row in the record of a patient?"""
    return SQL(
        f"{alias}.patient = %s OR ({alias}.shared AND EXISTS"
        f" (SELECT 1 FROM compartment c WHERE c.patient = %s AND c.resource = {alias}.pk))",
        (patient, patient),
    )


def member(within):
    """The references by which a resource is in a compartment."""
    where = SQL("i.param = ANY(%s) AND i.target = %s", (list(within.params), within.identity))
    found = tuple((param, within.identity) for param in within.params)
    return Match("reference", where if found else FALSE, ("param", "target"), found)


def _within(param, arms, access, place):
    """(FROM, WHERE) of contained resources that satisfy a criterion and that rows refer to; none without arms.

    They are seen where their container is: where the row itself is.
    """
    if arms:
        there = place.beyond(inside=True)
        wanted = any_of(
            contained.of_type(arm, there.alias) & condition(inner, arm, access, there) for arm, inner in arms
        )
        source = f"reference i JOIN ({contained.rows(there.alias)}) ON {there.pk} = i.target"
        yield source, SQL("i.param = %s", (param.key,)) & wanted


def _referring(ways, place):
    """Does the row at a place refer, in one of these ways, to what is looked for?

    Where the planner is free it must be one subquery: from an OR of two it could not begin.
    """
    if len(ways) == 1 or place.fenced:
        here = SQL(f"i.resource = {place.pk}")
        return any_of(_exists(source, here & where, place) for source, where in ways)
    parts = " UNION ALL ".join(f"SELECT i.resource FROM {source} WHERE {where.text}" for source, where in ways)
    return SQL(f"{place.pk} IN ({parts})", sum((where.params for _, where in ways), ()))


def _reached(type, inner, access, there):
    """A row at the other end of a reference: the actor may see it, and it satisfies the criterion."""
    return live(type, access, there.alias) & condition(inner, type, access, there)


def probe(match, place):
    """Do index rows of the row at a place satisfy a match?"""
    match match:
        case Not(inner):
            return ~probe(inner, place)
        case Any(matches):
            return any_of(probe(m, place) for m in matches)
    if match.where == FALSE:
        return FALSE
    dated = f" AND i.occurred = {place.occurred}" if match.columns else ""
    return _exists(f"{match.table} i", SQL(f"i.resource = {place.pk}{dated}") & match.where, place)


def _exists(source, where, place):
    fence = " OFFSET 0" if place.fenced else ""
    return SQL(f"EXISTS (SELECT 1 FROM {source} WHERE {where.text}{fence})", where.params)


def _updated(alias, prefix, a, b):
    """_lastUpdated is an instant: both ends of the row are the column."""
    column = f"{alias}.updated"
    found = in_range(prefix, a, b, column, column)
    places = found.text.replace("%s", "to_timestamp(%s::bigint / 1000000.0)")
    return SQL(places, found.params)
