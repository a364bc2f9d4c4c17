"""Insurance, employment and marketing are refused, whatever the patient says. (CSP L1111-18)"""

from records.sql import FALSE, TRUE

from ..policy import policy
from . import ceiling, for_people


@ceiling
@for_people
def lawful(actor, code, type, alias, pk):
    if actor.purpose in policy().forbiddenPurposes:
        return FALSE, f"The purpose {actor.purpose} is forbidden."
    return TRUE, "The purpose is not a forbidden one."
