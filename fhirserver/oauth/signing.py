"""Our own keys and what they sign: id_tokens, RS256. A key is made at first need and kept in the database.

Its private part is encrypted under FHIRSERVER_SECRET_KEY: whoever has the database alone cannot sign. Under another
secret key a new one is made; the old public keys stay published.
"""

import base64
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import connection, transaction
from joserfc import jwt
from joserfc.jwk import RSAKey

from accessctl.smart.tables import SigningKey

BITS = 2048
MAKING = 0x53_4D_41_52_54  # advisory lock: one process makes the first key


def vault():
    """What encrypts private keys."""
    return Fernet(base64.urlsafe_b64encode(sha256(b"signing-key\0" + settings.SECRET_KEY.encode()).digest()))


def signing_key():
    """The newest key that we can open; made when there is none."""
    return newest() or made()


def newest():
    for row in SigningKey.objects.order_by("-created", "kid"):
        try:
            return RSAKey.import_key(vault().decrypt(bytes(row.private)), {"kid": row.kid})
        except InvalidToken:  # of another secret key
            continue
    return None


@transaction.atomic
def made():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING,))
    if found := newest():
        return found
    fresh = RSAKey.generate_key(BITS)
    kid = fresh.thumbprint()
    key = RSAKey.import_key(fresh.as_pem(private=True), {"kid": kid, "use": "sig", "alg": "RS256"})
    public = key.as_dict(private=False) | {"kid": kid, "use": "sig", "alg": "RS256"}
    SigningKey.objects.create(kid=kid, public=public, private=vault().encrypt(fresh.as_pem(private=True)))
    return key


def public_keys():
    """Bare public JWKs, newest first; makes the first one."""
    signing_key()
    return [row.public for row in SigningKey.objects.order_by("-created", "kid")]


def signed(claims):
    """A JWT of ours."""
    key = signing_key()
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key, algorithms=["RS256"])
