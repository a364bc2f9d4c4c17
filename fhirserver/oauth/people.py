"""Which records a person may take along into an application: those that a search in the person's name finds."""

import uuid
from dataclasses import dataclass, replace

from accessctl.actor import Trusted
from accessctl.audit import settle
from accessctl.explain import actor_of
from records import errors
from records.formats.json import dump, parse
from records.interactions.interaction import Interaction

from ..endpoint import execute

SHOWN = 20  # records on the page; more are found by name
SCOPE = "user/Patient.rs"


@dataclass
class Choice:
    """Records to choose from."""

    rows: list
    more: bool
    name: str

    @property
    def searched(self):
        return bool(self.name)


def choice(reader, here, name=""):
    """The first records that this person may see, perhaps of a name."""
    asked = (("_count", str(SHOWN + 1)),) + ((("name", name),) if name else ())
    found = asks(reader, Interaction("search-type", "type", "Patient", parameters=asked, base=here))
    rows = [shown(e["resource"]) for e in found.get("entry", ()) if e["search"]["mode"] == "match"]
    return Choice(rows[:SHOWN], len(rows) > SHOWN, name)


def one(reader, here, id):
    """The record of this id, if this person may see it."""
    patient = found(reader, Interaction("read", "instance", "Patient", id, base=here))
    return patient and shown(patient)


def person(user, client, purpose=None):
    """The person as an actor who reads through this client."""
    return replace(actor_of(user.get_username(), SCOPE, purpose or None), client=client.name)


def found(actor, interaction):
    """The resource that is read, or None when it is not there for this actor."""
    try:
        return asks(actor, interaction)
    except (errors.NotFound, errors.Gone, errors.InvalidId, errors.Forbidden):
        return None


def asks(actor, interaction):
    """The answer as a tree: judged and recorded as what this actor asks."""
    outcome = execute(interaction, Trusted(actor), uuid.uuid4())
    settle(outcome.recorded)
    return parse(bytes(outcome.body) if isinstance(outcome.body, bytes | memoryview) else dump(outcome.body))


def shown(patient):
    """What names a record to a person."""
    name = next((n for n in patient.get("name", ()) if n.get("use") != "old"), {})
    text = name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip()
    return {"id": patient["id"], "name": text or patient["id"], "born": patient.get("birthDate", "")}
