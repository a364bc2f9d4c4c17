"""Read and vread: the stored bytes of one resource. (http.html#read, http.html#vread)"""

from .. import errors
from ..database import execute
from ..definitions.structures import type_number
from ..formats.json import parse
from ..keys import identity
from ..operations.definitions import definition
from ..resources.compartments import ALONE, ALONE_THEN
from ..resources.subset import SUMMARIES, subset
from .conditions import not_modified
from .interaction import Outcome, Touched, interaction


@interaction("read", "GET", "{type}/{id}")
def read(interaction, access):
    """The current version; 410 for what the caller could see before it was deleted, 304 when nothing changed."""
    type, id = interaction.type, interaction.id
    visible = access.resources("read", type)
    rows = execute(
        f"SELECT r.version, r.updated, r.deleted, r.body, {ALONE} FROM resource r"
        f" WHERE r.identity = %s AND r.type = %s AND r.id = %s AND ({visible.text})",
        (identity(type, id), type_number(type), id, *visible.params),
    )
    if not rows:
        if type == "OperationDefinition" and (found := definition(id, interaction.base)) is not None:
            return Outcome(200, found, type, id)
        raise errors.NotFound(f"{type}/{id}")
    version, updated, deleted, body, patient = rows[0]
    if deleted:
        raise errors.Gone(f"{type}/{id}").about(Touched(type, id, version, patient))
    outcome = Outcome(200, body, type, id, version, updated, touched=[Touched(type, id, version, patient)])
    if not_modified(interaction.conditions, version, updated):
        outcome.status, outcome.body = 304, None
    return cut(outcome, interaction)


@interaction("vread", "GET", "{type}/{id}/_history/{version}")
def vread(interaction, access):
    """One version; seen only by who may see both it and the current row. (access rules: versions)"""
    type, id = interaction.type, interaction.id
    current, then = access.resources("vread", type), access.resources("vread", type, "v", "resource")
    rows = execute(
        f"SELECT v.version, v.updated, v.body, {ALONE_THEN} FROM resource r JOIN version v ON v.resource = r.pk"
        f" WHERE r.identity = %s AND r.type = %s AND r.id = %s AND v.version = %s"
        f" AND ({current.text}) AND ({then.text})",
        (identity(type, id), type_number(type), id, version_number(interaction), *current.params, *then.params),
    )
    if not rows:
        raise errors.NotFound(f"{type}/{id}/_history/{interaction.version}")
    version, updated, body, patient = rows[0]
    if body is None:
        raise errors.Gone(f"{type}/{id}/_history/{interaction.version}").about(Touched(type, id, version, patient))
    return cut(
        Outcome(200, body, type, id, version, updated, touched=[Touched(type, id, version, patient)]), interaction
    )


def cut(outcome, interaction):
    """The outcome with the part of its resource that _summary or _elements asks for. (search.html#summary)"""
    if not interaction.parameters or interaction.code not in ("read", "vread"):
        return outcome
    summary, elements = part(interaction)
    if outcome.body is not None and (summary or elements):
        outcome.body = subset(parse(bytes(outcome.body)), summary, elements)
    return outcome


def part(interaction):
    """(_summary, _elements) as asked for."""
    asked = dict(interaction.parameters)
    summary, elements = asked.get("_summary"), tuple(filter(None, asked.get("_elements", "").split(",")))
    if summary is not None and summary not in SUMMARIES:
        raise errors.InvalidValue("_summary", summary, f"expected one of {', '.join(SUMMARIES)}")
    return summary, elements


def version_number(interaction):
    """The version asked for; what is no number of ours names no version."""
    text = interaction.version
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise errors.NotFound(f"{interaction.type}/{interaction.id}/_history/{text!r}")
    return int(text)
