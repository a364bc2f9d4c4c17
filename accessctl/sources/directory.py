"""The directory and the definitions are readable by everybody who is known."""

from records.sql import SQL

from ..groups import DIRECTORY, READS
from . import for_people, permits


@permits
@for_people
def directory(actor, code, type, alias, pk):
    if type not in DIRECTORY or code not in READS:
        return None
    return SQL(f"{alias}.patient IS NULL"), f"{type} is directory or definition."
