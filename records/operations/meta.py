"""$meta, $meta-add, $meta-delete: tags and labels; a change is a version. (resource-operations.html#meta)"""

from dataclasses import replace

from .. import errors
from ..database import execute
from ..definitions.structures import type_number
from ..formats.json import dump, parse
from ..interactions.interaction import Outcome, Touched
from ..interactions.read import read, vread
from ..interactions.writing import carry_out
from ..resources.compartments import ALONE
from ..resources.intake import refusal
from ..resources.validation import check
from . import operation

PARTS = {"profile": None, "tag": "coding", "security": "coding"}


@operation("meta", "instance")
def of_instance(interaction, access):
    """The meta of the current version."""
    outcome = read(interaction, access)
    return told(parse(bytes(outcome.body)).get("meta", {}), outcome.touched)


@operation("meta", "version", needs="vread")
def of_version(interaction, access):
    """The meta of one version."""
    outcome = vread(interaction, access)
    return told(parse(bytes(outcome.body)).get("meta", {}), outcome.touched)


@operation("meta", "type", needs="search-type", snapshot=True)
def of_type(interaction, access):
    """Every profile, tag and security label in use on a type, among what the caller may see."""
    visible = access.resources("search", interaction.type)
    rows = execute(
        "SELECT (convert_from(r.body, 'UTF8')::jsonb -> 'meta') - '{versionId,lastUpdated}'::text[] AS meta,"
        f" {ALONE}, min(r.id), r.shared FROM resource r WHERE r.type = %s AND NOT r.deleted AND ({visible.text})"
        " GROUP BY 1, 2, 4, CASE WHEN r.shared THEN r.pk END ORDER BY 1, 2",  # in one order, whatever else is there
        (type_number(interaction.type), *visible.params),
    )
    meta, touched = {}, {}
    for each, patient, id, shared in rows:
        meta = merged(meta, each or {})
        if patient is not None or shared:  # one for each patient whose labels are among those told
            touched[patient or id] = Touched(interaction.type, id, None, patient)
    return told(meta, list(touched.values()))


@operation("meta-add", "instance", needs="update", affects_state=True)
def add(interaction, access):
    """Add profiles, tags and labels; nothing else of meta changes."""
    return changed(interaction, access, merged)


@operation("meta-delete", "instance", needs="update", affects_state=True)
def delete(interaction, access):
    """Take profiles, tags and labels away; what is not there is no error."""
    return changed(interaction, access, without)


@operation("meta-add", "version", needs="update", affects_state=True)
@operation("meta-delete", "version", needs="update", affects_state=True)
def of_a_past_version(interaction, access):
    """A version never changes."""
    raise errors.MethodNotAllowed(
        f"${interaction.operation} on a past version", "the current version only", headers={"Allow": "GET"}
    )


def changed(interaction, access, change):
    """A new version whose meta is changed by the meta given in Parameters."""
    given = meta_in(interaction.body)
    outcome = read(replace(interaction, conditions=replace(interaction.conditions, if_none_match=None)), access)
    resource = parse(bytes(outcome.body))
    resource["meta"] = change(resource.get("meta", {}), given)
    update = replace(interaction, code="update", level="instance", operation=None, body=resource, parameters=())
    done = carry_out([update], access)[0]
    return told(parse(bytes(done.body))["meta"], done.touched, done)


def meta_in(body):
    """The `meta` parameter. (operation-resource-meta-add.html)"""
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        if wrong := [i for i in check(body, "Parameters") if i.severity in ("error", "fatal")]:
            raise refusal(wrong)
        for parameter in body.get("parameter", ()):
            if parameter.get("name") == "meta" and "valueMeta" in parameter:
                return parameter["valueMeta"]
    raise errors.InvalidStructure(
        "Expected Parameters with a parameter 'meta' of type Meta.", expression="Parameters.parameter"
    )


def identity_of(part, value):
    return value if PARTS[part] is None else (value.get("system"), value.get("code"))


def merged(meta, given):
    found = dict(meta)
    for part in PARTS:
        have = list(found.get(part) or ())
        known = {identity_of(part, v) for v in have}
        have += [v for v in given.get(part) or () if identity_of(part, v) not in known]
        if have:
            found[part] = have
    return found


def without(meta, given):
    found = dict(meta)
    for part in PARTS:
        gone = {identity_of(part, v) for v in given.get(part) or ()}
        kept = [v for v in found.get(part) or () if identity_of(part, v) not in gone]
        found.pop(part, None)
        if kept:
            found[part] = kept
    return found


def told(meta, touched, done=None):
    body = {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}
    outcome = Outcome(200, dump(body), "Parameters", touched=touched)
    if done is not None:
        outcome.version, outcome.updated, outcome.id = done.version, done.updated, done.id
    return outcome
