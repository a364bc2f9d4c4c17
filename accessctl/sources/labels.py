"""Visibility codes: MASQUE_PS, INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX. (TRE_A07; CSP R1111-49, R1111-50)

They are judged on the current row alone: what is masked today must not stay readable as version 1.
"""

from records.sql import SQL

from ..groups import READS, WRITES
from ..labels import FROM_PATIENT, FROM_REPRESENTATIVES, MASKED
from ..pieces import attending, every, held, is_version, lacks, opened, own, some
from ..policy import policy
from . import denies, for_people

HIDDEN = "It is not to be seen by the patient, or by the proxy."


@denies
@for_people
def masked(actor, code, type, alias, pk):
    """A professional does not see what the patient masks; who deposited it does."""
    if actor.person.kind != "professional" or is_version(pk) or code not in READS | WRITES:
        return None
    hidden = SQL(f"{alias}.labels & {MASKED} <> 0 AND {alias}.author IS DISTINCT FROM %s", (actor.author,))
    exempt = []
    if policy().attendingSeesMasked and not lacks(actor.person, "attends"):
        exempt.append(every(lambda p: attending(actor.person, p), alias, pk))
    if policy().emergencyRevealsMasked and not lacks(actor.person, "opens"):
        exempt.append(every(lambda p: opened(actor.person, p), alias, pk))
    for each in exempt:
        hidden = hidden & ~each
    return hidden, "The patient masks it from professionals."


@denies
@for_people
def invisible(actor, code, type, alias, pk):
    """What a professional keeps for an announcement; what a minor keeps from the representatives."""
    person = actor.person
    if person.kind != "patient" or is_version(pk):
        return None
    if lacks(person, "represents"):
        return SQL(f"{alias}.labels & {FROM_PATIENT} <> 0"), HIDDEN
    mine = held(own(person, with_proxies=False), alias, pk)
    represented = some(lambda p: representing(person, p), alias, pk)
    secret = SQL(f"{alias}.labels & {FROM_REPRESENTATIVES} <> 0") & represented & ~known(mine)
    return SQL(f"{alias}.labels & {FROM_PATIENT} <> 0") | secret, HIDDEN


def representing(person, patient):
    return SQL(
        f"EXISTS (SELECT FROM proxy rx WHERE rx.patient = {patient} AND rx.person_id = %s"
        " AND rx.kind <> 'mandated')",  # whom a representative names is told no more
        (person.user,),
    )


def known(predicate):
    """NULL counts as no."""
    return SQL(f"coalesce({predicate.text}, FALSE)", predicate.params)
