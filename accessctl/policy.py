"""What depends on a country and on a decision, as data: accessctl/data/policy-fr.json."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Policy:
    """The switches."""

    version: str
    attendingSeesMasked: bool  # the attending doctor sees what the patient hides from professionals
    emergencyRevealsMasked: bool  # France 2026: no, the patient may hide even in an emergency; EHDS art. 11(5): yes
    blocksBindEmergency: bool
    openingMinutes: int
    emergencyProfessions: list
    regulationProfessions: list
    insPerMinute: dict  # Patients found by their qualified INS: of a person, of a client without one
    forbiddenPurposes: list  # insurance, employment, marketing: refused whatever the patient says (CSP L1111-18)


@cache
def policy():
    """The policy in force."""
    return Policy(**json.loads((DATA / "policy-fr.json").read_text()))
