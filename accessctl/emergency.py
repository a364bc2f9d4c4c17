"""Patient/$break-glass and $end-break-glass: one record, one professional, one hour. (CSP L1111-17 I, R1111-48)

Opening, place in the review queue, and notices to the patient and the attending doctor are one transaction. Afterwards
the professional's ordinary requests count. A patient who is unknown, who opposes, who blocks, or whose record is closed
gets the same answer: nobody learns which.
"""

from datetime import UTC

from records import errors
from records.access import Everything
from records.database import as_system, execute
from records.formats.json import parse
from records.interactions.interaction import Outcome, Touched
from records.interactions.selection import matching
from records.keys import identity
from records.operations import operation
from records.resources.references import local
from records.resources.store import instant

from .pieces import dated
from .policy import policy
from .sources.scopes import covering

MODES = {"bris-de-glace": "opposes_emergency", "regulation": "opposes_regulation"}
PURPOSES = ("BTG", "ETREAT")
TRAITS = ("family", "given", "birthdate", "gender", "birthPlace")  # of the INS, all five
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
INSEE = "insee"  # part of the address of the extension that carries the place's code
SHORTEST = 10  # characters of a reason
UNKNOWN = "A patient whom these parameters identify"


@operation("break-glass", "type", on="Patient", needs=None, affects_state=True)
def break_glass(interaction, access):
    """Open the record; parameters: identifier (system|value) or the INS traits, purpose, reason, mode."""
    person = professional(access)
    if not covers(access.actor):
        raise errors.Forbidden("$break-glass needs a user scope that covers the read of Patient.")
    asked = given(interaction.body)
    mode, purpose, reason = asked.get("mode", "bris-de-glace"), asked.get("purpose"), asked.get("reason", "").strip()
    if mode not in MODES:
        raise errors.InvalidValue("mode", mode, f"expected one of {', '.join(MODES)}")
    if purpose not in PURPOSES:
        raise errors.InvalidValue("purpose", purpose, f"expected one of {', '.join(PURPOSES)}")
    if len(reason) < SHORTEST:
        raise errors.InvalidValue("reason", reason, f"say in at least {SHORTEST} characters why")
    if not qualified(person, mode):
        raise errors.Forbidden(f"The mode {mode} is not open to this profession.")
    patient = identified(asked)
    if patient is None:
        raise errors.NotFound(UNKNOWN)
    id, key = patient
    if refused(key, person, mode):  # the patient may know of it; who asks learns nothing else
        raise errors.NotFound(UNKNOWN).about(Touched("Patient", id, None, key))
    opening, until = execute(
        "INSERT INTO opening (patient, person_id, mode, purpose, reason, until)"
        " VALUES (%s, %s, %s, %s, %s, now() + make_interval(mins => %s)) RETURNING id, until",
        (key, person.user, mode, purpose, reason, policy().openingMinutes),
    )[0]
    execute("INSERT INTO review (opening_id) VALUES (%s)", (opening,))
    execute(
        "INSERT INTO notice (patient, person_id, kind, opening_id) SELECT %s, NULL, %s, %s UNION ALL"
        f" SELECT ad.patient, ad.person_id, %s, %s FROM attending_doctor ad WHERE ad.patient = %s AND {dated('ad')}",
        (key, mode, opening, mode, opening, key),
    )
    told = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{id}"}},
        {"name": "until", "valueInstant": instant(until.astimezone(UTC))},
    ]
    return Outcome(200, {"resourceType": "Parameters", "parameter": told}, "Parameters",
                   touched=[Touched("Patient", id, None, key)])  # fmt: skip


@operation("end-break-glass", "type", on="Patient", needs=None, affects_state=True)
def end_break_glass(interaction, access):
    """End the actor's openings, of one patient or of all; alike whether there were any."""
    person = professional(access)
    asked = given(interaction.body).get("patient")
    named = local(asked) if asked is not None else None
    if asked is not None and (named is None or named[0] != "Patient"):
        raise errors.InvalidValue("patient", asked, "expected Patient/[id]")
    ended = execute(
        "UPDATE opening SET until = now() WHERE person_id = %s AND until > now()"
        " AND (%s::bigint IS NULL OR patient = %s) RETURNING patient",
        (person.user, *(2 * (identity(*named) if named else None,))),
    )
    issue = errors.Issue("information", "informational", "What this professional had opened is closed.")
    touched = [Touched("Patient", named[1] if named else "", None, patient) for (patient,) in ended]
    return Outcome(200, errors.operation_outcome([issue]), "OperationOutcome", touched=touched)


def professional(access):
    """The person who asks; emergencies are for professionals known by name."""
    person = getattr(getattr(access, "actor", None), "person", None)
    if person is None or person.kind != "professional":
        raise errors.Forbidden("Breaking the glass is for professionals.")
    return person


def covers(actor):
    """May the token open a record that it is not about? What is opened is open to all that this person uses."""
    if actor.purpose in policy().forbiddenPurposes:
        return False
    return any(s.level != "patient" and not s.params for s in covering(actor, "read", "Patient"))


def qualified(person, mode):
    if mode == "regulation":
        return person.regulator and person.profession in policy().regulationProfessions
    return person.profession in policy().emergencyProfessions


def given(body):
    """name -> text of each parameter; an Identifier as system|value, a Reference as its reference."""
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise errors.InvalidStructure("Expected a Parameters resource.", expression="Parameters")
    found = {}
    for n, each in enumerate(body.get("parameter") or ()):
        value = next((v for k, v in each.items() if k.startswith("value")), None) if isinstance(each, dict) else None
        if isinstance(value, dict):
            value = value.get("reference") or f"{value.get('system') or ''}|{value.get('value') or ''}"
        if not isinstance(value, str) or not isinstance(each.get("name"), str) or each["name"] in found:
            raise errors.InvalidStructure(
                "Expected a name, once, and a value.", expression=f"Parameters.parameter[{n}]"
            )
        found[each["name"]] = value
    return found


@as_system()
def identified(asked):
    """(id, key) of the one Patient that the parameters identify, or None."""
    if "identifier" in asked:
        system, separator, value = asked["identifier"].partition("|")
        if not (system and separator and value):
            raise errors.InvalidValue("identifier", asked["identifier"], "expected system|value")
        criteria = (("identifier", f"{escaped(system)}|{escaped(value)}"),)
    elif missing := [name for name in TRAITS if not asked.get(name)]:
        raise errors.BadRequest(f"Give an identifier, or all traits of the INS: {', '.join(missing)} missing.")
    else:
        criteria = (
            ("family:exact", escaped(asked["family"])), ("given:exact", escaped(asked["given"])),
            ("birthdate", escaped(asked["birthdate"])), ("gender", escaped(asked["gender"])),
        )  # fmt: skip
    ids = matching("Patient", criteria, Everything(), limit=2)
    if len(ids) != 1:
        return None
    if "identifier" not in asked and birth_place(ids[0]) != asked["birthPlace"]:
        return None
    return ids[0], identity("Patient", ids[0])


def escaped(text):
    """A value that search takes as it is."""
    for each in "\\,|$":
        text = text.replace(each, f"\\{each}")
    return text


def birth_place(id):
    """The INSEE code of the place of birth, as FR Core carries it in the address."""
    ((body,),) = execute("SELECT body FROM resource WHERE identity = %s", (identity("Patient", id),))
    for extension in parse(bytes(body)).get("extension") or ():
        if extension.get("url") == BIRTH_PLACE:
            for inner in (extension.get("valueAddress") or {}).get("extension") or ():
                if INSEE in inner.get("url", ""):
                    return (inner.get("valueCoding") or {}).get("code")
    return None


def refused(patient, person, mode):
    """Does the patient oppose, or block this professional, or is the record closed?"""
    return execute(
        f"SELECT EXISTS (SELECT FROM dossier WHERE patient = %s AND ({MODES[mode]} OR closed <= now()))"
        f" OR (%s AND EXISTS (SELECT FROM block bl WHERE bl.patient = %s AND bl.person_id = %s AND {dated('bl')}))",
        (patient, policy().blocksBindEmergency, patient, person.user),
    )[0][0]
