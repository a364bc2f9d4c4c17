"""Checkpoints: the size and root of the tree, signed. (C2SP tlog-checkpoint, signed-note; Ed25519 of RFC 8032)

fhirserver/audit                 the log
1234                             its size
qJYK...=                         its root
number 17                        which checkpoint this is
time 2026-11-23T14:26:16.123456Z
previous 9bVq...=                SHA-256 of the text of the one before; - for the first

- fhirserver/audit 3Sk...=       (an em dash) the signature over all lines above
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ORIGIN = "fhirserver/audit"
ED25519 = b"\1"  # signed-note's number for it
NONE = "-"
NOTE = re.compile(
    rf"(?P<text>{ORIGIN}\n(?P<size>\d{{1,19}})\n(?P<root>\S{{44}})\nnumber (?P<number>\d{{1,19}})\n"
    rf"time (?P<time>\S{{1,40}})\nprevious (?P<previous>-|\S{{44}})\n)\n— {ORIGIN} (?P<signature>\S{{90,100}})\n"
)


class BadCheckpoint(Exception):
    """It is not one, or nobody we know signed it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    number: int
    size: int
    root: bytes
    time: datetime
    previous: str  # base64 of the digest, or -

    @property
    def text(self):
        root = base64.b64encode(self.root).decode()
        time = self.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return f"{ORIGIN}\n{self.size}\n{root}\nnumber {self.number}\ntime {time}\nprevious {self.previous}\n"

    @property
    def digest(self):
        """What the next one names as its previous."""
        return base64.b64encode(sha256(self.text.encode()).digest()).decode()


def sign(checkpoint):
    """The signed note."""
    secret = signing_key()
    public = raw(secret.public_key())
    signature = base64.b64encode(fingerprint(public) + secret.sign(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n— {ORIGIN} {signature}\n"


def read(note, among):
    """The Checkpoint of a note that one of these public keys (32 bytes each) has signed, else BadCheckpoint."""
    found = NOTE.fullmatch(note)
    if found is None:
        raise BadCheckpoint("it is not a checkpoint")
    try:
        signature = base64.b64decode(found["signature"], validate=True)
        time = datetime.strptime(found["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        root = base64.b64decode(found["root"], validate=True)
    except ValueError as error:
        raise BadCheckpoint("it is not a checkpoint") from error
    for public in among:
        if fingerprint(public) != signature[:4]:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], found["text"].encode())
        except InvalidSignature:
            break
        return Checkpoint(int(found["number"]), int(found["size"]), root, time, found["previous"])
    raise BadCheckpoint("its signature is not of a key we know")


# -- keys ----------------------------------------------------------------------------------------------------------


def signing_key(position=0):
    """The private key: made from the secret, so that any long random text will do."""
    secrets = [part.strip() for part in settings.FHIRSERVER_AUDIT_SIGNING_KEY.split(",") if part.strip()]
    if not secrets:
        raise ImproperlyConfigured("FHIRSERVER_AUDIT_SIGNING_KEY is not set: the audit cannot be sealed.")
    return Ed25519PrivateKey.from_private_bytes(sha256(b"fhirserver/audit\n" + secrets[position].encode()).digest())


def public_keys():
    """Of each signing key that is set, 32 bytes."""
    count = len([part for part in settings.FHIRSERVER_AUDIT_SIGNING_KEY.split(",") if part.strip()])
    return [raw(signing_key(n).public_key()) for n in range(count)]


def raw(public):
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(public):
    """The four bytes by which a signature names its key."""
    return sha256(ORIGIN.encode() + b"\n" + ED25519 + public).digest()[:4]


def shown(public):
    """A public key as text: the verifier key of signed-note."""
    return f"{ORIGIN}+{fingerprint(public).hex()}+{base64.b64encode(ED25519 + public).decode()}"


def known(text):
    """The public key of such a text; ValueError when it is none."""
    name, mark, encoded = text.strip().split("+", 2)
    found = base64.b64decode(encoded, validate=True)
    public = found[1:]
    if name != ORIGIN or found[:1] != ED25519 or len(public) != 32 or fingerprint(public).hex() != mark:
        raise ValueError("not a public key of an audit")
    return public
