"""What patients consented to: rules compiled from their active privacy Consents, judged by the database's clock.

A nested provision is an exception to the one around it. Of several Consents, a deny beats a permit. What carries a
restricting label (R, V, HIV ...) needs a permit that names it. (IHE PCF)
"""

from records.definitions.structures import type_number
from records.resources.models import NO_DATE
from records.sql import SQL, TRUE, any_of

from ..groups import PATIENTS, READS
from ..labels import CLOSED
from ..pieces import attending, dated, every, is_version, lacks, opened, some
from ..policy import policy
from ..purposes import ORDINARY
from ..standing import array
from . import denies, for_people, permits, within

EMERGENCY = ("BTG", "ETREAT")
DEFAULT = "TREAT"
ASKED = READS | {"update", "patch", "delete"}
PLAIN = "c.data_since IS NULL AND c.data_until IS NULL AND c.labelled = 0 AND c.instance IS NULL AND c.authored IS NULL"


def grantees(person):
    """Whom a rule that is about the actor names: everybody, the person, those for whom the person acts."""
    named = person.practitioner or 0
    if person.standing is not None:
        return array((0, named, *person.standing.parties))
    return SQL(
        f"ARRAY(SELECT mb.party_key FROM membership mb WHERE mb.person_id = %s AND {dated('mb')}"
        " UNION ALL VALUES (0::bigint), (%s::bigint))",
        (person.user, named),
    )


def silent(actor, code, type):
    """Does consent say nothing of it? Feeding is a right apart, and who may write a Consent is no professional."""
    if actor.person.kind != "professional" or type not in PATIENTS or code not in ASKED:
        return True
    return type in ("Consent", "AuditEvent") and code not in READS


@permits
@for_people
def permitted(actor, code, type, alias, pk):
    """Each patient of the row permits it."""
    if silent(actor, code, type):
        return None
    return every(lambda p: permit(actor, alias, pk, p), alias, pk), "An active consent of each patient permits it."


@within(permitted)
def permitting(actor, code, type):
    """Who has a rule that permits anything to the actor, for whatever purpose and time."""
    named = naming(actor, code, type)
    return SQL(f"SELECT c.patient FROM consent_rule c WHERE c.permit AND c.grantee = 0 UNION ALL {named.text}",
               named.params)  # fmt: skip


def naming(actor, code, type):
    """The same, of those who name the actor, or a party that the actor belongs to."""
    named = grantees(actor.person)
    return SQL(
        f"SELECT c.patient FROM consent_rule c WHERE c.permit AND c.grantee <> 0 AND c.grantee = ANY({named.text})",
        named.params,
    )


@denies
@for_people
def denied(actor, code, type, alias, pk):
    """A patient of the row denies it, and no exception of the same Consent permits it."""
    if silent(actor, code, type):
        return None
    return some(lambda p: deny(actor, alias, pk, p), alias, pk), "An active consent of a patient denies it."


@denies
@for_people
def told(actor, code, type, alias, pk):
    """Whom a patient shuts out, and of what, is told to no professional, whatever permits. (EHDS art. 8)"""
    if actor.person.kind != "professional" or type != "Consent" or code not in READS:
        return None
    return TRUE, "A Consent is the patient's; no professional learns what it restricts."


def permit(actor, alias, pk, patient):
    """Rules about the whole record first: their probe does not depend on the row."""
    rule = to_actor(actor, patient, "c") & SQL("c.permit")
    row = data(alias, pk, "c", unknown=False)
    exempt = SQL(f"{alias}.labels & {CLOSED} = 0") | excepted(actor, alias, patient)
    return SQL(
        f"(({exempt.text}) AND EXISTS (SELECT FROM consent_rule c WHERE {rule.text} AND {PLAIN}))"
        f" OR EXISTS (SELECT FROM consent_rule c WHERE {rule.text} AND {row.text}"
        f" AND (({exempt.text}) OR {alias}.labels & {CLOSED} & ~c.cover = 0))",
        exempt.params + rule.params + rule.params + row.params + exempt.params,
    )


def deny(actor, alias, pk, patient):
    """A rule of depth 0 yields to an exception of its own Consent; an exception yields to nothing.

    Whether there is any is asked first: most patients have none, and where all rows are of one it is asked once.
    """
    any_rule = to_actor(actor, patient, "c") & SQL("NOT c.permit")
    rule = any_rule & data(alias, pk, "c", unknown=True)
    above = to_actor(actor, patient, "x") & data(alias, pk, "x", unknown=False)
    # what says nothing of purposes and names nobody is the ordinary "no": breaking the glass is for that
    spared = ~(SQL("c.grantee = 0 AND c.purposes IS NULL") & opened(actor.person, patient))
    if lacks(actor.person, "opens"):
        spared = TRUE
    return SQL(
        f"EXISTS (SELECT FROM consent_rule c WHERE {any_rule.text}) AND"
        f" EXISTS (SELECT FROM consent_rule c WHERE {rule.text} AND NOT (c.depth = 0 AND EXISTS (SELECT FROM"
        f" consent_rule x WHERE x.consent = c.consent AND x.permit AND x.depth = 1 AND {above.text}"
        f" AND {alias}.labels & {CLOSED} & ~x.cover = 0)) AND {spared.text})",
        any_rule.params + rule.params + above.params + spared.params,
    )


def to_actor(actor, patient, rule):
    """Rules of the patient that are about the actor, for the purpose asked, now."""
    person = actor.person
    named = grantees(person)
    purpose = any_of(
        [SQL(f"{rule}.purposes IS NULL"), *(SQL(f"%s = ANY({rule}.purposes)", (p,)) for p in asked(actor))]
    )
    if not lacks(person, "opens"):
        purpose |= SQL(f"{rule}.purposes && ARRAY['BTG', 'ETREAT']::varchar[]") & opened(person, patient)
    return SQL(
        f"{rule}.patient = {patient} AND {rule}.grantee = ANY({named.text}) AND {rule}.among = ANY({named.text})"
        f" AND ({rule}.since IS NULL OR {rule}.since <= now()) AND ({rule}.until IS NULL OR {rule}.until > now())"
        f" AND ({purpose.text})",
        named.params * 2 + purpose.params,
    )


def asked(actor):
    """The purposes that count: with any word for care also care itself, so that no rule about it is evaded by a word.

    A word in a token breaks no glass.
    """
    stated = DEFAULT if actor.purpose in (None, *EMERGENCY) else actor.purpose
    return [stated, DEFAULT] if stated in ORDINARY else [stated]


def data(alias, pk, rule, unknown):
    """The row is among the data of the rule; `unknown`: what holds of a row whose date nobody knows."""
    if is_version(pk):
        date = (
            f"(SELECT nullif(dr.occurred, {NO_DATE}) FROM resource dr"
            f" WHERE dr.pk = {alias}.{pk} AND dr.version = {alias}.version)"
        )
        same = f"EXISTS (SELECT FROM resource sr WHERE sr.pk = {alias}.{pk} AND sr.identity = {rule}.instance)"
    else:
        date, same = f"nullif({alias}.occurred, {NO_DATE})", f"{alias}.identity = {rule}.instance"
    else_ = "TRUE" if unknown else "FALSE"
    same = f"{same} OR ({rule}.related IS NOT NULL AND coalesce({related(alias, pk, rule, unknown)}, {else_}))"
    return SQL(
        f"({rule}.data_since IS NULL OR coalesce({date} >= {rule}.data_since, {else_}))"
        f" AND ({rule}.data_until IS NULL OR coalesce({date} <= {rule}.data_until, {else_}))"
        f" AND ({rule}.labelled = 0 OR {alias}.labels & {rule}.labelled <> 0)"
        f" AND ({rule}.instance IS NULL OR {same})"
        f" AND ({rule}.authored IS NULL OR EXISTS (SELECT FROM person ap"
        f" WHERE ap.author_key = {alias}.author AND ap.practitioner_key = {rule}.authored))"
    )


def related(alias, pk, rule, unknown):
    """The row names the encounter, care plan or episode of the rule; for a deny also what that names.

    The bytes are asked, not the index: they are there with the write, and not every reference is a search parameter.
    """
    named = f"convert_to({rule}.related, 'UTF8')"
    names = " OR ".join(f"position({named} || '{end}'::bytea IN {alias}.body) > 0" for end in ('"', "/"))
    if not unknown:
        return f"({names})"
    other = f"{alias}.type <> {type_number('Patient')}"  # every encounter names its patient
    return f"(({names}) OR ({other} AND public.related_names({rule}.instance, {alias}.{pk})))"


def excepted(actor, alias, patient):
    """Labels do not hold against the author, nor, where the policy says so, against the attending doctor."""
    author = SQL(f"{alias}.author IS NOT DISTINCT FROM %s::bigint", (actor.author,))
    spared = policy().attendingSeesMasked and not lacks(actor.person, "attends")
    return author | attending(actor.person, patient) if spared else author
