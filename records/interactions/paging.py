"""Page links: opaque, sealed, bound to who asked and to what was asked. (search.html#paging)

Nothing is kept between pages: the link carries the sort keys of the last row shown, and rights are evaluated anew. Who
holds a link cannot read them: row numbers would tell how much others have written in between.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256, sha512
from urllib.parse import parse_qsl, urlencode

import msgspec
from django.conf import settings

from .. import errors
from .parse import OF_THE_FORMAT

PAGE = "_page"
SALT = b"fhir page"


def asked(interaction):
    """The parameters without the page, as the link repeats them."""
    return [(n, v) for n, v in interaction.parameters if n != PAGE]


def fingerprint(interaction, access):
    """Who asks, and what."""
    text = "\x1f".join((access.principal, path(interaction), urlencode(asked(interaction))))
    return sha256(text.encode()).digest()


def position(interaction, access):
    """The keys where the page begins, or None for the first page."""
    given = [v for n, v in interaction.parameters if n == PAGE]
    if not given:
        return None
    keys = opened(given[-1], fingerprint(interaction, access))
    if keys is None:
        raise errors.BadRequest("This page link is not valid here: use it whole, unchanged, and as who received it.")
    return keys


def link(interaction, access, keys):
    """Absolute URL of the page that begins after these keys."""
    token = sealed(keys, fingerprint(interaction, access))
    return url(interaction, [*asked(interaction), (PAGE, token)])


def sealed(keys, bound):
    """Keys that only this server reads, and only together with what they are bound to."""
    data = cipher(settings.SECRET_KEY).encrypt(msgspec.json.encode(keys), [bound])
    return urlsafe_b64encode(data).decode().rstrip("=")


def opened(token, bound):
    """The keys of a token, or None when it is not ours, not whole or bound to something else."""
    from cryptography.exceptions import InvalidTag

    try:
        data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        if urlsafe_b64encode(data).decode().rstrip("=") != token:
            return None
        return msgspec.json.decode(cipher(settings.SECRET_KEY).decrypt(data, [bound]))
    except (InvalidTag, ValueError):
        return None


@lru_cache(4)
def cipher(secret):
    """AES-SIV under a key of its own (RFC 5297): equal pages have equal links."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # the first page link pays for it, not the start

    return AESSIV(sha512(SALT + secret.encode()).digest())


def path(interaction):
    """Below the base; the links of a form are followed by GET."""
    return interaction.url.partition("?")[0].removesuffix("_search").rstrip("/")


def url(interaction, parameters):
    """Absolute, with what the client said of the format in its URL: who follows a link sends no other headers."""
    told = parse_qsl(interaction.url.partition("?")[2], keep_blank_values=True)
    parameters = [*parameters, *((n, v) for n, v in told if n in OF_THE_FORMAT)]
    return f"{interaction.base}/{path(interaction)}".rstrip("/") + (f"?{urlencode(parameters)}" if parameters else "")


def count(interaction):
    """_count: how many rows a page may have. (search.html#count)"""
    given = [v for n, v in interaction.parameters if n == "_count"]
    if not given:
        return settings.FHIRSERVER_DEFAULT_COUNT
    if not (given[-1].isascii() and given[-1].isdigit()):
        raise errors.InvalidValue("_count", given[-1], "expected a whole number, 0 or more")
    return min(int(given[-1][:9]), settings.FHIRSERVER_MAX_COUNT)
