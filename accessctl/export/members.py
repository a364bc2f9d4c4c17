"""Whose records an export is about: patients that are named, or the members of a Group, as they are at its moment."""

from records import errors
from records.database import asked_by, execute, insert
from records.definitions.structures import type_number
from records.fhirpath.times import interval
from records.formats.json import parse
from records.interactions.interaction import Touched
from records.keys import identity
from records.resources.compartments import patient_id
from records.sql import all_of

from . import rights

BATCH = 10_000


def of_group(group, base, moment):
    """(ids of the Patients who are members, how many members are something else) at a time (microseconds)."""
    found, others = {}, 0
    for each in group.get("member") or ():
        if not is_one(each, moment):
            continue
        id = patient_id((each.get("entity") or {}).get("reference"), base)
        if id is None:
            others += 1
        else:
            found[id] = None
    return list(found), others


def is_one(member, moment):
    """Does the membership hold? (Group.member.inactive, Group.member.period)"""
    if member.get("inactive"):
        return False
    period = member.get("period") or {}
    try:
        return not (
            ("start" in period and interval(period["start"])[0] > moment)
            or ("end" in period and interval(period["end"])[1] < moment)
        )
    except ValueError:
        return False


def then(type, ids, moment, access):
    """id -> bytes of the resources of these ids that were there at a moment and may be read."""
    shown = all_of(rights.judged(access, type))
    found = {}
    for at in range(0, len(ids), BATCH):
        keys = [identity(type, id) for id in ids[at : at + BATCH]]
        with asked_by(access.asked_by):
            rows = execute(
                "SELECT r.id, v.body FROM resource r JOIN version v ON v.resource = r.pk AND v.updated <= %s"
                " AND NOT EXISTS (SELECT FROM version n WHERE n.resource = r.pk AND n.version = v.version + 1"
                " AND n.updated <= %s) WHERE r.identity = ANY(%s) AND r.type = %s AND v.body IS NOT NULL"
                f" AND ({shown.text})",
                (moment, moment, keys, type_number(type), *shown.params),
            )
        found |= {id: body if type == "Group" else None for id, body in rows}
    return found


def there(ids, access):
    """Touched of the Patients of these ids, all of whom may be read now; NotFound names the first who may not."""
    visible = all_of(access.resources(code, "Patient") for code in rights.CODES)
    rows = execute(
        "SELECT r.id, r.version, r.identity FROM resource r WHERE r.identity = ANY(%s) AND r.type = %s"
        f" AND NOT r.deleted AND ({visible.text})",
        ([identity("Patient", id) for id in ids], type_number("Patient"), *visible.params),
    )
    found = {id: Touched("Patient", id, version, key) for id, version, key in rows}
    for id in ids:
        if id not in found:
            raise errors.NotFound(f"Patient/{id}", expression="patient")
    return list(found.values())


def choose(export, access):
    """Keep whose records are asked for; sentences about members who are left out."""
    asked, moment, said = export.asked, export.moment, []
    ids = asked.patients
    if asked.group is not None:
        group = then("Group", [asked.group], moment, access).get(asked.group)
        if group is None:
            raise errors.Forbidden(f"Group/{asked.group} cannot be read any more.")
        in_group, others = of_group(parse(bytes(group)), asked.base, int(moment.timestamp() * 1_000_000))
        if others:
            said.append(f"{others} members of Group/{asked.group} are no Patients of this server: they are left out.")
        if ids is None:
            ids = in_group
        elif left := set(ids) - set(in_group):
            said.append(f"{len(left)} patients have left Group/{asked.group}: they are left out.")
            ids = [id for id in ids if id not in left]
    readable = then("Patient", ids, moment, access)
    for at in range(0, len(ids), BATCH):
        rows = [(export.run, identity("Patient", id)) for id in ids[at : at + BATCH] if id in readable]
        insert("export_patient", ("run", "patient"), ("int8", "int8"), rows)
    if absent := len(ids) - len(readable):
        said.append(f"{absent} patients are not there, or not to be read: they are left out.")
    return said


def chosen(export, keys):
    """Which of these keys of patients are asked for."""
    rows = execute("SELECT patient FROM export_patient WHERE run = %s AND patient = ANY(%s)", (export.run, list(keys)))
    return {patient for (patient,) in rows}
