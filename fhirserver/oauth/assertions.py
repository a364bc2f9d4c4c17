"""private_key_jwt: a client proves that it has the key registered. (SMART: client-confidential-asymmetric; RFC 7523)"""

import json
import time
from hashlib import sha256

from django.db import connection
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from accessctl.smart.tables import Client

from . import fetch, jwks

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = {"RS384": "RSA", "ES384": "EC"}
LONGEST = 300  # seconds until an assertion ends
LEEWAY = 10  # seconds by which two clocks may differ
LARGEST = 8 * 1024  # characters
ONCE = (
    "INSERT INTO seen_assertion (client_id, digest, expires) VALUES (%s, %s, to_timestamp(%s))"
    " ON CONFLICT DO NOTHING RETURNING id"
)
SWEEP = (
    "DELETE FROM seen_assertion WHERE id IN (SELECT id FROM seen_assertion WHERE expires < now()"
    " ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED)"
)


class Wrong(Exception):
    """The assertion proves nothing; the sentence says why, to the log alone."""


def named(form):
    """(Client, claims) of an assertion whose signature is right, else Wrong. It may fetch keys, for seconds."""
    if form.get("client_assertion_type") != BEARER:
        raise Wrong("no client_assertion_type")
    text = form.get("client_assertion", "")
    if not text.isascii() or not 0 < len(text) <= LARGEST:
        raise Wrong("no assertion")
    try:
        header, claims = unverified(text)
        client = Client.objects.filter(name=claims["iss"], active=True).first()
        if client is None or not client.confidential:
            raise Wrong("no such client")
        if form.get("client_id", client.name) != client.name:
            raise Wrong("client_id is another one")
        jwt.decode(text, key_of(client, header), algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, KeyError, RecursionError, fetch.Unreachable) as error:
        raise Wrong(str(error)) from error
    return client, claims


def ahead(form):
    """What `named` says, or why it says nothing: to be asked before a transaction is open."""
    try:
        return named(form)
    except Wrong as error:
        return error


def proven(form, audience, found=None):
    """The Client that the assertion of a form proves; Wrong when it proves none. It is used up by that.

    `found`: what `ahead` said.
    """
    if isinstance(found, Wrong):
        raise found
    client, claims = found or named(form)
    check(claims, client, audience)
    with connection.cursor() as cursor:
        cursor.execute(SWEEP)
        cursor.execute(ONCE, (client.pk, sha256(claims["jti"].encode()).digest(), claims["exp"] + LEEWAY + 1))
        if cursor.fetchone() is None:
            raise Wrong("its jti was used before")
    return client


def unverified(text):
    """(header, claims), of which nothing is believed yet."""
    compact = jws.extract_compact(text.encode())
    header, claims = compact.headers(), json.loads(compact.payload)
    if header.get("alg") not in ALGORITHMS or "crit" in header or "jwk" in header or "x5u" in header:
        raise Wrong("the header is not one that is taken")
    if not isinstance(header.get("kid"), str) or header.get("typ", "JWT") not in ("JWT", "client-authentication+jwt"):
        raise Wrong("no kid, or another type")
    if not isinstance(claims, dict) or not isinstance(claims.get("iss"), str):
        raise Wrong("no iss")
    return header, claims


def key_of(client, header):
    """The registered key of the header's kid and alg; fetched anew once when it is not among those kept."""
    if "jku" in header and header["jku"] != client.jwks_uri:
        raise Wrong("jku is not the registered address")
    if client.jwks is not None:
        return chosen(client.jwks, header)
    try:
        return chosen(jwks.fetched(client.jwks_uri), header)
    except Wrong:
        return chosen(jwks.fetched(client.jwks_uri, fresh=True), header)


def chosen(found, header):
    kty = ALGORITHMS[header["alg"]]
    for key in found["keys"]:
        if not isinstance(key, dict) or key.get("kid") != header["kid"] or key.get("kty") != kty:
            continue
        if key.get("alg", header["alg"]) != header["alg"] or key.get("use", "sig") != "sig":
            continue
        if kty == "EC":
            if key.get("crv") != "P-384":
                continue
            return ECKey.import_key({m: key[m] for m in ("kty", "crv", "x", "y", "kid")})
        opened = RSAKey.import_key({m: key[m] for m in ("kty", "n", "e", "kid")})
        if opened.public_key.key_size < 2048:
            raise Wrong("the key is too short")
        return opened
    raise Wrong("no such key")


def check(claims, client, audience):
    """Whose it is, for whom, and for how long. (SMART App Launch S28; RFC 7523 3)"""
    now = time.time()
    if claims.get("sub") != client.name:
        raise Wrong("iss and sub differ")
    aud = claims.get("aud")
    if audience not in (aud if isinstance(aud, list) else [aud]):
        raise Wrong("aud is not the token endpoint")
    exp = claims.get("exp")
    if not number(exp) or not now - LEEWAY < exp <= now + LONGEST + LEEWAY:
        raise Wrong("exp is missing, over, or too far ahead")
    for name in ("nbf", "iat"):
        if name in claims and (not number(claims[name]) or claims[name] > now + LEEWAY):
            raise Wrong(f"{name} is in the future")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 1000:
        raise Wrong("no jti")


def number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
