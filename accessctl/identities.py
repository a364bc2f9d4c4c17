"""A qualified INS is one Patient: unique by a primary key, and resolved for who sends it, to an id and nothing else.

Who may add to records sends the identity that a document is about, also of a patient whose record stays closed to the
sender. Such a create is answered with the Patient that has this INS: 200, its Location, no body. The whole identifier
is needed; the answer is recorded, counted by the minute, and comes from one function of the database. Who may not add
Patients learns nothing by trying.
(access rules: feeding; RNIV EXI SI 08)
"""

from hashlib import sha256

from django.dispatch import receiver

from records import errors
from records.database import as_system, execute, lock
from records.formats.json import parse
from records.interactions.writing import recognises
from records.keys import key
from records.resources.rules.patient import INS
from records.signals import resources_written

from .policy import policy

RELIABILITY = "/fr-core-identity-reliability"
STATUS = "identityStatus"
QUALIFIED = ("QUAL", "VALI")  # FR Core 2.1.0 says VALI in its invariants, later versions QUAL
TYPES = ("INS-NIR", "INS-NIA", "INS-NIR-TEST", "INS-NIR-DEMO")
BUSY = 60  # seconds


def digests(resource):
    """Of each INS that this Patient is qualified to be known by; NH under the same system is a number for billing."""
    if not is_qualified(resource):
        return []
    found = [
        f"{each['system']}|{each['value']}"
        for each in parts(resource, "identifier")
        if isinstance(each.get("system"), str) and each["system"] in INS and isinstance(each.get("value"), str)
        and each.get("use") != "old" and any(c.get("code") in TYPES for c in codings(each))
    ]  # fmt: skip
    return [sha256(each.encode()).digest() for each in dict.fromkeys(found)]


def codings(identifier):
    type = identifier.get("type")
    return parts(type, "coding") if isinstance(type, dict) else []


def parts(element, name):
    """The elements of that name: this is asked before the resource is checked, of whatever was sent."""
    found = element.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def is_qualified(resource):
    """Does its identity reliability say so?"""
    for extension in parts(resource, "extension"):
        if str(extension.get("url")).endswith(RELIABILITY):
            for inner in parts(extension, "extension"):
                value = inner.get("valueCoding")
                if inner.get("url") == STATUS and isinstance(value, dict) and value.get("code") in QUALIFIED:
                    return True
    return False


@recognises("Patient")
def existing(resource, access):
    """The id of the Patient that has this INS, or None; two that bring a new one wait for each other."""
    asked = digests(resource)
    if not asked:
        return None
    lock(*(key("ins", each.hex()) for each in asked))
    actor = getattr(access, "actor", None)
    person = actor.person if actor is not None else None
    if person is not None and person.kind != "professional":
        return None
    most = 2**31 - 1 if actor is None else policy().insPerMinute["client" if person is None else "person"]
    rows = execute("SELECT id, allowed FROM resolve_ins(%s, %s, %s)", (access.principal, asked, most))
    if not rows:
        return None
    ((id, allowed),) = rows
    if not allowed:
        raise errors.TooManyRequests(BUSY)
    return id


@receiver(resources_written)
def patients_were_written(batch, access, **_):
    """Each qualified INS belongs to the Patient that was written with it; to two at once it cannot."""
    written = [d for d in batch if d.type == "Patient"]
    if not written:
        return
    person = getattr(getattr(access, "actor", None), "person", None)
    if person is not None and person.kind != "professional":
        for d in written:
            brings_no_ins(d)
    claims = [(d.pk, digest) for d in written if d.resource is not None for digest in digests(d.resource)]
    if not claims and all(d.version == 1 for d in written):
        return
    held = execute(
        "SELECT claim_ins(%s, %s, %s)",
        ([d.pk for d in written], [pk for pk, _ in claims], [digest for _, digest in claims]),
    )[0][0]
    if held != len(claims):
        raise errors.Conflict("A Patient with this qualified INS exists.")


def brings_no_ins(d):
    """Whether an INS is known is not to be tried out by who adds no Patients: refused before it is looked at."""
    if d.resource is None:
        return
    with as_system():
        rows = execute("SELECT body FROM version WHERE resource = %s AND version = %s", (d.pk, d.version - 1))
    before = digests(parse(bytes(rows[0][0]))) if rows and rows[0][0] is not None else []
    if set(digests(d.resource)) - set(before):
        raise errors.Forbidden(f"The access given does not allow this {'update' if rows else 'create'} of Patient.")
