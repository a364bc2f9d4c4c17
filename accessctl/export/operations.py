"""$export at its three levels, and the addresses that it answers with. (FHIR Bulk Data Access 2.0)

GET, POST [base]/$export               everything that the client's system/ scopes cover
GET, POST [base]/Patient/$export       the records of all patients, or of those named by `patient`
GET, POST [base]/Group/[id]/$export    the records of the Patients who are its members
GET       [base]/$export-status?job=   202 while it runs; then the manifest
DELETE    [base]/$export-status?job=   ends it and removes its files (so does POST $export-cancel)
GET       [base]/$export-file?job=&file=   a file

To anybody but the client that asked, an export is not there, as one that never was. (attacks A52, A53)
"""

import time
import uuid
import zlib
from dataclasses import replace
from email.utils import format_datetime

from records import errors
from records.formats.json import parse
from records.interactions.capabilities import INSTANTIATES
from records.interactions.interaction import Conditions, Outcome
from records.interactions.read import read
from records.operations import inputs, operation
from records.resources.store import instant

from ..access import access_for
from . import asked, kept, members, rights
from .job import DELETED, ERROR

INSTANTIATES.append("http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data")
NDJSON = "application/fhir+ndjson"
PIECE = 256 * 1024  # bytes that are sent at a time
SLOWEST = 60  # seconds between two questions
FAULT = 600  # seconds: somebody has to look at it
TYPES = {DELETED: "Bundle", ERROR: "OperationOutcome"}


@operation("export", "system", needs=None, affects_state=True, by_get=True, alone=True)
@operation("export", "type", on="Patient", needs=None, affects_state=True, by_get=True, alone=True)
@operation("export", "instance", on="Group", needs=None, affects_state=True, by_get=True, alone=True)
def kick_off(interaction, access):
    """All that the client may read, as NDJSON files of one moment, made by a durable job."""
    actor = rights.asking(access)
    if not interaction.asynchronous:
        raise errors.BadRequest("An export is answered later: send Prefer: respond-async.", expression="Prefer")
    types, since, patients, warnings = asked.read(interaction, actor)
    touched = existing(interaction, access_for(actor), actor, patients)
    name = kept.begin(actor, asked.Asked(
        level=interaction.level, url=f"{interaction.base}/{interaction.url}", base=interaction.base, types=types,
        scopes=" ".join(map(str, actor.scopes)), allowed=rights.registered(actor.client)[1],
        request=str(uuid.uuid4()), since=since, group=interaction.id, patients=patients, purpose=actor.purpose,
        warnings=warnings,
    ))  # fmt: skip
    outcome = Outcome(202, touched=touched)
    outcome.headers["Content-Location"] = f"{interaction.base}/$export-status?job={name}"
    return outcome


def existing(interaction, access, actor, patients):
    """The Group and the patients that the export is about may be read; Touched of them."""
    if interaction.id is None and patients is None:
        return []
    for type in ("Patient", "Group") if interaction.id else ("Patient",):
        rights.types(actor, [type])
    if interaction.id is None:
        return members.there(patients, access)
    group = read(replace(interaction, code="read", conditions=Conditions(), parameters=()), access)
    known, _ = members.of_group(parse(bytes(group.body)), interaction.base, time.time_ns() // 1000)
    known = set(known)
    if outside := [id for id in patients or () if id not in known]:
        raise errors.Forbidden(
            f"Patient/{outside[0]} is no member of Group/{interaction.id}.", expression="patient"
        ).about(*group.touched)
    return group.touched


@operation("export-status", "system", needs=None, alone=True, on_delete="export-cancel")
def status(interaction, access):
    """How far an export is; its manifest when it is done, the reason when it has failed."""
    actor, export = named(interaction, access)
    if export.state == "failed":
        raise failure(export)
    if export.state != "done":
        waited = int((export.now - export.since).total_seconds())
        outcome = Outcome(202)
        outcome.headers["X-Progress"] = progress(export)
        outcome.headers["Retry-After"] = str(min(max(1, waited // 10), SLOWEST))
        return outcome
    covered(actor, export)
    outcome = Outcome(200, manifest(interaction, export), media="application/json")
    outcome.headers["Expires"] = format_datetime(export.expires, usegmt=True)
    return outcome


def named(interaction, access):
    """(who asks, the export of the name that is given), as far as it is theirs."""
    actor = rights.asking(access)
    interaction = inputs.taken(interaction)
    return actor, kept.found(inputs.one(interaction.parameters, "job") or "", actor.client)


def progress(export):
    """In words that fit a header; what is not counted is told as it goes."""
    if export.state == "waiting":
        return "waiting"
    if export.total is None:
        return f"{export.done} versions looked at"
    return f"{min(99, 100 * export.done // max(1, export.total))} %"


def failure(export):
    """What ended it; of a fault of ours its words are for administrators, who may let it go on."""
    kind, _, reason = (export.error or "").partition(": ")
    if kind == errors.Forbidden.__name__:
        return errors.Forbidden(f"The export has ended: {reason}")
    return errors.Busy("The export met an unexpected error; an administrator can let it go on.", retry_after=FAULT)


def covered(actor, export):
    """What was exported leaves for a token that covers all of it, as that of the kick-off did."""
    rights.types(actor, export.asked.types)


def manifest(interaction, export):
    """What there is, and where. (bulkdata: Response - Output Manifest)"""
    lists = {"output": [], DELETED: [], ERROR: []}
    for file, count in kept.files(export):
        label = file.rpartition("-")[0]
        job = inputs.one(inputs.taken(interaction).parameters, "job")
        found = {"type": TYPES.get(label, label), "url": f"{interaction.base}/$export-file?job={job}&file={file}"}
        lists[label if label in lists else "output"].append({**found, "count": count})
    return {
        "transactionTime": instant(export.moment),
        "request": export.asked.url,
        "requiresAccessToken": True,
        **lists,
    }


@operation("export-cancel", "system", needs=None, affects_state=True, alone=True)
def cancel(interaction, access):
    """The export ends, or its files go before their time."""
    _, export = named(interaction, access)
    kept.remove(export)
    return Outcome(202)


@operation("export-file", "system", needs=None, alone=True)
def file(interaction, access):
    """A file of an export that is done, as NDJSON, packed by gzip for who takes it so."""
    actor, export = named(interaction, access)
    name = inputs.one(inputs.taken(interaction).parameters, "file") or ""
    chunks = kept.chunks(export, name) if export.state == "done" else ()
    if not chunks:
        raise errors.NotFound("This export")
    covered(actor, export)
    who = access.asked_by

    def opened(packed):
        pieces = sent(who, export.run, name, [number for number, _, _ in chunks], packed)
        return sum(size[0] if packed else size[1] for _, *size in chunks), pieces

    outcome = Outcome(200, media=NDJSON, stream=opened)
    outcome.headers["Content-Disposition"] = f'attachment; filename="{name}.ndjson"'
    return outcome


def sent(who, run, file, numbers, packed):
    """The bytes of a file: members of gzip one after the other are gzip; one chunk is in memory at a time."""
    for number in numbers:
        data = kept.data(who, run, file, number)
        if packed:
            yield from (data[at : at + PIECE] for at in range(0, len(data), PIECE))
            continue
        engine = zlib.decompressobj(wbits=31)
        while data:
            yield engine.decompress(data, PIECE)
            data = engine.unconsumed_tail
        if rest := engine.flush():
            yield rest
