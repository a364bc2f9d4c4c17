"""Index rows of contained resources: made and gone with those of their container. (references.html#contained)"""

from records import keys
from records.database import execute
from records.definitions.structures import type_number
from records.fhirpath.references import Local
from records.formats.json import clone
from records.resources.occurred import occurred
from records.resources.references import places
from records.search import contained
from records.search.contained import MOST, pk_of
from records.search.types import Rows

from .extract import CannotIndex, extract, partial


def extracted(item, resource, codes=None):
    """The rows of a resource that contains others (or of some parameters, by their keys), with theirs in `parts`."""
    try:
        return _extracted(item, clone(resource), codes)
    except CannotIndex:
        raise
    except Exception as fault:
        raise CannotIndex(f"{item.type}/{resource.get('id')}: contained: {fault!r}") from fault


def _extracted(item, resource, codes):
    inside = resource["contained"]
    if len(inside) > MOST:
        raise CannotIndex(f"{item.type}/{resource.get('id')}: contained: {len(inside)} resources; at most {MOST}")
    numbers = {f"#{each['id']}": pk_of(item.pk, n) for n, each in enumerate(inside) if "id" in each}
    _typed(resource, {f"#{each['id']}": each["resourceType"] for each in inside if "id" in each} | {"#": item.type})
    rows = _made(resource, item.type, Rows(resource, numbers), codes)
    types = {pk_of(item.pk, n): type_number(each["resourceType"]) for n, each in enumerate(inside)}
    number = type_number(item.type)
    rows.kinds = {(number, 0, type) for type in types.values()} | _referred(number, rows, types)
    numbers = numbers | {"#": keys.identity(item.type, resource["id"])}
    for n, each in enumerate(inside):
        type, pk = each["resourceType"], pk_of(item.pk, n)
        part = item._replace(pk=pk, type=type, occurred=occurred(each, type), resource=each)
        own = _made(each, type, Rows(each, numbers), codes)
        rows.kinds |= _referred(types[pk], own, types)
        rows.parts.append((part, own))
    return rows


def _typed(resource, types):
    """Let local references say what they point at: an expression asks whether that is a Patient."""
    for node, key, value, _ in places(resource):
        if key == "reference" and value in types:
            node[key] = Local(value, types[value])


def _made(resource, type, rows, codes):
    return extract(resource, type, rows) if codes is None else partial(resource, type, codes, rows)


def _referred(number, rows, types):
    """Which parameters lead to which types of contained resources."""
    return {(number, param, types[target]) for param, target in rows.reference if target in types}


def within(pks, made):
    """What these resources contained, and contain as they are made now, by the numbers that index rows refer to."""
    known = execute("SELECT resource FROM contained WHERE container = ANY(%s)", (pks,))
    return sorted({pk for (pk,) in known} | {part.pk for _, rows in made if rows is not None for part, _ in rows.parts})


def keep(made):
    """Rows of `contained` for what (item, rows) contain, and what kinds there are."""
    parts = [part for _, rows in made for part, _ in rows.parts]
    if not parts:
        return
    execute(
        "INSERT INTO contained (resource, container, type, id, occurred)"
        " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::text[], %s::bigint[])"
        " ON CONFLICT DO NOTHING",
        (
            [part.pk for part in parts],
            [contained.container_of(part.pk) for part in parts],
            [type_number(part.type) for part in parts],
            [part.resource.get("id", "") for part in parts],
            [part.occurred for part in parts],
        ),
    )
    kinds = sorted(set().union(*(rows.kinds for _, rows in made)))
    execute(
        "INSERT INTO contained_kind (holder, param, type)"
        " SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[]) ON CONFLICT DO NOTHING",
        tuple(list(column) for column in zip(*kinds, strict=True)),
    )
    contained.met(kinds)
