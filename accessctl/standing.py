"""What is so of a person as a whole, now: for whom they act, what their profession opens, what was granted at all.

It comes with the token, in the round trip of a request's first statement, and is compared like it (actor.py). The
predicate then says nothing of grants to who has none, and names the parties instead of asking for them in each of its
subqueries: it is a third as long, and as much cheaper to plan, to keep and to run. Of another time, or of somebody whom
no token speaks for, there is no Standing: then the sources ask the database, row by row, with the same result.
"""

from typing import NamedTuple

from records.sql import SQL

from .pieces import dated

NOT_NOW = SQL("0 = 1")  # a source that has nothing to say of this person at this time; FALSE says that it never has


class Standing(NamedTuple):
    """Of each that is False, no row speaks of the person."""

    parties: tuple[int, ...]  # keys of those for whom they act
    classes: tuple[int, ...]  # of data, that the matrix opens to their profession
    opens: bool  # the glass of some record is broken
    attends: bool  # as the attending doctor of somebody
    blocked: bool  # by some patient
    granted: bool  # something, or withheld, by a grant
    represents: bool  # somebody, now or before


GRANTS = " UNION ALL ".join(
    f"SELECT 1 FROM {table}_user_permission gu WHERE gu.user_id = p.user_id"
    f" UNION ALL SELECT 1 FROM auth_user_groups ag JOIN {table}_group_permission gg ON gg.group_id = ag.group_id"
    " WHERE ag.user_id = p.user_id"
    for table in ("dossier", "resource")
)
# what follows the columns of a `person p` in a SELECT
COLUMNS = ", ".join((
    f"ARRAY(SELECT mb.party_key FROM membership mb WHERE mb.person_id = p.user_id AND {dated('mb')} ORDER BY 1)",
    f"ARRAY(SELECT mx.category FROM matrix mx WHERE mx.profession = p.profession AND mx.permit AND {dated('mx')}"
    " ORDER BY 1)",
    f"EXISTS (SELECT FROM opening op WHERE op.person_id = p.user_id AND {dated('op')})",
    f"EXISTS (SELECT FROM attending_doctor ad WHERE ad.person_id = p.user_id AND {dated('ad')})",
    f"EXISTS (SELECT FROM block bl WHERE bl.person_id = p.user_id AND {dated('bl')})",
    f"EXISTS ({GRANTS})",
    "EXISTS (SELECT FROM proxy px WHERE px.person_id = p.user_id)",
))  # fmt: skip


def standing(row):
    """The Standing of what COLUMNS said."""
    parties, classes, *flags = row
    return Standing(tuple(parties), tuple(classes), *flags)


def array(numbers, type="bigint"):
    """The numbers as one parameter, in SQL that can be compared and kept."""
    return SQL(f"%s::{type}[]", ("{" + ",".join(map(str, numbers)) + "}",))
