"""Idempotency-Key: the same POST sent again gets the same answer and has one effect. (IETF idempotency-key-header)

The answer is kept in the transaction of the effect, under a key that belongs to the principal.
"""

import json
from datetime import datetime
from hashlib import sha256

from records import errors
from records.database import execute, lock
from records.formats.json import dump
from records.interactions.interaction import Outcome
from records.keys import key as lock_key

LONGEST = 255


def replayed(key, actor, interaction, run):
    """The kept outcome for this key, or that of `run`, kept; 422 when the key was used for something else."""
    if key is None:
        return run()
    if not 0 < len(key) <= LONGEST or not key.isprintable():
        raise errors.BadRequest(f"Idempotency-Key must be 1 to {LONGEST} printable characters.")
    asked = sha256(dump([interaction.code, interaction.url, interaction.body])).digest()
    lock(lock_key("replay", actor.principal, key))
    rows = execute(
        "SELECT digest, status, headers::text, body FROM replay WHERE principal = %s AND key = %s",
        (actor.principal, key),
    )
    if not rows:
        outcome = run()
        keep(actor, key, asked, outcome)
        return outcome
    digest, status, told, body = rows[0]
    if bytes(digest) != asked:
        raise errors.Invalid("This Idempotency-Key was used for another request.")
    told = json.loads(told)
    updated = datetime.fromisoformat(told["updated"]) if told["updated"] else None
    return Outcome(status, body, told["type"], told["id"], told["version"], updated, told["location"],
                   headers={**told["headers"], "Idempotent-Replayed": "true"})  # fmt: skip


def keep(actor, key, asked, outcome):
    told = {
        "type": outcome.type, "id": outcome.id, "version": outcome.version, "location": outcome.location,
        "updated": outcome.updated.isoformat() if outcome.updated else None, "headers": outcome.headers,
    }  # fmt: skip
    body = outcome.body if outcome.body is None or isinstance(outcome.body, bytes) else dump(outcome.body)
    execute(
        "INSERT INTO replay (principal, key, digest, status, headers, body, at) VALUES (%s, %s, %s, %s, %s, %s, now())",
        (actor.principal, key, asked, outcome.status, json.dumps(told), body),
    )
