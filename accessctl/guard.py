"""What a person may not change in a resource that may be written: its labels, its record, whom it speaks of inside.

The access predicate judges rows, before and after; this judges the difference, in the same transaction. (attacks A43,
A44, A46, A49; CSP R1111-49)
"""

from django.dispatch import receiver

from records.database import as_system, execute
from records.errors import Forbidden, Invalid
from records.formats.json import parse
from records.resources import labels
from records.resources.compartments import patients_of
from records.resources.naming import NAMING
from records.signals import resources_written

from .labelling import MARK, sensitive
from .labels import BY_PATIENT, FROM_PATIENT, FROM_REPRESENTATIVES
from .pieces import own

FROM_PEOPLE = FROM_PATIENT | FROM_REPRESENTATIVES
MOST_NAMED = 500  # by a Provenance of a person


@receiver(resources_written)
def people_wrote(batch, access, **_):
    """Judge each write of a person; a refusal undoes the transaction."""
    actor = getattr(access, "actor", None)
    if actor is None or actor.person is None:
        return
    names_no_more_than_is_judged([d for d in batch if d.type in NAMING])
    before = previous([d for d in batch if d.version > 1])
    for d in batch:
        if d.resource is None:
            continue
        speaks_of_its_patients_alone(d, actor)
        if d.pk in before:
            body, bits, author = before[d.pk]
            stays_in_its_record(d, body)
            changes_what_it_may(d, body, bits, author == actor.author, actor)


@as_system()
def previous(written):
    """pk -> (tree, labels, author) of the version before; of what was deleted, of the last that there was.

    Else who writes under its id again would write in the name of its author, without its labels, where it likes.
    """
    if not written:
        return {}
    rows = execute(
        "SELECT v.resource, v.body, v.labels, v.author FROM unnest(%s::bigint[], %s::int[]) AS w(r, n)"
        " CROSS JOIN LATERAL (SELECT * FROM version o WHERE o.resource = w.r AND o.version < w.n"
        " AND o.body IS NOT NULL ORDER BY o.version DESC LIMIT 1) v",
        ([d.pk for d in written], [d.version for d in written]),
    )
    return {pk: (parse(bytes(body)), bits, author) for pk, body, bits, author in rows}


def names_no_more_than_is_judged(written):
    """Whoever meets a Provenance in a search waits until all that any of its versions names was judged."""
    if written and execute(
        "SELECT FROM naming WHERE resource = ANY(%s) GROUP BY resource HAVING count(*) > %s LIMIT 1",
        ([d.pk for d in written], MOST_NAMED),
    ):
        raise Invalid(
            f"A Provenance names at most {MOST_NAMED} resources; write several, or fewer resources at once.",
            expression="Provenance.target",
        )


def stays_in_its_record(d, before):
    """Nobody moves an entry into the record of another patient."""
    if set(patients_of(d.resource, d.type, d.id)) != set(patients_of(before, d.type, d.id)):
        raise Forbidden(f"The access given does not allow this change of the patient of {d.type}/{d.id}.")


def changes_what_it_may(d, before, bits, is_author, actor):
    """A patient masks and unmasks; a professional sets what is not for patients, and raises confidentiality."""
    after = labels.bits(d.resource)
    added, taken = after & ~bits, bits & ~after
    if actor.person.kind == "patient":
        foreign = (added | taken) & ~BY_PATIENT
        if not is_author and d.type != "Consent" and content(before) != content(d.resource):
            raise Forbidden(f"Only the author changes {d.type}/{d.id}; a patient may mask it.")
    else:
        foreign = (added | taken) & BY_PATIENT
        if not is_author:
            foreign |= taken & ~FROM_PEOPLE
    if foreign and foreign & ~given(d, before, taken):
        raise Forbidden(f"The access given does not allow this change of the security labels of {d.type}/{d.id}.")


def given(d, before, taken):
    """The labels that come and go with the content: of its codes, and of its parts."""
    found = d.risen | by_rule(d.resource, d.type)
    if taken & ~found:
        found |= taken & (by_rule(before, d.type) | labels.of_parts(before, d.type))
    return found


def by_rule(resource, type):
    """The labels that its codes give it."""
    found = 0
    for label in sensitive(resource, type):
        found |= labels.BITS[label]
    return found


def content(resource):
    """The tree without what labelling changes."""
    meta = {k: v for k, v in (resource.get("meta") or {}).items() if k not in ("security", "versionId", "lastUpdated")}
    meta["tag"] = [t for t in meta.get("tag") or () if t.get("system") != MARK]
    told = {"securityLabel": unmasked(resource)} if resource["resourceType"] == "DocumentReference" else {}
    return {**{k: v for k, v in resource.items() if k != "meta"}, "meta": meta, **told}


def unmasked(document):
    """The labels of a document but those that a patient sets and lifts, which count as those of its meta do."""
    found = []
    for each in document.get("securityLabel") or ():
        codings = [c for c in each.get("coding") or () if not masks(c)]
        if codings or each.keys() - {"coding"}:
            found.append({**each, "coding": codings})
    return found


def masks(coding):
    """Is it a label of the patient's, and nothing else?"""
    bit = labels.BITS.get((coding.get("system"), coding.get("code")), 0)
    return bool(bit & BY_PATIENT) and coding.keys() <= {"system", "code", "display"}


def speaks_of_its_patients_alone(d, actor):
    """What is contained, or wrapped in a stored Bundle, is of the patients of the resource around it."""
    inner = list(d.resource.get("contained") or ())
    if d.type == "Bundle":
        inner += [e["resource"] for e in d.resource.get("entry") or () if isinstance(e.get("resource"), dict)]
    told = {p for each in inner for p in patients_of(each, each.get("resourceType"), each.get("id") or "")}
    if d.type != "Bundle":
        told -= set(patients_of(d.resource, d.type, d.id))
        told -= {p for each in inner if each.get("resourceType") == "Patient"
                 for p in patients_of(each, "Patient", each.get("id") or "")}  # fmt: skip
    elif actor.person.kind != "patient":
        return  # a professional's document is its author's alone
    if told and actor.person.kind == "patient":
        mine = own(actor.person)
        told -= set(execute(f"SELECT {mine.text}", mine.params)[0][0])
    if told:
        raise Forbidden(f"The access given does not allow {d.type} to hold data of another patient.")
