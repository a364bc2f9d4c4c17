"""SQL that several sources say: dated rows, the patients of a row, who the actor stands for."""

from records.sql import SQL

MEMBERS = "SELECT FROM compartment cm WHERE cm.resource = {row}"


def dated(alias):
    """The row of that alias holds now."""
    return f"{alias}.since <= now() AND ({alias}.until IS NULL OR {alias}.until > now())"


def is_version(pk):
    """Is the row one of `version`, not of `resource`?"""
    return pk != "pk"


def newest(alias, pk):
    """The version is the current one: of it alone the members of `compartment` are known."""
    return f"EXISTS (SELECT FROM resource nv WHERE nv.pk = {alias}.{pk} AND nv.version = {alias}.version)"


def every(condition, alias, pk):
    """Each patient of the row satisfies it, (SQL of a patient's key) -> SQL; a row of nobody does not."""
    first, other = condition(f"{alias}.patient"), condition("cm.patient")
    members = f"NOT EXISTS ({MEMBERS.format(row=f'{alias}.{pk}')} AND NOT ({other.text}))"
    if is_version(pk):
        members += f" AND {newest(alias, pk)}"
    return SQL(
        f"{alias}.patient IS NOT NULL AND ({first.text}) AND (NOT {alias}.shared OR ({members}))",
        first.params + other.params,
    )


def some(condition, alias, pk):
    """At least one patient of the row satisfies it."""
    first, other = condition(f"{alias}.patient"), condition("cm.patient")
    return SQL(
        f"({first.text}) OR ({alias}.shared AND EXISTS ({MEMBERS.format(row=f'{alias}.{pk}')} AND ({other.text})))",
        first.params + other.params,
    )


def own(person, with_proxies=True):
    """An array: the patient that the person is, and those represented now."""
    if not with_proxies or lacks(person, "represents"):
        return SQL("ARRAY[%s::bigint]", (person.patient,))
    return SQL(
        f"ARRAY(SELECT %s::bigint UNION ALL SELECT px.patient FROM proxy px WHERE px.person_id = %s AND {dated('px')})",
        (person.patient, person.user),
    )


def held(patients, alias, pk):
    """The row is in the record of one of the patients (an array)."""
    known = f" AND {newest(alias, pk)}" if is_version(pk) else ""
    members = f"{MEMBERS.format(row=f'{alias}.{pk}')} AND cm.patient = ANY({patients.text}){known}"
    return SQL(
        f"{alias}.patient = ANY({patients.text}) OR ({alias}.shared AND EXISTS ({members}))",
        patients.params * 2,
    )


def lacks(person, what):
    """Is it known of the person that there is nothing of the kind (a name of Standing) now?"""
    return person.standing is not None and not getattr(person.standing, what)


def attending(person, patient):
    """The person is the attending doctor of the patient (SQL of a key)."""
    return SQL(
        f"EXISTS (SELECT FROM attending_doctor ad WHERE ad.patient = {patient} AND ad.person_id = %s"
        f" AND {dated('ad')})",
        (person.user,),
    )


def opened(person, patient):
    """The person has broken the glass of the patient, and the time is not over."""
    return SQL(
        f"EXISTS (SELECT FROM opening op WHERE op.patient = {patient} AND op.person_id = %s AND {dated('op')})",
        (person.user,),
    )
