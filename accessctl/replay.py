"""Idempotency-Key: the same POST sent again gets the same answer and has one effect. (IETF idempotency-key-header)

The answer is kept in the transaction of the effect, under a key that belongs to the principal.
"""

import json
from datetime import datetime
from hashlib import sha256

from records import errors
from records.database import execute, lock
from records.formats.json import dump, parse
from records.interactions.interaction import Outcome, Touched
from records.keys import identity
from records.keys import key as lock_key
from records.resources.compartments import ALONE_THEN

LONGEST = 255
KEPT = "24 hours"
BATCH = 5000


def replayed(key, actor, interaction, access, run):
    """The kept outcome for this key, or that of `run`, kept; 422 when the key was used for something else."""
    if key is None:
        return run()
    if not 0 < len(key) <= LONGEST or not key.isprintable():
        raise errors.BadRequest(f"Idempotency-Key must be 1 to {LONGEST} printable characters.")
    said = (interaction.conditions.if_none_exist, interaction.provenance)  # by headers that change what is done
    asked = sha256(dump([interaction.code, interaction.url, interaction.body, *said])).digest()
    lock(lock_key("replay", actor.principal, key))
    rows = execute(
        "SELECT digest, status, headers::text, body FROM replay WHERE principal = %s AND key = %s",
        (actor.principal, key),
    )
    if not rows:
        outcome = run()
        keep(actor, key, asked, interaction, outcome)
        return outcome
    digest, status, told, kept = rows[0]
    if bytes(digest) != asked:
        raise errors.Invalid("This Idempotency-Key was used for another request.")
    told = json.loads(told)
    updated = datetime.fromisoformat(told["updated"]) if told["updated"] else None
    body, touched = (kept, []) if told["type"] == "Bundle" and told["id"] is None else readable(told, access)
    return Outcome(status, body, told["type"], told["id"], told["version"], updated, told["location"],
                   touched=touched, headers={**told["headers"], "Idempotent-Replayed": "true"})  # fmt: skip


def readable(told, access):
    """(body, touched) of the version that was written, if the rights of now still show it; nothing is kept of it."""
    type, id, version = told["type"], told["id"], told["version"]
    if not told["shown"] or id is None or version is None:
        return None, []
    current, then = access.resources("read", type), access.resources("read", type, "v", "resource")
    rows = execute(
        f"SELECT v.body, {ALONE_THEN} FROM resource r JOIN version v ON v.resource = r.pk"
        f" WHERE r.identity = %s AND v.version = %s AND NOT r.deleted AND ({current.text}) AND ({then.text})",
        (identity(type, id), version, *current.params, *then.params),
    )
    return (rows[0][0], [Touched(type, id, version, rows[0][1])]) if rows else (None, [])


def keep(actor, key, asked, interaction, outcome):
    """What may be told again: of resources their names only, of a Bundle its answers without the resources."""
    told = {
        "type": outcome.type, "id": outcome.id, "version": outcome.version, "location": outcome.location,
        "updated": outcome.updated.isoformat() if outcome.updated else None, "headers": outcome.headers,
        "shown": outcome.body is not None and not interaction.operation,
    }  # fmt: skip
    body = without_resources(outcome.body) if outcome.type == "Bundle" and outcome.id is None else None
    execute(
        "INSERT INTO replay (principal, key, digest, status, headers, body, at) VALUES (%s, %s, %s, %s, %s, %s, now())",
        (actor.principal, key, asked, outcome.status, json.dumps(told), body),
    )


def without_resources(body):
    """The answer to a Bundle, without what Prefer: return=representation or a GET put into it."""
    answer = parse(bytes(body) if isinstance(body, bytes | memoryview) else dump(body))
    for entry in answer.get("entry", ()):
        entry.pop("resource", None)
    return dump(answer)


def purge():
    """Forget what is older than its time; True when there is more."""
    gone = execute(
        "DELETE FROM replay WHERE ctid = ANY(ARRAY(SELECT ctid FROM replay WHERE at < now() - %s::interval LIMIT %s))"
        " RETURNING 1",
        (KEPT, BATCH),
    )
    return len(gone) == BATCH
