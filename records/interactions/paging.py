"""Page links: opaque, signed, bound to who asked and to what was asked. (search.html#paging)

Nothing is kept between pages: the link carries the sort keys of the last row shown, and rights are evaluated anew.
"""

from hashlib import sha256
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing

from .. import errors

PAGE = "_page"
SALT = "fhir page"


def asked(interaction):
    """The parameters without the page, as the link repeats them."""
    return [(n, v) for n, v in interaction.parameters if n != PAGE]


def fingerprint(interaction, access):
    text = "\x1f".join((access.principal, interaction.url.partition("?")[0], urlencode(asked(interaction))))
    return sha256(text.encode()).hexdigest()[:24]


def position(interaction, access):
    """The keys where the page begins, or None for the first page."""
    given = [v for n, v in interaction.parameters if n == PAGE]
    if not given:
        return None
    try:
        bound, keys = signing.loads(given[-1], salt=SALT)
    except signing.BadSignature:
        bound, keys = None, None
    if bound != fingerprint(interaction, access):
        raise errors.BadRequest("This page link is not valid here: use it whole, unchanged, and as who received it.")
    return keys


def link(interaction, access, keys):
    """Absolute URL of the page that begins after these keys."""
    token = signing.dumps((fingerprint(interaction, access), keys), salt=SALT, compress=True)
    return url(interaction, [*asked(interaction), (PAGE, token)])


def url(interaction, parameters):
    path = interaction.url.partition("?")[0].removesuffix("/_search").removesuffix("_search")
    return f"{interaction.base}/{path}".rstrip("/") + (f"?{urlencode(parameters)}" if parameters else "")


def count(interaction):
    """_count: how many rows a page may have. (search.html#count)"""
    given = [v for n, v in interaction.parameters if n == "_count"]
    if not given:
        return settings.FHIRSERVER_DEFAULT_COUNT
    if not (given[-1].isascii() and given[-1].isdigit()):
        raise errors.InvalidValue("_count", given[-1], "expected a whole number, 0 or more")
    return min(int(given[-1][:9]), settings.FHIRSERVER_MAX_COUNT)
