"""History of an instance, a type or the whole system, newest first. (http.html#history)"""

from datetime import UTC, datetime, timedelta

from msgspec import Raw

from .. import errors
from ..access import over_types
from ..database import execute
from ..definitions.structures import type_name, type_number
from ..fhirpath.times import interval
from ..formats.json import dump, parse
from ..keys import identity
from ..resources.compartments import ALONE_THEN
from ..resources.store import METHOD_NAMES, instant
from ..resources.subset import subset
from ..sql import SQL, all_of
from . import paging
from .conditions import etag
from .interaction import Outcome, Touched, interaction
from .parse import SERVED
from .read import part
from .search import FEW

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS = {"POST": "201 Created", "PUT": "200 OK", "PATCH": "200 OK", "DELETE": "204 No Content"}


@interaction("history-instance", "GET", "{type}/{id}/_history", snapshot=True)
def of_instance(interaction, access):
    """Every version of one resource that the caller may see; of a hidden or unknown one, not-found."""
    type, id = interaction.type, interaction.id
    here = SQL("r.identity = %s AND r.type = %s AND r.id = %s", (identity(type, id), type_number(type), id))
    code = "history-instance"
    seen = [here, access.resources(code, type), access.resources(code, type, "v", "resource")]
    whole = all_of(seen)
    total = execute(
        f"SELECT count(*) FROM version v JOIN resource r ON r.pk = v.resource WHERE {whole.text}", whole.params
    )[0][0]
    if not total:
        raise errors.NotFound(f"{type}/{id}")
    outcome = page(interaction, access, seen, total if not narrowed(interaction) else None)
    if not outcome.touched:  # that it is there tells of it too
        outcome.touched = told(whole)
    return outcome


@interaction("history-type", "GET", "{type}/_history", snapshot=True)
def of_type(interaction, access):
    """Every version of every resource of a type that the caller may see."""
    type, code = interaction.type, "history-type"
    here = SQL("v.type = %s", (type_number(type),))
    return page(
        interaction, access, [here, access.resources(code, type), access.resources(code, type, "v", "resource")]
    )


@interaction("history-system", "GET", "_history", snapshot=True)
def of_system(interaction, access):
    """Every version of everything that the caller may see."""
    types = sorted(SERVED)
    code = "history-system"
    return page(
        interaction, access, [over_types(access, code, types), over_types(access, code, types, "v", "resource")]
    )


def narrowed(interaction):
    return any(n in ("_since", "_at") for n, _ in interaction.parameters)


def page(interaction, access, criteria, total=None):
    """One page: versions in (updated, resource, version) order, newest first, by keyset."""
    summary, elements = part(interaction)
    size = paging.count(interaction)
    after = paging.position(interaction, access)
    criteria = [*criteria, *when(interaction)]
    if after:
        moment, resource, version = after
        criteria.append(
            SQL("(v.updated, v.resource, v.version) < (%s::timestamptz, %s, %s)", (moment, resource, version))
        )
    where = all_of(criteria)
    if summary == "count":
        return counted(interaction, where)
    rows = execute(
        f"SELECT v.type, r.id, v.version, v.method, v.updated, v.body, {ALONE_THEN}, v.resource"
        f" FROM version v JOIN resource r ON r.pk = v.resource WHERE {where.text}"
        " ORDER BY v.updated DESC, v.resource DESC, v.version DESC LIMIT %s",
        (*where.params, size + 1),
        prepare=False,
    )
    shown = rows[:size]
    links = [{"relation": "self", "url": paging.url(interaction, paging.asked(interaction))}]
    if len(rows) > size and shown:
        last = shown[-1]
        links.append(
            {"relation": "next", "url": paging.link(interaction, access, [last[4].isoformat(), last[7], last[2]])}
        )
    bundle = {"resourceType": "Bundle", "type": "history"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    if shown:
        bundle["entry"] = [entry(interaction.base, *row[:6], summary, elements) for row in shown]
    touched = [Touched(type_name(type), id, version, patient) for type, id, version, _, _, _, patient, _ in shown]
    return Outcome(200, dump(bundle), "Bundle", touched=touched)


def counted(interaction, where):
    """How many versions there are, and none of them. (search.html#summary)"""
    source = f"FROM version v JOIN resource r ON r.pk = v.resource WHERE {where.text}"
    links = [{"relation": "self", "url": paging.url(interaction, paging.asked(interaction))}]
    total = execute(f"SELECT count(*) {source}", where.params, prepare=False)[0][0]
    bundle = {"resourceType": "Bundle", "type": "history", "total": total, "link": links}
    return Outcome(200, dump(bundle), "Bundle", touched=told(where) if interaction.id or total <= FEW else [])


def told(where):
    """Of what, and of whom, these versions tell when none of them is shown."""
    rows = execute(
        f"SELECT DISTINCT v.type, r.id, {ALONE_THEN} FROM version v JOIN resource r ON r.pk = v.resource"
        f" WHERE {where.text}",
        where.params,
        prepare=False,
    )
    return [Touched(type_name(type), id, None, patient) for type, id, patient in rows]


def entry(base, type, id, version, method, updated, body, summary=None, elements=()):
    """One version, or the part of it that is asked for, and the request that made it."""
    type, method = type_name(type), METHOD_NAMES[method]
    url = type if method == "POST" else f"{type}/{id}"
    found = {"fullUrl": f"{base}/{type}/{id}"}
    if body is not None:
        found["resource"] = subset(parse(bytes(body)), summary, elements) if summary or elements else Raw(body)
    status = "201 Created" if version == 1 and method == "PUT" else STATUS[method]
    return found | {
        "request": {"method": method, "url": url},
        "response": {"status": status, "etag": etag(version), "lastModified": instant(updated)},
    }


def when(interaction):
    """_since: written at or after; _at: current at some point of that time. Anything else is refused by name."""
    for name, value in interaction.parameters:
        if name in ("_count", paging.PAGE, "_summary", "_elements"):
            continue
        if name not in ("_since", "_at"):
            raise errors.UnknownParameter("The history", name, "it knows _since, _at, _count, _summary and _elements")
        low, high = bounds(name, value)
        if name == "_since":
            yield SQL("v.updated >= %s", (stamp(low),))
        else:
            yield SQL("v.updated <= %s", (stamp(high),))
            yield SQL(
                "coalesce(superseded(v.resource, v.version) > %s, TRUE)",  # also by one that is hidden
                (stamp(low),),
            )


def bounds(name, value):
    """[low, high] of a date or instant given as a parameter; a `+` of the zone may have become a space."""
    try:
        return interval(value.replace(" ", "+"))
    except ValueError as error:
        raise errors.InvalidValue(name, value, str(error)) from error


def stamp(microseconds):
    return EPOCH + timedelta(microseconds=microseconds)
