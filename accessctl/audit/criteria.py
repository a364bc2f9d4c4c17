"""Search parameters of AuditEvent as conditions over a row of `audit` (alias a). (auditevent.html#search)

_id _lastUpdated date patient agent entity action type subtype outcome; another one is refused by name. What others
sent is judged by what they wrote in it.
"""

from datetime import timedelta

from records import errors
from records.database import execute
from records.definitions.structures import is_resource_type
from records.fhirpath.times import interval
from records.formats.json import dump
from records.keys import identity
from records.resources.references import local
from records.search.ranges import condition, prefixed
from records.sql import FALSE, SQL, all_of, any_of

from .encoding import EPOCH
from .event import ACTIONS, ALERT, DCM, EVENT_TYPE, FAILED, GLASS, REST, SERIOUS
from .readers import TYPE

NAMES = ("_id", "_lastUpdated", "date", "patient", "agent", "entity", "action", "type", "subtype", "outcome")
OF_THE_PAGE = ("_count", "_page", "_total", "_profile")
BOUNDS = ("_id", "_lastUpdated", "date", "patient")  # one of these, for who may see the audit of everybody
OURS, THEIRS = SQL("a.received IS NULL"), SQL("a.received IS NOT NULL")
JSON = "a.received::jsonb"
RECORDED = f"({JSON} ->> 'recorded')::timestamptz"
LEAST, MOST = -62_135_596_800_000_000, 253_402_300_799_000_000  # microseconds of the years 1 to 9999
STATUSES = {"0": f"a.status < {FAILED}", "4": f"a.status >= {FAILED} AND a.status < {SERIOUS}",
            "8": f"a.status >= {SERIOUS}"}  # fmt: skip


def conditions(parameters, base=""):
    """One predicate for all (name, value) pairs."""
    found = []
    for name, value in parameters:
        if name in OF_THE_PAGE:
            continue
        code, _, modifier = name.partition(":")
        if code not in NAMES:
            raise errors.UnknownParameter(TYPE, name, f"known: {', '.join(NAMES)}")
        if modifier and not (code in ("patient", "agent", "entity") and is_resource_type(modifier)):
            raise errors.UnsupportedModifier(code, modifier, "AuditEvent is searched without modifiers")
        values = parts(value, modifier)
        if not values:
            raise errors.InvalidValue(name, value, "expected a value")
        found.append(any_of([HOW[code](name, each, base) for each in values]))
    return all_of(found)


def parts(value, modifier):
    """The values of which one is enough."""
    found = [part for part in value.split(",") if part]
    return [v if "/" in v else f"{modifier}/{v}" for v in found] if modifier else found


def entities(parameters, base=""):
    """The references of each `entity` that is asked for, in sets of which one is enough."""
    found = []
    for name, value in parameters:
        code, _, modifier = name.partition(":")
        if code == "entity":
            found.append({"/".join(reference(name, each, base)) for each in parts(value, modifier)})
    return found


def is_bounded(parameters):
    return any(name.partition(":")[0] in BOUNDS for name, _ in parameters)


def of_id(name, value, base):
    number = seq(value)
    return FALSE if number is None else SQL("a.seq = %s", (number,))


def seq(id):
    """The number of a record, or None for what is the id of none."""
    return int(id) if id.isascii() and id.isdecimal() and len(id) < 19 and str(int(id)) == id else None


def moments(name, value):
    """(prefix, low, high) as PostgreSQL keeps them."""
    prefix, text = prefixed(value)
    try:
        low, high = interval(text)
    except ValueError as error:
        raise errors.InvalidValue(name, value, str(error)) from error
    return prefix, *(EPOCH + timedelta(microseconds=min(max(n, LEAST), MOST)) for n in (low, high))


def updated(name, value, base):
    return condition(*moments(name, value), low="a.at", high="a.at")


def date(name, value, base):
    """`recorded`: our own time; of what others sent, theirs."""
    given = moments(name, value)
    return (OURS & condition(*given, low="a.at", high="a.at")) | (
        THEIRS & condition(*given, low=RECORDED, high=RECORDED)
    )


def reference(name, value, base):
    """(type, id) of a literal reference."""
    found = local(value, base)
    if found is None:
        raise errors.InvalidValue(name, value, "expected a reference as Type/id")
    return found


def patient(name, value, base):
    type, id = reference(name, value if "/" in value else f"Patient/{value}", base)
    return SQL("a.patient = %s", (identity(type, id),)) if type == "Patient" else FALSE


def agent(name, value, base):
    """A Practitioner or Patient as the person who asked."""
    type, id = reference(name, value, base)
    logins = [
        login
        for (login,) in execute(
            "SELECT u.username FROM person p JOIN auth_user u ON u.id = p.user_id"
            " WHERE p.practitioner_key = %s OR p.patient_key = %s",
            2 * (identity(type, id),),
        )
    ]
    ours = OURS & SQL('a."user" = ANY(%s)', (logins,))
    return ours | theirs({"agent": [{"who": {"reference": f"{type}/{id}"}}]})


def entity(name, value, base):
    """One of the references that the record names."""
    type, id = reference(name, value, base)
    found = SQL("%s = ANY(string_to_array(a.entities, ' '))", (f"{type}/{id}",))
    return found | SQL("a.patient = %s", (identity(type, id),)) if type == "Patient" else found


def token(name, value):
    """(system or None, code)."""
    system, separator, code = value.rpartition("|")
    return (system if separator else None), code


def theirs(pattern):
    return THEIRS & SQL(f"{JSON} @> %s::jsonb", (dump(pattern).decode(),))


def of_code(element, systems, ours):
    """A token parameter: SQL of our own rows with a code; `element` is where others have theirs."""

    def match(name, value, base):
        system, code = token(name, value)
        own = ours(code) if system is None or system in systems else FALSE
        return (OURS & own) | theirs(element(system, code))

    return match


def with_action(code):
    known = [name for name, action in ACTIONS.items() if action == code]
    if code == "E":
        return SQL("NOT a.interaction = ANY(%s)", (list(ACTIONS),))
    return SQL("a.interaction = ANY(%s)", (known,)) if known else FALSE


def with_type(code):
    glass = SQL("a.interaction = ANY(%s)", (list(GLASS),))
    return glass if code == ALERT[0] else ~glass if code == "rest" else FALSE


def with_subtype(code):
    emergencies = [name for name, (number, _) in GLASS.items() if number == code]
    if emergencies:
        return SQL("a.interaction = ANY(%s)", (emergencies,))
    if code == "operation":
        return SQL("a.interaction LIKE '$%%' AND NOT a.interaction = ANY(%s)", (list(GLASS),))
    return SQL("a.interaction = %s", (code,))


def with_outcome(code):
    return SQL(STATUSES[code]) if code in STATUSES else FALSE


def coded(system, code):
    return {"code": code} | ({"system": system} if system else {})


HOW = {
    "_id": of_id,
    "_lastUpdated": updated,
    "date": date,
    "patient": patient,
    "agent": agent,
    "entity": entity,
    "action": of_code(
        lambda _, code: {"action": code}, ("http://hl7.org/fhir/audit-event-action",), with_action
    ),
    "type": of_code(lambda system, code: {"type": coded(system, code)}, (EVENT_TYPE, DCM), with_type),
    "subtype": of_code(lambda system, code: {"subtype": [coded(system, code)]}, (REST, DCM), with_subtype),
    "outcome": of_code(
        lambda _, code: {"outcome": code}, ("http://hl7.org/fhir/audit-event-outcome",), with_outcome
    ),
}  # fmt: skip
