"""AuditEvent, the type: read, searched and received over the table `audit`; changed and deleted by nobody.

Every reading of it is recorded as any other. docs/explanation/audit.md
"""

from records import errors
from records.database import execute
from records.formats.json import dump
from records.interactions import paging
from records.interactions.create import require_type
from records.interactions.interaction import Outcome, Touched, kept_elsewhere
from records.interactions.writing import Target
from records.keys import identity
from records.operations import inputs
from records.resources import compartments, references
from records.resources.intake import refusal
from records.resources.validation import check
from records.sql import FALSE, SQL, all_of

from ..sources.scopes import covered
from . import criteria, event
from .encoding import SELECTED, Record, microseconds
from .readers import TYPE, named, of, oversees, readable, seen
from .recorder import numbers

LARGEST = 65_536  # characters of an AuditEvent received
ROUNDS = 20  # pages of records that are looked at for one page of what may be seen


@kept_elsewhere(TYPE, "read", "GET")
def read(interaction, access):
    """One record; not-found for who may not see it."""
    number = criteria.seq(interaction.id)
    found = [] if number is None else page(interaction, access, SQL("a.seq = %s", (number,)), None, 1)[0]
    if not found:
        raise errors.NotFound(f"{TYPE}/{interaction.id}")
    ((record, tree),) = found
    touched = [Touched(TYPE, interaction.id, 1, record.patient)]
    return Outcome(200, dump(tree), TYPE, interaction.id, 1, event.moment(record), touched=touched)


@kept_elsewhere(TYPE, "search-type", "GET", snapshot=True, searched_by=criteria.NAMES)
def search(interaction, access):
    """Newest first, in pages; who may see the audit of everybody names a patient or a time."""
    if interaction.compartment is not None:
        holder, id = interaction.compartment
        if holder not in ("Patient", "Practitioner"):
            raise errors.UnknownURL(interaction.url)
        inside = (("patient" if holder == "Patient" else "agent", f"{holder}/{id}"),)
    else:
        inside = ()
    wanted = criteria.conditions((*inside, *interaction.parameters), interaction.base)
    if not criteria.is_bounded((*inside, *interaction.parameters)) and oversees(getattr(access, "actor", None)):
        raise errors.TooCostly(f"Bound the search by one of {', '.join(criteria.BOUNDS)}.")
    form = form_of(interaction.parameters)
    size, after = paging.count(interaction), paging.position(interaction, access)
    asked = criteria.entities(interaction.parameters, interaction.base)
    found, following = page(interaction, access, wanted, after, size, asked)
    return bundle(interaction, access, [(record, form(tree)) for record, tree in found], following)


def form_of(parameters):
    """How the events are told: `_profile` asks for the form of ANS, whose searches are bounded by `date`. (ITI-81)"""
    asked = inputs.one(parameters, "_profile")
    if asked is None:
        return lambda tree: tree
    if asked != event.TDE:
        raise errors.InvalidValue("_profile", asked, f"expected {event.TDE}")
    if not any(name == "date" for name, _ in parameters):
        raise errors.BadRequest("In this form events are searched within a time: give date.")
    return event.tde


def page(interaction, access, wanted, after, size, asked=()):
    """([(Record, AuditEvent)], where the next page begins or None), newest first.

    `asked`: sets of references of which the reader must be told one, or else the search tells that it is there.
    """
    code = interaction.code if interaction.code in ("read", "search-type") else "search-type"
    may = readable(access, code)
    if may == FALSE or not size:
        return [], None
    oversight = oversees(getattr(access, "actor", None))
    told, labels = [], {}
    for _ in range(ROUNDS):
        behind = [SQL("a.seq < %s", (after,))] if after is not None else []
        every = all_of([may, wanted, *behind])
        rows = execute(
            f"SELECT {SELECTED} FROM audit a WHERE {every.text} ORDER BY a.seq DESC LIMIT %s",
            (*every.params, size + 1),
            prepare=False,
        )
        records = [Record(*row) for row in rows]
        labels |= seen(access, {r for record in records for r in named(record.entities)})
        for record in records:
            shown = named(record.entities) if oversight else told_of(record, labels)
            if shown is None or not (oversight or all(names(record, shown, each) for each in asked)):
                continue
            if len(told) == size:
                return events(told, labels, oversight, interaction.base), told[-1][0].seq
            told.append((record, shown))
        if len(records) <= size:
            return events(told, labels, oversight, interaction.base), None
        after = records[-1].seq
    return events(told, labels, oversight, interaction.base), after


def is_told(access, id, patient):
    """Is it the id of a record about this patient that the person may read, whatever the scopes of the token?"""
    number = criteria.seq(id)
    may = of(access.actor)
    if number is None or may == FALSE:
        return False
    rows = execute(
        f"SELECT {SELECTED} FROM audit a WHERE a.seq = %s AND a.patient = %s AND ({may.text})",
        (number, patient, *may.params),
    )
    return any(told_of(r, seen(access, set(named(r.entities)))) is not None for r in (Record(*row) for row in rows))


def names(record, shown, references):
    """Does what the reader is told name one of them?"""
    about = (r for r in references if r.startswith("Patient/"))
    return not references.isdisjoint(shown) or any(identity(*r.split("/")) == record.patient for r in about)


def told_of(record, labels):
    """What of its entities the reader is told; None: the record is about hidden things alone, and hidden with them."""
    all = named(record.entities)
    others = [r for r in all if r.startswith(f"{TYPE}/")]  # who read which records of the audit is told without them
    shown = [r for r in all if r in labels]
    if record.received is not None:
        shown += [r for r in others if r == f"{TYPE}/{record.seq}"]
    if (all and not shown and not others) or (record.received is not None and len(shown) < len(all)):
        return None
    return shown


def events(told, labels, oversight, base):
    """[(Record, AuditEvent)] of (record, references told)."""
    ctx = event.context([record for record, _ in told], labels, oversight, base)
    return [(record, event.event(record, shown, ctx)) for record, shown in told]


def bundle(interaction, access, found, following):
    """The searchset, with its links."""
    tree = {"resourceType": "Bundle", "type": "searchset"}
    tree["link"] = [{"relation": "self", "url": paging.url(interaction, paging.asked(interaction))}]
    if following is not None:
        tree["link"].append({"relation": "next", "url": paging.link(interaction, access, following)})
    if found:
        tree["entry"] = [
            {"fullUrl": f"{interaction.base}/{TYPE}/{each['id']}", "resource": each, "search": {"mode": "match"}}
            for _, each in found
        ]
    touched = [Touched(TYPE, each["id"], 1, record.patient) for record, each in found]
    return Outcome(200, dump(tree), "Bundle", touched=touched)


@kept_elsewhere(TYPE, "create", "POST")
def receive(interaction, access):
    """An AuditEvent of another system: it is its own record, of one patient at most. (IHE ITI-20)"""
    require_type(Target(interaction, resource=interaction.body))
    resource = interaction.body
    if wrong := [i for i in check(resource, TYPE) if i.severity in ("error", "fatal")]:
        raise refusal(wrong)
    patients = compartments.patients_of(resource, TYPE, "", interaction.base)
    patients = list(dict.fromkeys([*patients, *entities_of_patients(resource, interaction.base)]))
    if len(patients) > 1:
        raise errors.Invalid("An AuditEvent is about one patient; send one for each. (IHE BALP)",
                             expression="AuditEvent.entity")  # fmt: skip
    actor = getattr(access, "actor", None)
    if actor is not None and covered(actor, "create", TYPE) == {"patient"} and patients != [actor.patient]:
        raise errors.Forbidden(f"The scopes of this token do not cover this create of {TYPE}.")
    text = dump(resource).decode()
    if len(text) > LARGEST:
        raise errors.TooLarge(f"The AuditEvent has {len(text)} characters; at most {LARGEST} are kept.")
    (number,) = numbers.take(1)
    touched = [Touched(*found, 1, patients[0] if patients else None) for found in what(resource, interaction.base)]
    if patients and not touched:
        touched = [Touched(TYPE, str(number), 1, patients[0])]
    now = execute("SELECT now()")[0][0]
    kept = Record(number, microseconds(now), None, "", "create", "", 201, received=text)
    return Outcome(201, dump(event.received(kept)), TYPE, str(number), 1, now, location=True, touched=touched,
                   received=text)  # fmt: skip


def what(resource, base):
    """(type, id) of each entity that is on this server."""
    found = [local(entity, base) for entity in resource.get("entity") or ()]
    return list(dict.fromkeys(each for each in found if each is not None))


def local(entity, base):
    reference = (entity.get("what") or {}).get("reference")
    return references.local(reference, base) if isinstance(reference, str) else None


def entities_of_patients(resource, base):
    return [identity(*found) for found in what(resource, base) if found[0] == "Patient"]
